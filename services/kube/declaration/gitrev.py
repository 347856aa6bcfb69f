"""Which Git commit a folder of manifests is at, so that a finding can say what it was compared with.

By the `git` binary where there is one and it accepts the work tree, else from the files below `.git`, which do not tell
whether anything was edited since. Nothing is written and no hook runs: a look must not change what it looks at, and
the repository may be somebody else's.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

TIMEOUT_S = 10.0
DIRTY = "-dirty"
HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
LONGEST_CHAIN = 5  # of references that name references
LARGEST = 64 * 2**20  # bytes of packed-refs
QUIET = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.quotePath=false")


def revision_of(folder: Path) -> str | None:
    """The commit of the work tree around a folder, with `-dirty` where what is below the folder differs from it.

    None outside Git, before the first commit, and for a folder that the commit does not have.
    """
    git = shutil.which("git")
    found = _asked(git, folder) if git else None
    return _read(folder) if found is None else found or None


def _asked(git: str, folder: Path) -> str | None:
    """What Git says, "" for no commit; None where it gives no answer, as for a work tree that is another user's."""
    place = folder if folder.is_dir() else folder.parent
    at = "./" if folder.is_dir() else f"./{folder.name}"
    head = _run(git, place, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not head or not HASH.fullmatch(head.strip()):
        return None
    if not _run(git, place, "rev-parse", "--verify", "--quiet", f"HEAD:{at}"):
        return ""
    edited = _run(git, place, "status", "--porcelain", "--untracked-files=normal", "--", f":(literal){at}")
    return None if edited is None else head.strip() + (DIRTY if edited.strip() else "")


def _run(git: str, place: Path, *arguments: str) -> str | None:
    """What it printed; None where it failed."""
    try:
        done = subprocess.run(
            [git, *QUIET, "-C", str(place), *arguments], env=_environment(os.environ), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Without what would lead Git elsewhere, as inside somebody's hook, and without its optional writes."""
    kept = {name: value for name, value in given.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _read(folder: Path) -> str | None:
    """The commit by the files alone."""
    try:
        start = (folder if folder.is_dir() else folder.parent).resolve()
        directory = next(filter(None, map(_git_directory, (start, *start.parents))), None)
        return _resolved(directory) if directory else None
    except (OSError, UnicodeDecodeError):
        return None


def _git_directory(place: Path) -> Path | None:
    """The folder of Git's files for a work tree at `place`; in a linked one a file says where it is."""
    entry = place / ".git"
    if entry.is_file():
        text = entry.read_text(encoding="utf-8")
        found = place / text.removeprefix("gitdir:").strip() if text.startswith("gitdir:") else None
    else:
        found = entry
    return found if found and (found / "HEAD").is_file() else None


def _resolved(directory: Path) -> str | None:
    common = directory / "commondir"
    shared = directory / common.read_text(encoding="utf-8").strip() if common.is_file() else directory
    text = (directory / "HEAD").read_text(encoding="utf-8").strip()
    for _ in range(LONGEST_CHAIN):
        if not text.startswith("ref:"):
            return text if HASH.fullmatch(text) else None
        text = _reference(directory, shared, text.removeprefix("ref:").strip()) or ""
    return None


def _reference(directory: Path, shared: Path, name: str) -> str | None:
    if not name.startswith("refs/") or ".." in name:
        return None
    for root in (directory, shared):
        if (root / name).is_file():
            return (root / name).read_text(encoding="utf-8").strip()
    packed = shared / "packed-refs"
    if not packed.is_file() or packed.stat().st_size > LARGEST:
        return None
    rows = (line.split(" ", 1) for line in packed.read_text(encoding="utf-8").splitlines() if line[:1] not in "#^")
    return next((row[0] for row in rows if row[1:] == [name]), None)
