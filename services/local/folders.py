"""Where the local parts live on disk: one cache a user, one folder a run.

A run's folder holds data, keys and logs of its throwaway parts. It is removed at a good end, kept and pointed at
after a failure. A lock held for the run's life tells a running one from one whose process was killed, so that the
next run can clear what the killed one left behind.
"""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEPT_FOR_S = 7 * 24 * 3600.0
"""How long a failed run's folder stays."""


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_CACHE_HOME/setpoint`, or `~/.cache/setpoint`. A relative `$XDG_CACHE_HOME` is ignored, as XDG asks."""
    named = environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    return base / "setpoint"


@dataclass(frozen=True)
class RunFolder:
    """One run's own folder; only its owner can read it, since it holds the throwaway cluster's keys."""

    path: Path

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def keep(self, reason: str) -> None:
        """Leave the folder on disk for `KEPT_FOR_S`; `reason` is written into it."""
        (self.path / "kept").write_text(reason + "\n", encoding="utf-8")

    @property
    def kept(self) -> bool:
        return (self.path / "kept").exists()


@contextmanager
def run_folder(root: Path) -> Iterator[RunFolder]:
    """A new folder below `root/runs`, gone at a good end or an interrupt, kept when an error leaves the block.

    The error gets a note that says where the logs are.
    """
    runs = root / "runs"
    runs.mkdir(parents=True, exist_ok=True, mode=0o700)
    clear_abandoned(runs, time.time())
    folder, lock = _create(runs)
    try:
        yield folder
    except Exception as error:
        folder.keep(f"{type(error).__name__}: {error}")
        error.add_note(f"logs: {folder.logs}")
        raise
    finally:
        if not folder.kept:
            shutil.rmtree(folder.path, ignore_errors=True)
        os.close(lock)


def clear_abandoned(runs: Path, now: float) -> None:
    """Remove folders of runs that were killed, and kept ones older than `KEPT_FOR_S`. `now` is a Unix time."""
    for path in runs.glob("run-*"):
        lock = _try_lock(path)
        if lock is None:
            continue
        kept = path / "kept"
        if not kept.exists() or now - kept.stat().st_mtime > KEPT_FOR_S:
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _create(runs: Path) -> tuple[RunFolder, int]:
    """Make and lock under a hidden name, then rename: nobody sees an unlocked young folder."""
    name = f"run-{os.getpid()}-{secrets.token_hex(4)}"
    hidden = runs / f".{name}"
    (hidden / "logs").mkdir(parents=True, mode=0o700)
    hidden.chmod(0o700)
    lock = _try_lock(hidden)
    assert lock is not None, "a name with 32 random bits was taken"
    hidden.rename(runs / name)
    return RunFolder(runs / name), lock


def _try_lock(folder: Path) -> int | None:
    """The file descriptor that holds the folder's lock, or None when another process holds it."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # somebody else removes the folder right now
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
