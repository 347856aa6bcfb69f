"""Built things that outlive a run: jars, binaries, stage files.

An entry is named by a hash of all that it is made from, built in a folder beside its place and renamed into it, so
that it is either whole or absent: an interrupted build, a full disk or a killed process never leaves an entry that
counts. A lock a name makes sure that two processes never build the same thing at once; the second waits and says so.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

MARKER = ".complete"
WAIT_S = 0.2

Build = Callable[[Path], Awaitable[None]]
"""Fills the empty folder that it gets; whatever it raises leaves no entry behind."""


def fingerprint(parts: Iterable[str | bytes | Path]) -> str:
    """12 hex digits over texts and files' contents. Each part's length counts, so that no two lists run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:12]


def complete(entry: Path) -> bool:
    """Whether the entry's marker is there and every file that it lists has the size it had then."""
    try:
        sizes: dict[str, int] = json.loads((entry / MARKER).read_text(encoding="utf-8"))
        return all((entry / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


async def obtain(root: Path, name: str, key: str, build: Build, on_wait: Callable[[], None] = lambda: None) -> Path:
    """The folder of entry `name-key`, built by `build` when it is not there yet.

    `on_wait` is called once if another process is building it. Cancelling removes the half-built folder.
    """
    entry = root / f"{name}-{key}"
    if complete(entry):
        return entry
    locks = root / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    async with _exclusive(locks / entry.name, on_wait):
        if not complete(entry):
            _clear_dead_builds(root, locks, own=entry.name)
            await _build_beside(entry, build)
    return entry


async def _build_beside(entry: Path, build: Build) -> None:
    half_built = entry.parent / f".building-{entry.name}-{secrets.token_hex(4)}"
    half_built.mkdir()
    try:
        await build(half_built)
        _write_marker(half_built)
        shutil.rmtree(entry, ignore_errors=True)  # there only if it was damaged
        half_built.rename(entry)
    finally:
        shutil.rmtree(half_built, ignore_errors=True)


def _write_marker(folder: Path) -> None:
    sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    (folder / MARKER).write_text(json.dumps(sizes, indent=0, sort_keys=True), encoding="utf-8")


def _clear_dead_builds(root: Path, locks: Path, own: str) -> None:
    """Remove half-built folders whose builder is gone: those of our own name, and those whose lock is free."""
    for path in root.glob(".building-*"):
        name = path.name.removeprefix(".building-").rpartition("-")[0]
        if name == own:
            shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(BlockingIOError), open(locks / name, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)


@asynccontextmanager
async def _exclusive(lock: Path, on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Hold `lock` across processes and tasks; the kernel lets go of it when the holder ends, however it ends."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor):
            on_wait()
            while not _locked(descriptor):  # noqa: ASYNC110  # the holder is another process
                await asyncio.sleep(WAIT_S)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
