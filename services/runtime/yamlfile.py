"""Read YAML and JSON files as Kubernetes does, and know the line and column of every value.

Used for users' documents and manifests alike. Nothing is raised for what is wrong inside a file: problems come back
beside the documents that could be read, so that everything wrong in many files can be told at once.
Bounded: nesting, and what aliases unfold to, so that no file can take a service down.
"""

import base64
import binascii
import codecs
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple, cast

import yaml
from yaml.cyaml import CBaseLoader

from services.runtime.errors import FileProblem
from services.runtime.jsontext import Part, looks_like_json, split
from services.runtime.yamlscalars import key_text, resolve_plain

MAX_DEPTH = 100
MAX_UNFOLDED = 1_000_000  # values that one document's aliases may unfold to
PLAIN, QUOTED, TAG = "plain", "quoted", "tag:yaml.org,2002:"
MERGE = "<<"
LARGEST = 64 * 2**20  # bytes of a file
LATER_BOM = re.compile("^(---[^\n]*\n)\ufeff", re.MULTILINE)  # left by who joins files


class Document(NamedTuple):
    """One document that is not empty. `node` is what positions are looked up in."""

    value: Any
    line: int
    node: yaml.Node


class Read(NamedTuple):
    """A file's documents and what is wrong with it. A document with a problem is not among the documents."""

    documents: list[Document]
    problems: list[FileProblem]


class _Loader(CBaseLoader):
    """libyaml's parser, marking scalars as plain or quoted instead of resolving them by YAML 1.1."""

    def resolve(self, kind: type, value: str, implicit: Any) -> str:
        return PLAIN if kind is yaml.ScalarNode and implicit[0] else QUOTED

    def descend_resolver(self, *_: Any) -> None:
        """Path resolvers are not used."""

    def ascend_resolver(self) -> None:
        """Path resolvers are not used."""


def read_file(path: Path) -> Read:
    """A file's documents; a file that cannot be read, is too large or is no UTF-8 is a problem."""
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):
            return _refused(str(path), "is no regular file", "name a file")
        if found.st_size > LARGEST:
            return _refused(str(path), f"is larger than {LARGEST >> 20} MiB", "split it into several files")
        data = path.read_bytes()
    except OSError as error:
        return _refused(str(path), f"cannot be read: {error.strerror or error}", "check the path and its rights")
    return read_bytes(str(path), data)


def read_bytes(file: str, data: bytes) -> Read:
    """`data` as the file named `file`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return _refused(file, "is UTF-16, not UTF-8", "save it as UTF-8; in PowerShell with -Encoding utf8")
        return _refused(file, "is not UTF-8", "save the file as UTF-8", data.count(b"\n", 0, error.start) + 1)
    return read_text(file, text)


def read_text(file: str, text: str) -> Read:
    """`text` as the file named `file`."""
    parts = split(text) if looks_like_json(text) else [Part(LATER_BOM.sub(r"\1", text), 0, 0)]
    read = Read([], [])
    for part in parts:
        wrong: list[FileProblem] = []
        _read_part(file, part, read.documents, wrong)
        read.problems.extend(wrong)
    return read


def _read_part(file: str, part: Part, documents: list[Document], problems: list[FileProblem]) -> None:
    try:
        for node in _nodes(part.text):
            if part.line or part.column:
                _shift(node, part)
            builder = _Builder(file)
            value = builder.build(node, ())
            problems += builder.problems
            if value is not None and not builder.problems:
                documents.append(Document(value, node.start_mark.line + 1, node))
    except yaml.YAMLError as error:
        problems.append(_shifted(_syntax(file, part.text, error), part))
    except UnicodeEncodeError:
        problems.append(FileProblem(file, part.line + 1, 1, "", "has characters that are none", "save it as UTF-8"))
    except RecursionError:
        message, fix = "has an anchor that contains itself", "write the parts out"
        problems.append(FileProblem(file, part.line + 1, 1, "", message, fix))


def _refused(file: str, message: str, fix: str, line: int = 1) -> Read:
    return Read([], [FileProblem(file, line, 1, "", message, fix)])


def _shifted(problem: FileProblem, part: Part) -> FileProblem:
    column = problem.column + (part.column if problem.line == 1 else 0)
    return replace(problem, line=problem.line + part.line, column=column)


def _shift(top: yaml.Node, part: Part) -> None:
    """Move the marks of everything below a node to where its part stands in the file."""
    todo, seen = [top], set[int]()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        mark = node.start_mark
        column = mark.column + (0 if mark.line else part.column)
        node.start_mark = yaml.Mark(mark.name, mark.index, mark.line + part.line, column, None, 0)
        if isinstance(node, yaml.MappingNode):
            todo += [one for pair in node.value for one in pair]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value


def _nodes(text: str) -> Iterator[yaml.Node]:
    _refuse_deep(text)
    loader = _Loader(text)
    try:
        while loader.check_node():
            if node := loader.get_node():
                yield node
    finally:
        loader.dispose()


def _refuse_deep(text: str) -> None:
    """libyaml's composer recurses in C and would end the process. Only texts that may nest deeply pay for the look."""
    openers = (sum(map(part.count, ("[", "{", "- ", "? "))) for part in text.split("\n---"))
    if max(openers) < 1000 and " " * 500 not in text:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        opens = isinstance(event, yaml.CollectionStartEvent)
        depth += opens - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            mark = cast(yaml.Mark, event.start_mark)
            raise yaml.MarkedYAMLError(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=mark)


