"""Load folders of Kubernetes manifests: one or many documents a file, `List`s, JSON, exported objects.

Values mean what they mean to the API server (see services/runtime/yamlscalars.py). Everything wrong in all files is
reported at once. Values are never shown in problems: they may be a Secret's.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from services.kube.masking import SECRET_FIELDS, is_secret, masked_at
from services.kube.objects import LAST_APPLIED, Object, strip
from services.runtime.errors import FileProblem, UserFileError
from services.runtime.filetree import files_below
from services.runtime.userfiles import in_order, is_ours
from services.runtime.yamlfile import Document, dotted, place, read_bytes, read_file

SUFFIXES = (".yaml", ".yml", ".json")
WRITTEN_BY_OTHERS = (LAST_APPLIED, "deployment.kubernetes.io/revision")
EXAMPLES = {"apiVersion": "apps/v1", "kind": "Deployment"}

Where = tuple[str | int, ...]


class Manifest(NamedTuple):
    """One declared object, as a person would write it, and where it stands."""

    obj: Object
    file: str
    line: int


class _Item(NamedTuple):
    obj: Any
    path: Where


def load_folder(folder: Path) -> list[Manifest]:
    """Every manifest at or below a folder (or in one file), in the order of files. Raises UserFileError."""
    return list(each_manifest(folder))


def each_manifest(folder: Path) -> Iterator[Manifest]:
    """The same one by one, so that those of many files need not be in memory together. What is wrong anywhere is
    raised at the end.
    """
    problems: list[FileProblem] = []
    if not folder.exists():
        raise UserFileError([FileProblem(str(folder), 1, 1, "", "there is no such folder", "correct the path")])
    with _collector_paused():
        for file in files_below(folder, SUFFIXES):
            documents, wrong = read_file(file)
            problems += wrong
            for document in documents:
                if not is_ours(document.value):
                    yield from _taken(str(file), document, problems)
    if problems:
        raise UserFileError(in_order(problems))


def manifests_in(file: str, data: bytes, *, built: bool = False) -> list[Manifest]:
    """The manifests of one text, which stands for the file of that name. Raises UserFileError.

    `built` is a text that a tool made of the file: its lines mean nothing to anybody, so problems name the object.
    """
    documents, problems = read_bytes(file, data)
    if built:
        problems = [replace(problem, line=1, column=1) for problem in problems]
    found: list[Manifest] = []
    with _collector_paused():
        for document in documents:
            wrong: list[FileProblem] = []
            found += _taken(file, document, wrong)
            problems += [_of_object(problem, document.value) for problem in wrong] if built else wrong
    if problems:
        raise UserFileError(in_order(problems))
    return [manifest._replace(line=1) for manifest in found] if built else found


def _of_object(problem: FileProblem, value: Any) -> FileProblem:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    what = f"{value.get('kind')} {name}" if isinstance(value, dict) else "a document"
    return replace(problem, line=1, column=1, message=f"{what}: {problem.message}")


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Trees without cycles are built here; to search them for cycles again and again takes two thirds of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _taken(file: str, document: Document, problems: list[FileProblem]) -> Iterator[Manifest]:
    for item in flatten(document.value):
        wrong = list(check(file, document.node, item.obj, item.path))
        if wrong:
            problems += wrong
        else:
            line = place(document.node, item.path)[0] if item.path else document.line
            yield Manifest(as_declared(item.obj), file, line)


def flatten(value: Any, path: Where = ()) -> Iterator[_Item]:
    """A `List`'s items, each for itself; anything else as it is. Typed lists may leave out what their kind says."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind.endswith("List") and "items" in value and value["items"] is None:
        return  # how Go writes an empty list
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(value.get("items"), list):
        yield _Item(value, path)
        return
    implied = {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")} if kind != "List" else {}
    for index, item in enumerate(value["items"]):
        full = {**implied, **item} if isinstance(item, dict) else item
        yield from flatten(full, (*path, "items", index))


def as_declared(obj: Object) -> Object:
    """Less what only a server or a tool writes, so that an exported object can be a manifest."""
    bare = strip(obj)
    annotations = bare["metadata"].get("annotations")
    if annotations and any(name in annotations for name in WRITTEN_BY_OTHERS):
        kept = {name: value for name, value in annotations.items() if name not in WRITTEN_BY_OTHERS}
        bare["metadata"] = {name: value for name, value in bare["metadata"].items() if name != "annotations"}
        if kept:
            bare["metadata"]["annotations"] = kept
    return bare


def check(file: str, node: yaml.Node, obj: Any, path: Where) -> Iterator[FileProblem]:
    """What keeps an object from being a manifest."""

    def problem(at: Where, message: str, fix: str) -> FileProblem:
        return FileProblem(file, *place(node, (*path, *at)), dotted((*path, *at)), message, fix)

    if not isinstance(obj, dict):
        yield problem((), "is no Kubernetes object", "write a map with apiVersion, kind and metadata")
        return
    for name, example in EXAMPLES.items():
        if not isinstance(obj.get(name), str) or not obj[name]:
            yield problem((name,), "is missing or no text", f"add it, such as {name}: {example}")
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        yield problem(("metadata",), "is missing or no map", "add metadata: {name: …}")
        return
    for at, message, fix in _metadata_problems(metadata):
        yield problem(("metadata", *at), message, fix)
    for at in masked_at({part: obj.get(part) for part in SECRET_FIELDS}) if is_secret(obj) else ():
        yield problem(at, "is a masked value, as Setpoint prints it", "write the Secret's own value")


def _metadata_problems(metadata: dict[str, Any]) -> Iterator[tuple[Where, str, str]]:
    name = metadata.get("name")
    if not name and metadata.get("generateName"):
        yield ("generateName",), "names a new object at each apply", "give it a name instead"
    elif name is None or name == "":
        yield ("name",), "is missing", "add metadata.name"
    elif not isinstance(name, str):
        yield ("name",), "is no text to YAML", "put it in quotes"
    namespace = metadata.get("namespace")
    if namespace is not None and not isinstance(namespace, str):
        yield ("namespace",), "is no text to YAML", "put it in quotes"
    for group in ("labels", "annotations"):
        values = metadata.get(group)
        if values is not None and not isinstance(values, dict):
            yield (group,), "is no map", f"write {group}: {{key: value}}"
        for key, value in (values if isinstance(values, dict) else {}).items():
            if value is not None and not isinstance(value, str):
                yield (group, key), "is no text to YAML", "put the value in quotes"
