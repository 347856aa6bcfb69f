"""What is declared: Baseline documents and the manifests they name, as one state without contradictions.

A digest says whether anything declared has changed; it is the same in every process that reads the same files.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from sys import intern

import orjson

from schemas.baseline import Baseline, IgnoreRule
from services.kube.manifests import Manifest, each_manifest
from services.kube.objects import Object, ObjectKey, key_of, version_of
from services.kube.packing import Packer
from services.runtime.errors import FileProblem, UserFileError
from services.runtime.userfiles import Loaded, in_order, scan

Packers = dict[tuple[str, str], Packer]

BARE = "folder"  # the baseline's name where a bare folder of manifests is compared


@dataclass(frozen=True, slots=True)
class Declared:
    """One object that a baseline declares. `ignore` are the JSON pointers of the rules that select it.

    The manifest is held packed, since a service holds all of them for as long as it runs.
    """

    baseline: str
    key: ObjectKey
    version: str
    packed: bytes
    packer: Packer
    ignore: tuple[str, ...]
    trusted: frozenset[str]
    manager: str | None
    file: str
    line: int
    digest: str

    @property
    def obj(self) -> Object:
        """The manifest, unpacked anew at each access (some 20 µs): take it once and pass it on."""
        return self.packer.unpack(self.packed)

    def bound_to(self, bind: Callable[[Object], Object]) -> "Declared":
        """The same with the namespace that `bind` gives the manifest; itself where that changes nothing."""
        obj = self.obj
        bound = bind(obj)
        if bound is obj:
            return self
        return replace(self, key=key_of(bound), packed=self.packer.pack(bound))


@dataclass(frozen=True)
class DeclaredState:
    """Everything that is declared. `digest` changes whenever an object, a rule or a trusted manager does."""

    objects: tuple[Declared, ...]
    names: tuple[str, ...]
    digest: str


def load_baselines(path: Path) -> DeclaredState:
    """The baselines at or below `path` with their manifests. Raises UserFileError with all problems."""
    documents, problems = scan(path)
    entries = [entry for entry in documents if isinstance(entry.model, Baseline)]
    if not entries and not problems:
        fix = "write one; docs/files.md has an example"
        raise UserFileError([FileProblem(str(path), 1, 1, "", "holds no Baseline", fix)])
    objects: list[Declared] = []
    packers: Packers = {}
    for entry in entries:
        try:
            objects += _declare(entry, packers)
        except UserFileError as error:
            problems += error.problems
    problems += _twice(objects)
    if problems:
        raise UserFileError(in_order(problems))
    return _state(objects, sorted(_baseline(entry).metadata.name for entry in entries))


def folder_state(folder: Path) -> DeclaredState:
    """A folder's own baselines where it has any; else every manifest in it, as one baseline without rules."""
    documents, problems = scan(folder)
    if problems or any(isinstance(entry.model, Baseline) for entry in documents):
        return load_baselines(folder)
    packers: Packers = {}
    objects = [_declared(BARE, manifest, (), frozenset(), None, packers) for manifest in each_manifest(folder)]
    if not objects:
        fix = "name a folder with *.yaml, *.yml or *.json manifests"
        raise UserFileError([FileProblem(str(folder), 1, 1, "", "holds no manifests", fix)])
    problems = _twice(objects)
    if problems:
        raise UserFileError(problems)
    return _state(objects, [BARE])


def watched_paths(path: Path) -> list[Path]:
    """`path` and the folders that its baselines name, for whoever watches for changes. Broken files name none."""
    entries = [entry for entry in scan(path)[0] if isinstance(entry.model, Baseline)]
    return [path, *(source_folder(entry) for entry in entries)]


def source_folder(entry: Loaded) -> Path:
    """Where a baseline's manifests are: relative to the file that names them."""
    return entry.file.parent / _baseline(entry).spec.source.folder


def _baseline(entry: Loaded) -> Baseline:
    assert isinstance(entry.model, Baseline)
    return entry.model


def _declare(entry: Loaded, packers: Packers) -> list[Declared]:
    baseline, folder = _baseline(entry), source_folder(entry)
    spec, name = baseline.spec, baseline.metadata.name
    trusted = frozenset(spec.trusted_managers) | ({spec.manager} if spec.manager else frozenset())
    manifests = each_manifest(folder) if folder.is_dir() else iter(())
    objects = [_declared(name, manifest, spec.ignore, trusted, spec.manager, packers) for manifest in manifests]
    if not objects:
        message = f"'{folder}' holds no manifests" if folder.is_dir() else f"there is no folder '{folder}'"
        where = ("spec", "source", "folder")
        fix = "name a folder with manifests, relative to this file"
        raise UserFileError([entry.problem(where, ".".join(where), message, fix)])
    return objects


def _declared(
    baseline: str, manifest: Manifest, rules: Iterable[IgnoreRule], trusted: frozenset[str], manager: str | None,
    packers: Packers,
) -> Declared:  # fmt: skip
    key = key_of(manifest.obj)
    ignore = tuple(rule.path for rule in rules if selects(rule, key))
    digest = _digest([manifest.obj, ignore, sorted(trusted)])
    packer = packers.setdefault((key.group, key.kind), Packer())
    return Declared(
        baseline, key, intern(version_of(manifest.obj)), packer.pack(manifest.obj), packer, ignore, trusted, manager,
        manifest.file, manifest.line, digest,
    )  # fmt: skip


def selects(rule: IgnoreRule, key: ObjectKey) -> bool:
    """True when every given part of the rule, a name or a glob, fits the object."""
    parts = ((rule.kind, key.kind), (rule.namespace, key.namespace), (rule.name, key.name))
    return all(glob is None or fnmatchcase(value, glob) for glob, value in parts)


def _twice(objects: Iterable[Declared]) -> list[FileProblem]:
    first: dict[ObjectKey, Declared] = {}
    problems = []
    for declared in objects:
        other = first.setdefault(declared.key, declared)
        if other is not declared:
            message = f"{declared.key} is declared twice: here by baseline '{declared.baseline}'"
            message += f", and at {other.file}:{other.line} by '{other.baseline}'"
            problems.append(FileProblem(declared.file, declared.line, 1, "", message, "remove one of the two"))
    return problems


def _state(objects: list[Declared], names: list[str]) -> DeclaredState:
    rows = sorted([declared.baseline, *declared.key, declared.digest] for declared in objects)
    return DeclaredState(tuple(objects), tuple(names), _digest([names, rows]))


def _digest(value: object) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
