"""Field ownership taken back: what people's tools own of the declared fields becomes Setpoint's alone.

Server-side apply takes a field over only where it changes its value. Whoever created the object, or edited a field back
and forth, keeps a share of it, and a later apply that leaves the field out would not remove it. Done after the apply,
so that a crash in between leaves what was there before: a share too many. Source: Kubernetes' server-side apply
documentation, "Clearing managedFields", and the same step in Flux (fluxcd/pkg, ssa/manager_apply.go).

Dangerous: an owner is the only proof of an addition. What a person has added since the verdict keeps its owner, or else
nobody would ever be told of it.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from services.kube.api.cluster import Cluster
from services.kube.api.errors import Conflict, Forbidden, Invalid
from services.kube.comparison.additions import additions
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, key_of, managed_fields, metadata_of, version_of
from services.kube.pointer import FieldDiff, Rules, Segments, covers, parse_ignore, parse_pointer, rules_of
from services.kube.pointer import below as deeper
from services.kube.verdict.judge import confirm
from services.kube.writers.listed import indexes_of
from services.kube.writers.trust import OURS, is_person, trusts
from services.runtime.backoff import Backoff
from services.runtime.clock import Sleep

LOOKS = 10
FIRST_WAIT_S, MOST_WAIT_S = 0.02, 0.5  # some three seconds in all
Fields = Mapping[str, Any]  # FieldsV1, see services/kube/writers/ownership.py


async def reclaim(
    cluster: Cluster, declared: Declared, stored: Object, left: tuple[str, ...], sleep: Sleep = asyncio.sleep
) -> Object:
    """The object after people's tools have lost their share. It is left as it is where others keep writing, and where
    the server refuses that: the correction itself is done.

    The patch tests the resourceVersion, since ownership of fields that have changed meanwhile means something else.
    Controllers write status all the while that a changed workload rolls out: each look but the first is short.
    """
    shares, backoff = _Shares(cluster, declared, left), Backoff(FIRST_WAIT_S, MOST_WAIT_S)
    for _ in range(LOOKS):
        entries = await shares.reclaimed(stored)
        if entries is None:
            return stored
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": metadata_of(stored)["resourceVersion"]}
        replace = {"op": "replace", "path": "/metadata/managedFields", "value": entries}
        try:
            return await cluster.json_patch(key_of(stored), version_of(stored), [test, replace])
        except Conflict:
            await sleep(backoff.next())
            newer = await cluster.get(key_of(stored), version_of(stored))
            if newer is None:
                raise
            stored = newer
        except (Invalid, Forbidden):
            break
    return stored


class _Shares:
    """What people's tools give up. The server's answer about an object holds until more than its status is written."""

    def __init__(self, cluster: Cluster, declared: Declared, left: tuple[str, ...]) -> None:
        self.cluster, self.declared, self.left = cluster, declared, left
        self.patterns = parse_ignore(left)
        self._about: Object | None = None
        self._theirs: tuple[Segments, ...] = ()

    async def reclaimed(self, stored: Object) -> list[dict[str, Any]] | None:
        """managedFields as they shall be; None where they may stay. The server is asked only where an addition would
        lose its owner, since the defaults around it look like additions too."""
        entries = reclaimed(stored, self.declared.trusted, self.patterns)
        if entries is None:
            return None
        schema = await self.cluster.schema(self.declared.obj)
        added = additions(self.declared.obj, stored, schema, self.declared.trusted, self.left, self.declared.manager)
        if entries == reclaimed(stored, self.declared.trusted, (*self.patterns, *_paths(added))):
            return entries
        about = _less_status(stored)
        if self._about != about:
            finding = await confirm(self.cluster, self.declared, stored, schema, [], added, self.left)
            self._about, self._theirs = about, _paths(finding.fields)
        return reclaimed(stored, self.declared.trusted, (*self.patterns, *self._theirs))


def _less_status(obj: Object) -> Object:
    """The object as all but controllers' reports have it."""
    metadata = {name: value for name, value in metadata_of(obj).items() if name != "resourceVersion"}
    metadata["managedFields"] = [entry for entry in managed_fields(obj) if not entry.get("subresource")]
    return {**{name: value for name, value in obj.items() if name != "status"}, "metadata": metadata}


def _paths(diffs: Iterable[FieldDiff]) -> tuple[Segments, ...]:
    return tuple(parse_pointer(diff.path) for diff in diffs)


def reclaimed(
    live: Object, trusted: frozenset[str], patterns: tuple[Segments, ...] = ()
) -> list[dict[str, Any]] | None:
    """managedFields less what people share with Setpoint's apply; None where they share nothing.

    `trusted` managers keep theirs, and so does everybody below a pattern. Setpoint's own plain updates lose theirs too:
    an apply never removes what an update owns.
    """
    entries, rules = list(managed_fields(live)), rules_of(patterns)
    ours = next((entry for entry in entries if _is_ours(entry)), None)
    if ours is None:
        return None
    kept = []
    for entry in entries:
        if not _gives_up(entry, ours, trusted):
            kept.append(entry)
            continue
        fields = less(entry.get("fieldsV1") or {}, ours.get("fieldsV1") or {}, live, rules)
        if fields:
            kept.append({**entry, "fieldsV1": fields})
    return kept if kept != entries else None


def less(theirs: Fields, ours: Fields, live: Any, rules: Rules) -> dict[str, Any]:
    """`theirs` without what `ours` has. A list item that is ours goes with the defaults that its creator got."""
    rest: dict[str, Any] = {}
    places = _places(theirs, live)
    for step, below in theirs.items():
        if step == ".":
            continue
        name, child = places.get(step, (step, None))
        inside = deeper(rules, name)
        if step not in ours or covers(inside):
            rest[step] = below
            continue
        mine = ours[step]
        if bool(below) != bool(mine) and "." not in mine:
            rest[step] = below  # the field itself against something inside it: not the same
        elif below and (inside or not step.startswith("k:") or "." not in mine):
            kept = less(below, mine, child, inside)
            if kept:
                rest[step] = kept
    return rest


def _places(fields: Fields, value: Any) -> dict[str, tuple[str, Any]]:
    """Where the steps lead in a live value, less those that lead nowhere now."""
    if isinstance(value, list):
        return {step: (str(at), value[at]) for step, at in indexes_of(fields, value).items()}
    names = {step: step[2:] for step in fields if step.startswith("f:")}
    return {step: (name, value[name]) for step, name in names.items() if isinstance(value, dict) and name in value}


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") in OURS and entry.get("operation") == "Apply" and not entry.get("subresource")


def _gives_up(entry: Mapping[str, Any], ours: Mapping[str, Any], trusted: frozenset[str]) -> bool:
    manager = str(entry.get("manager"))
    if entry.get("subresource") or entry.get("apiVersion") != ours.get("apiVersion"):
        return False
    if manager in OURS:
        return entry.get("operation") == "Update"
    return is_person(manager) and not trusts(trusted, manager)
