"""Build a kustomize folder with the `kustomize` or `kubectl` that is on this machine.

Called where baselines are loaded. A build runs somebody's files through a program, so it is kept small: no plugins, no
Helm, no network (what a kustomization names on the net would be another thing each time), a time-out, a bounded result.
`SETPOINT_KUSTOMIZE` and `KUBECTL` name other binaries than the ones on PATH.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from services.kube.declaration.manifests import Manifest, manifests_in
from services.runtime.errors import FileProblem, UserFileError

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
TIMEOUT_S = 60.0
LARGEST = 64 * 2**20  # bytes of output
LONGEST = 600  # characters of an error
LOGGED = re.compile(r'E\d{4} .*? err="(.*)"')  # as kubectl logs what stops it
NOWHERE = "http://127.0.0.1:9"  # the port that discards everything, as a proxy: nothing is reached
NO_NETWORK = {
    "GIT_ALLOW_PROTOCOL": "file", "GIT_TERMINAL_PROMPT": "0",
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), NOWHERE),
}  # fmt: skip
NO_TOOL = "install kustomize or kubectl, or name one in SETPOINT_KUSTOMIZE or KUBECTL"


class Tool(NamedTuple):
    """A program, and what comes before the folder on its command line."""

    path: str
    arguments: tuple[str, ...]


def build(folder: Path) -> list[Manifest]:
    """The manifests that a kustomize folder makes; each `file` is the kustomization's, since the lines are made.

    Raises UserFileError naming the folder and what to do.
    """
    file = kustomization(folder)
    if file is None:
        fix = f"name a folder with a {NAMES[0]}"
        raise UserFileError([FileProblem(str(folder), 1, 1, "", f"holds no {NAMES[0]}", fix)])
    tool = find_tool(os.environ)
    if tool is None:
        raise _failed(file, "cannot be built: there is neither kustomize nor kubectl", NO_TOOL)
    found = manifests_in(str(file), _output(tool, folder, file), built=True)
    if not found:
        raise _failed(file, "builds no manifests", "add resources to it")
    return found


def kustomization(folder: Path) -> Path | None:
    """The file that makes a folder a kustomize folder."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def find_tool(environ: Mapping[str, str]) -> Tool | None:
    """The first of: what the environment names, `kustomize` on PATH, `kubectl` on PATH."""
    where = environ.get("PATH")
    for name in (environ.get("SETPOINT_KUSTOMIZE"), environ.get("KUBECTL"), "kustomize", "kubectl"):
        path = shutil.which(name, path=where) if name else None
        if path:
            return Tool(path, ("kustomize",) if Path(path).name.startswith("kubectl") else ("build",))
    return None


def _output(tool: Tool, folder: Path, file: Path) -> bytes:
    program = Path(tool.path).name
    with tempfile.TemporaryDirectory(prefix="setpoint-kustomize-") as home, tempfile.TemporaryFile() as out:
        command = [tool.path, *tool.arguments, str(folder.resolve())]
        environ = {**os.environ, **NO_NETWORK, "NO_PROXY": "", "no_proxy": "", "HOME": home}
        try:
            done = subprocess.run(
                command, env=environ, cwd=home, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                timeout=TIMEOUT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _failed(file, f"is not built within {TIMEOUT_S:g} s by {program}", "make it smaller") from None
        except OSError as error:
            raise _failed(file, f"cannot be built: {program}: {error.strerror}", NO_TOOL) from error
        if done.returncode:
            raise _failed(file, f"cannot be built: {_words(done.stderr, folder)}", _fix(done.stderr, program, folder))
        if out.tell() > LARGEST:
            raise _failed(file, f"builds more than {LARGEST >> 20} MiB", "split it into several baselines")
        out.seek(0)
        return out.read()


def _words(stderr: bytes, folder: Path) -> str:
    """What it said in one line, with paths as the user knows them."""
    text = " ".join(stderr.decode("utf-8", "replace").split()) or "no reason was given"
    logged = LOGGED.fullmatch(text)
    text = logged[1].replace('\\"', '"') if logged else text.removeprefix("error: ").removeprefix("Error: ")
    return text.replace(str(folder.resolve()), str(folder))[:LONGEST]


def _fix(stderr: bytes, program: str, folder: Path) -> str:
    if any(word in stderr for word in (NOWHERE[7:].encode(), b"not allowed", b"git fetch", b"git cmd")):
        return "nothing is fetched from the net: keep a copy of it beside the kustomization"
    return f"see '{program} {'kustomize' if program.startswith('kubectl') else 'build'} {folder}'"


def _failed(file: Path, message: str, fix: str) -> UserFileError:
    return UserFileError([FileProblem(str(file), 1, 1, "", message, fix)])
