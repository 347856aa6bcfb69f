"""What is declared: Baseline documents and the manifests they name, as one state without contradictions.

A digest says whether anything declared has changed; it is the same in every process that reads the same sources.
Files are read here; what only a cluster knows is read by `kube/declaration/origins`, through the same `declare`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from sys import intern
from typing import NamedTuple

import orjson

from schemas.baseline import Baseline, BaselineSpec, IgnoreRule, Source
from services.kube.declaration.gitrev import revision_of
from services.kube.declaration.kustomize import build
from services.kube.declaration.manifests import Manifest, each_manifest
from services.kube.declaration.packing import Packer
from services.kube.declaration.surroundings import around
from services.kube.objects import Object, ObjectKey, key_of, version_of
from services.runtime.errors import FileProblem, UserFileError
from services.runtime.userfiles import Loaded, in_order, scan

Packers = dict[tuple[str, str], Packer]

BARE = "folder"  # the baseline's name where a bare folder of manifests is compared


class OriginKind(StrEnum):
    """Where a declaration was found, which says what else has to be asked before it counts."""

    FILES = "files"
    HELM = "helm"
    LAST_APPLIED = "last-applied"
    APPLICATION = "application"  # of Argo CD or Flux: nothing is declared, only watched


class Origin(NamedTuple):
    """One place that declares objects; for a Helm release its namespace and name."""

    kind: OriginKind
    namespace: str = ""
    name: str = ""


FILES = Origin(OriginKind.FILES)


@dataclass(frozen=True, slots=True)
class Declared:
    """One object that a baseline declares. `ignore` are the JSON pointers of the rules that select it.

    `revision` is the source's own word for its state, `rivals` the other baselines that declare the object as well.
    `application`: its status as an application of Argo CD or Flux counts too. `observe` says why it must never be
    corrected, "" where it may be.

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
    revision: str | None = None
    rivals: tuple[str, ...] = ()
    take_over: bool = False
    origin: Origin = FILES
    application: bool = False
    observe: str = ""

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.key.group}/{self.version}" if self.key.group else self.version

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

    def saying(self, manifest: Object) -> "Declared":
        """The same object declared by another manifest."""
        packed = self.packer.pack(manifest)
        if packed == self.packed:
            return self
        return replace(self, packed=packed, version=version_of(manifest), digest=digest_of([self.digest, manifest]))


@dataclass(frozen=True)
class DeclaredState:
    """Everything that files declare, and all baselines, also those whose objects only the cluster knows.

    `digest` changes whenever an object, a rule or a trusted manager does.
    """

    objects: tuple[Declared, ...]
    names: tuple[str, ...]
    digest: str
    baselines: tuple[Baseline, ...] = ()

    def same_as(self, other: "DeclaredState") -> bool:
        """True where who uses the other needs to do nothing. A new revision of the same objects is no such case."""
        return self.digest == other.digest and self.revisions == other.revisions

    @property
    def revisions(self) -> frozenset[tuple[str, str | None]]:
        """What each baseline is at."""
        return frozenset((declared.baseline, declared.revision) for declared in self.objects)


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
    return state_of(objects, [_baseline(entry) for entry in entries])


def folder_state(folder: Path) -> DeclaredState:
    """A folder's own baselines where it has any; else every manifest in it, as one baseline without rules."""
    documents, problems = scan(folder)
    if problems or any(isinstance(entry.model, Baseline) for entry in documents):
        return load_baselines(folder)
    bare = Baseline.model_validate(
        {
            "apiVersion": "setpoint.dev/v1alpha1",
            "kind": "Baseline",
            "metadata": {"name": BARE},
            "spec": {"source": {"folder": str(folder)}},
        }
    )
    packers: Packers = {}
    revision = revision_of(folder)
    objects = [declare(bare, manifest, packers, revision=revision) for manifest in each_manifest(folder)]
    if not objects:
        fix = "name a folder with *.yaml, *.yml or *.json manifests"
        raise UserFileError([FileProblem(str(folder), 1, 1, "", "holds no manifests", fix)])
    problems = _twice(objects)
    if problems:
        raise UserFileError(problems)
    return state_of(objects, [bare])


