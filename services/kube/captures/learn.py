"""Who writes into what is declared, and which of them a baseline might trust: a proposal for a person to read.

A manager that nobody knows and that writes into many objects is usually a controller; one that looks like a person's
tool is never proposed. Reads only.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import groupby

from services.kube.comparison.additions import additions, less_defaults
from services.kube.comparison.schema import SchemaNode
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, managed_fields
from services.kube.writers.ownership import owned_leaves, owner_of, owners
from services.kube.writers.trust import OURS, is_person, known, trusts

NOBODY: frozenset[str] = frozenset()


class Standing(StrEnum):
    """What a field manager is, as far as its name tells."""

    KUBERNETES = "kubernetes"  # shipped: Kubernetes' own
    OPERATOR = "operator"  # shipped: a known operator
    PERSON = "person"  # shipped: a tool that somebody sits in front of
    SETPOINT = "setpoint"
    APPLIER = "applier"  # the baseline's `manager`
    TRUSTED = "trusted"  # among the baseline's `trustedManagers` already
    UNKNOWN = "unknown"


@dataclass
class Writer:
    """One field manager in the objects of one baseline. `added` counts fields that nobody declared."""

    baseline: str
    manager: str
    standing: Standing
    objects: int = 0
    fields: int = 0
    added: int = 0
    first: datetime | None = None
    last: datetime | None = None
    operations: Counter[str] = field(default_factory=Counter)

    @property
    def proposed(self) -> bool:
        """Only who added something needs trust; who changed declared values only would have its changes excused."""
        return self.standing is Standing.UNKNOWN and self.added > 0


class Lesson:
    """Fed with every declared object and what is there."""

    def __init__(self) -> None:
        self.writers: dict[tuple[str, str], Writer] = {}

    def see(self, declared: Declared, live: Object, schema: SchemaNode) -> None:
        """Take one object into account."""
        found = less_defaults(live, additions(declared.obj, live, schema, NOBODY), schema)
        added = Counter(_authors(live, [diff.path for diff in found]))
        by_manager: dict[str, list[Object]] = {}
        for entry in managed_fields(live):
            if entry.get("subresource") != "status":
                by_manager.setdefault(str(entry.get("manager") or ""), []).append(entry)
        for manager, entries in by_manager.items():
            writer = self._writer(declared, manager)
            writer.objects += 1
            writer.added += added[manager]
            for entry in entries:
                owner = owner_of(entry)
                writer.fields += sum(1 for _ in owned_leaves(entry, live))
                writer.operations[owner.operation] += 1
                times = [time for time in (owner.time, writer.first, writer.last) if time]
                writer.first, writer.last = min(times, default=None), max(times, default=None)

    def _writer(self, declared: Declared, manager: str) -> Writer:
        key = (declared.baseline, manager)
        if key not in self.writers:
            self.writers[key] = Writer(declared.baseline, manager, standing(declared, manager))
        return self.writers[key]

    def found(self) -> list[Writer]:
        """By baseline, those that write most first."""
        return sorted(self.writers.values(), key=lambda one: (one.baseline, -one.fields, one.manager))


def standing(declared: Declared, manager: str) -> Standing:
    """What a manager is to a baseline."""
    if manager in OURS:
        return Standing.SETPOINT
    if manager == declared.manager:
        return Standing.APPLIER
    for group, found in (("kubernetes", Standing.KUBERNETES), ("operators", Standing.OPERATOR)):
        if any(fnmatchcase(manager, name) for name in known(group)):
            return found
    if trusts(declared.trusted, manager):
        return Standing.TRUSTED
    return Standing.PERSON if is_person(manager) else Standing.UNKNOWN


def applier(writers: Iterable[Writer]) -> str | None:
    """Who probably applies the manifests, where the baseline does not say: unknown, no person, and in most objects."""
    found = [one for one in writers if one.standing is Standing.UNKNOWN]
    return max(found, key=lambda one: (one.objects, one.fields)).manager if found else None


def _authors(live: Object, paths: Iterable[str]) -> Iterator[str]:
    """For each path the managers that own it, once each."""
    for path in paths:
        yield from {owner.manager for owner in owners(live, path)}


def snippet(writers: Iterable[Writer]) -> Object:
    """What the baselines' `spec` might say, by baseline; only those for which there is something to say."""
    proposal: Object = {}
    for name, group in groupby(writers, key=lambda one: one.baseline):
        found = list(group)
        spec: Object = {}
        manager = None if any(one.standing is Standing.APPLIER for one in found) else applier(found)
        if manager:
            spec["manager"] = manager
        trusted = sorted(one.manager for one in found if one.proposed and one.manager != manager)
        if trusted:
            spec["trustedManagers"] = trusted
        if spec:
            proposal[name] = spec
    return proposal
