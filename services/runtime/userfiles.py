"""Read what users write: setpoint.dev documents, from a file or a folder, into strict models.

Everything wrong in every file is reported at once, with file, line, column, field and what would be right.
Documents of other API groups in the same files are left alone, and so are kinds that somebody else loads.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schemas.base import StrictModel
from schemas.baseline import API_VERSION, Baseline
from schemas.policy import Policy
from schemas.window import Group, MaintenanceWindow
from services.runtime.errors import FileProblem, UserFileError
from services.runtime.filechecks import closest, validate
from services.runtime.filetree import files_below
from services.runtime.yamlfile import Document, place, read_bytes

GROUP = API_VERSION.partition("/")[0]
SUFFIXES = (".yaml", ".yml")
KINDS: dict[str, type[StrictModel]] = {
    "Baseline": Baseline, "Policy": Policy, "MaintenanceWindow": MaintenanceWindow, "Group": Group,
}  # fmt: skip
HINTS = (b"setpoint", *(kind.encode() for kind in KINDS))  # a file of a folder with none of these holds no document


@dataclass(frozen=True, slots=True)
class Loaded:
    """One valid document and where it stands. `file` is as the caller's path led to it; `line` counts from 1."""

    model: StrictModel
    file: Path
    line: int
    node: yaml.Node = field(repr=False, compare=False)

    def problem(self, path: tuple[str | int, ...], dotted_field: str, message: str, fix: str) -> FileProblem:
        """A problem at one of the document's fields."""
        line, column = place(self.node, path)
        return FileProblem(str(self.file), line, column, dotted_field, message, fix)


def load_documents(path: Path) -> list[Loaded]:
    """Every setpoint.dev document at or below `path`, in the order of files. Raises UserFileError with all problems.

    A path without any such document is an error: nothing would be watched or done, and nobody would know why.
    """
    found, problems = scan(path)
    if not found and not problems:
        fix = f"write a document with apiVersion: {API_VERSION} and kind: {' or '.join(KINDS)}"
        problems.append(FileProblem(str(path), 1, 1, "", f"holds no {GROUP} document", fix))
    if problems:
        raise UserFileError(problems)
    return found


def scan(path: Path) -> tuple[list[Loaded], list[FileProblem]]:
    """What is valid and what is wrong, side by side, for callers that can use the one without the other."""
    if not path.exists():
        return [], [FileProblem(str(path), 1, 1, "", "there is no such file or folder", "correct the path")]
    found: list[Loaded] = []
    problems: list[FileProblem] = []
    alone = path.is_file()
    for file in files_below(path, SUFFIXES):
        _read(file, alone, found, problems)
    return found, in_order(problems + _twice(found))


def in_order(problems: Iterable[FileProblem]) -> list[FileProblem]:
    """Each problem once, as one reads the files."""
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))


def _read(file: Path, alone: bool, found: list[Loaded], problems: list[FileProblem]) -> None:
    try:
        data = file.read_bytes()
    except OSError as error:
        problems.append(FileProblem(str(file), 1, 1, "", f"cannot be read: {error.strerror}", "check its rights"))
        return
    if not alone and not any(hint in data for hint in HINTS):
        return
    documents, wrong = read_bytes(str(file), data)
    problems += wrong
    for document in documents:
        result = _document(file, document, alone)
        if isinstance(result, Loaded):
            found.append(result)
        elif result:
            problems += result


def _document(file: Path, document: Document, alone: bool) -> Loaded | list[FileProblem] | None:
    value, line, node = document
    wrong = check_header(str(file), document) if isinstance(value, dict) else _no_map(file, line, alone)
    if wrong:
        return wrong
    model = KINDS.get(value["kind"]) if is_ours(value) else None
    if model is None:
        return None
    result = validate(model, value, str(file), node)
    return Loaded(result, file, line, node) if isinstance(result, StrictModel) else result


def _no_map(file: Path, line: int, alone: bool) -> list[FileProblem]:
    fix = f"start it with apiVersion: {API_VERSION}"
    return [FileProblem(str(file), line, 1, "", "the document is no map", fix)] if alone else []


def is_ours(value: Any) -> bool:
    """True for a document of our API group, of whatever version."""
    return isinstance(value, dict) and str(value.get("apiVersion")).partition("/")[0] == GROUP


def check_header(file: str, document: Document) -> list[FileProblem]:
    """What is wrong with `apiVersion` and `kind` where the document is, or was meant to be, one of ours."""
    version, kind = document.value.get("apiVersion"), document.value.get("kind")

    def wrong(name: str, message: str, fix: str) -> list[FileProblem]:
        return [FileProblem(file, *place(document.node, (name,)), name, message, fix)]

    if not version:
        return wrong("apiVersion", "is missing", f"add apiVersion: {API_VERSION}") if kind in KINDS else []
    if not is_ours(document.value):
        meant = isinstance(version, str) and closest(version.partition("/")[0], [GROUP])
        return wrong("apiVersion", f"unknown group in '{version}'", f"did you mean {API_VERSION}?") if meant else []
    if version != API_VERSION:
        return wrong("apiVersion", f"unknown version '{version}'", f"this release reads {API_VERSION}")
    if not kind:
        return wrong("kind", "is missing", f"add kind: {' or '.join(KINDS)}")
    if not isinstance(kind, str) or kind not in KINDS:
        return wrong("kind", f"unknown kind '{kind}'", guess(str(kind), KINDS))
    return []


def guess(word: str, known: Iterable[str]) -> str:
    """`did you mean …?` where a known word is close, else all known words."""
    names = list(known)
    near = closest(word, names)
    return f"did you mean {near}?" if near else f"known are {', '.join(names)}"


def _twice(found: list[Loaded]) -> list[FileProblem]:
    first: dict[tuple[str, str], Loaded] = {}
    problems = []
    for entry in found:
        assert isinstance(entry.model, Baseline | Policy | MaintenanceWindow | Group)
        kind, name = entry.model.kind, entry.model.metadata.name
        other = first.setdefault((kind, name), entry)
        if other is not entry:
            message = f"{kind} '{name}' is already declared at {other.file}:{other.line}"
            problems.append(entry.problem(("metadata", "name"), "metadata.name", message, "give it another name"))
    return problems