def watched_paths(path: Path) -> list[Path]:
    """`path` and what its baselines are made from, for whoever watches for changes. Broken files name nothing."""
    found = [path]
    for entry in scan(path)[0]:
        folder = source_folder(entry) if isinstance(entry.model, Baseline) else None
        if folder:
            found += [folder, *around(folder, kustomize=_baseline(entry).spec.source.kustomize is not None)]
    return list(dict.fromkeys(found))


def source_folder(entry: Loaded) -> Path | None:
    """Where a baseline's manifests are, relative to the file that names them; None for one in the cluster."""
    source = _baseline(entry).spec.source
    name = source.folder if source.folder is not None else source.kustomize
    return None if name is None else entry.file.parent / name


def _baseline(entry: Loaded) -> Baseline:
    assert isinstance(entry.model, Baseline)
    return entry.model


def _declare(entry: Loaded, packers: Packers) -> list[Declared]:
    baseline, folder = _baseline(entry), source_folder(entry)
    if folder is None:
        return []
    revision = revision_of(folder) if folder.is_dir() else None
    manifests = _manifests(baseline.spec.source, folder) if folder.is_dir() else iter(())
    objects = [declare(baseline, manifest, packers, revision=revision) for manifest in manifests]
    if not objects:
        message = f"'{folder}' holds no manifests" if folder.is_dir() else f"there is no folder '{folder}'"
        where = ("spec", "source", "folder" if baseline.spec.source.kustomize is None else "kustomize")
        fix = "name a folder with manifests, relative to this file"
        raise UserFileError([entry.problem(where, ".".join(where), message, fix)])
    return objects


def _manifests(source: Source, folder: Path) -> Iterator[Manifest]:
    return each_manifest(folder) if source.kustomize is None else iter(build(folder))


def declare(
    baseline: Baseline, manifest: Manifest, packers: Packers, *, origin: Origin = FILES, manager: str | None = None,
    revision: str | None = None, observe: str = "", application: bool = False,
) -> Declared:  # fmt: skip
    """One manifest under a baseline's rules. `manager` is who applies it where the baseline does not say."""
    spec, key = baseline.spec, key_of(manifest.obj)
    applier = spec.manager or manager
    ignore, trusted = ignored_by(spec, key), trusted_by(spec.trusted_managers, applier)
    digest = digest_of([manifest.obj, ignore, sorted(trusted), applier, spec.take_over, origin.kind, application])
    packer = packers.setdefault((key.group, key.kind), Packer())
    return Declared(
        baseline.metadata.name, key, intern(version_of(manifest.obj)), packer.pack(manifest.obj), packer, ignore,
        trusted, applier, manifest.file, manifest.line, digest, revision, (), spec.take_over, origin, application,
        observe,
    )  # fmt: skip


def ignored_by(spec: BaselineSpec, key: ObjectKey) -> tuple[str, ...]:
    """The pointers of the rules that select an object."""
    return tuple(rule.path for rule in spec.ignore if selects(rule, key))


@lru_cache(maxsize=256)
def trusted_by(managers: tuple[str, ...], applier: str | None) -> frozenset[str]:
    """Whose additions are no drift, besides those of controllers. One set for all objects of a baseline."""
    return frozenset(managers) | ({applier} if applier else frozenset())


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


def state_of(objects: Iterable[Declared], baselines: Iterable[Baseline]) -> DeclaredState:
    """Objects of files and all baselines as one state."""
    found, known = tuple(objects), tuple(sorted(baselines, key=lambda baseline: baseline.metadata.name))
    rows = sorted([declared.baseline, *declared.key, declared.digest] for declared in found)
    names = tuple(baseline.metadata.name for baseline in known)
    specs = [baseline.model_dump(mode="json") for baseline in known]
    return DeclaredState(found, names, digest_of([specs, rows]), known)


def digest_of(value: object) -> str:
    """32 hex digits that are the same for equal values."""
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()
