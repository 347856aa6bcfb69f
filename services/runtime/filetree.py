"""Which files a folder holds, and whether any of them changed.

Hidden files and folders are left out. That also makes mounted ConfigMaps right: their files are links into a hidden
folder that the kubelet swaps.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

Fingerprint = tuple[tuple[str, int, int, int], ...]


def files_below(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The file itself, or every file below a folder that ends in one of `suffixes`, sorted; links are followed once."""
    if not path.is_dir():
        return [path]
    return sorted(found for found in map(Path, _walk(path)) if found.suffix.lower() in suffixes)


def _walk(folder: Path) -> Iterator[str]:
    seen: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(root, name) for name in files if not name.startswith("."))


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    """Changes whenever a file at or below `paths` is written, added, replaced or removed; contents are not read.

    Asked every second: so files are names here, a `Path` of each would take most of the time.
    """
    return tuple(sorted({_stamp(file) for path in paths for file in ([str(path)] if path.is_file() else _walk(path))}))


def _stamp(file: str) -> tuple[str, int, int, int]:
    try:
        found = os.stat(file)
    except OSError:
        return file, 0, 0, 0
    return file, found.st_mtime_ns, found.st_size, found.st_ino
