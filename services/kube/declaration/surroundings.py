"""What besides a folder's own files decides what it declares: the bases that a kustomization names, and Git's HEAD.

For whoever watches files for changes. Never raises: what is broken here is told by who loads it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.kube.declaration.kustomize import kustomization
from services.runtime.yamlfile import read_file

NAMED_IN = ("resources", "bases", "components", "crds", "configurations", "generators", "transformers")
MOST = 500  # kustomizations that name each other


def around(folder: Path, *, kustomize: bool) -> Iterator[Path]:
    """Files and folders outside `folder` that matter for what it declares."""
    yield from git_marks(folder)
    if kustomize:
        yield from bases(folder)


def git_marks(folder: Path) -> Iterator[Path]:
    """The files that Git writes when another commit is checked out or made, in a work tree of its own."""
    places = (parent / ".git" for parent in (folder, *folder.absolute().parents))
    place = next((found for found in places if found.is_dir()), None)
    if place:
        yield from (place / "HEAD", place / "logs" / "HEAD")


def bases(folder: Path) -> Iterator[Path]:
    """The folders and files that a kustomization names, and those that they name in turn."""
    waiting, seen = [folder], {folder.resolve()}
    while waiting and len(seen) < MOST:
        place = waiting.pop()
        for name in _named(place):
            found = place / name
            real = found.resolve()
            if real in seen or not found.exists():
                continue
            seen.add(real)
            yield found
            if found.is_dir():
                waiting.append(found)


def _named(folder: Path) -> Iterator[str]:
    file = kustomization(folder)
    for document in read_file(file).documents if file else ():
        if not isinstance(document.value, dict):
            continue
        for entry in NAMED_IN:
            yield from _texts(document.value.get(entry))
        for patch in _maps(document.value.get("patches")):
            yield from _texts([patch.get("path")])


def _texts(value: Any) -> Iterator[str]:
    items = value if isinstance(value, list) else ()
    return (item for item in items if isinstance(item, str) and item and "\n" not in item and "://" not in item)


def _maps(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in (value if isinstance(value, list) else ()) if isinstance(item, dict))