def _syntax(file: str, text: str, error: yaml.YAMLError) -> FileProblem:
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        message = error.problem or error.context or "is not valid YAML"
        lines = text.splitlines()
        at_tab = mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"
        fix = "indent with spaces; YAML has no tabs there" if at_tab else "see the line and the one before it"
        return FileProblem(file, mark.line + 1, mark.column + 1, "", f"is not valid YAML: {message}", fix)
    position = getattr(error, "position", 0)
    line = text.encode("utf-8", "replace")[: position if isinstance(position, int) else 0].count(b"\n") + 1
    reason = getattr(error, "reason", None) or "unreadable"
    return FileProblem(file, line, 1, "", f"is not valid YAML: {reason}", "remove the odd character")


class _Builder:
    """Nodes → plain values, collecting problems. One for each document."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[FileProblem] = []
        self.count = 0

    def build(self, node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        """The node's value; parts with problems are None. `path` leads to the node."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if self._too_much(node, path):
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        built: dict[str, Any] = {}
        self._fill(cast(yaml.MappingNode, node), path, built)
        return built

    def _fill(self, node: yaml.MappingNode, path: tuple[str | int, ...], built: dict[str, Any]) -> None:
        """In the file's order, as go-yaml v2: what a merge key brings may be overridden below it."""
        seen: dict[str, yaml.Mark] = {}
        for name, child in node.value:
            if is_merge(name):
                for part in merged(child):
                    if not self._too_much(part, path):
                        self._fill(part, path, built)
                if not isinstance(child, yaml.MappingNode | yaml.SequenceNode):
                    self._problem(child, path, "a merge key takes a map or a list of maps", "name an anchor of a map")
                continue
            key = key_of_node(name)
            if key is None:
                self._problem(name, path, "a key is neither text nor a number", "write the key as text")
                continue
            key = sys.intern(key)
            if key in seen:
                first = f"first at {seen[key].line + 1}:{seen[key].column + 1}"
                self._problem(name, (*path, key), f"is there twice in the same map, {first}", "remove one of the two")
            seen.setdefault(key, name.start_mark)
            built[key] = self.build(child, (*path, key))

    def _too_much(self, node: yaml.Node, path: tuple[str | int, ...]) -> bool:
        self.count += len(node.value) + 1
        if len(path) > MAX_DEPTH and not self.problems:
            self._problem(node, path[:1], f"is nested more than {MAX_DEPTH} deep", "see its anchors")
        elif self.count > MAX_UNFOLDED and not self.problems:
            self._problem(node, path[:1], f"unfolds to more than {MAX_UNFOLDED} values", "write its aliases out")
        return len(path) > MAX_DEPTH or self.count > MAX_UNFOLDED

    def _scalar(self, node: yaml.ScalarNode, path: tuple[str | int, ...]) -> Any:
        if node.tag == QUOTED:
            return node.value
        value = resolve_plain(node.value) if node.tag == PLAIN else self._tagged(node, path)
        if isinstance(value, float) and not math.isfinite(value):
            self._problem(node, path, "is no number that JSON has", "put it in quotes if it is meant as text")
        return value

    def _tagged(self, node: yaml.ScalarNode, path: tuple[str | int, ...]) -> Any:
        kind = node.tag.removeprefix(TAG)
        if kind in ("str", "!"):
            return node.value
        if kind == "binary":
            try:
                return base64.b64decode(node.value, validate=False).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                return self._problem(node, path, "is not base64", "correct it, or remove the tag")
        value = resolve_plain(node.value)
        whole = isinstance(value, int) and not isinstance(value, bool)
        fits = {"int": whole, "float": whole or isinstance(value, float), "bool": isinstance(value, bool)}
        if fits.get(kind, kind == "null" and value is None):
            return value
        if kind == "timestamp":
            return node.value
        return self._problem(node, path, f"has a tag that does not fit: {node.tag}", "remove the tag")

    def _problem(self, node: yaml.Node, path: tuple[str | int, ...], message: str, fix: str) -> None:
        mark = node.start_mark
        self.problems.append(FileProblem(self.file, mark.line + 1, mark.column + 1, dotted(path), message, fix))


def is_merge(node: yaml.Node) -> bool:
    """True for an unquoted `<<`."""
    return node.value == MERGE and node.tag in (PLAIN, TAG + "merge")


def merged(node: yaml.Node) -> list[yaml.MappingNode]:
    """The maps that a merge key brings, the one that wins last."""
    parts = reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]
    return [part for part in parts if isinstance(part, yaml.MappingNode)]


def key_of_node(node: yaml.Node) -> str | None:
    """A key's text; None where it can be none."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    return key_text(node.value) if node.tag == PLAIN else str(node.value)


def dotted(path: Iterable[str | int]) -> str:
    """`("spec", "do", 0)` → `spec.do[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def place(node: yaml.Node, path: Sequence[str | int]) -> tuple[int, int]:
    """Line and column, from 1, of a value's key or list item; where it is absent, of its nearest parent."""
    mark = node.start_mark
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        at, node = found
        mark = at.start_mark
    return mark.line + 1, mark.column + 1


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if not isinstance(node, yaml.MappingNode):
        return None
    for name, child in reversed(node.value):
        if is_merge(name):
            inner = next((found for one in reversed(merged(child)) if (found := _child(one, part))), None)
            if inner:
                return inner
        elif key_of_node(name) == part:
            return name, child
    return None
