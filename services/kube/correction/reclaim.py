"""Field ownership taken back: what people's tools own of the declared fields becomes Setpoint's alone.

Server-side apply takes a field over only where it changes its value. Whoever created the object, or edited a field back
and forth, keeps a share of it, and a later apply that leaves the field out would not remove it. Done after the apply,
so that a crash in between leaves what was there before: a share too many. Source: Kubernetes' server-side apply
documentation, "Clearing managedFields", and the same step in Flux (fluxcd/pkg, ssa/manager_apply.go).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.kube.api.cluster import Cluster
from services.kube.api.errors import Conflict, Forbidden, Invalid
from services.kube.objects import Object, key_of, managed_fields, metadata_of, version_of
from services.kube.pointer import Segments, matches, parse_ignore
from services.kube.writers.ownership import child_at
from services.kube.writers.trust import OURS, is_person, trusts

LOOKS = 5
Fields = Mapping[str, Any]  # FieldsV1, see services/kube/writers/ownership.py


async def reclaim(cluster: Cluster, stored: Object, trusted: frozenset[str], left: Iterable[str]) -> Object:
    """The object after people's tools have lost their share. It is left as it is where others keep writing, and where
    the server refuses that: the correction itself is done.

    The patch tests the resourceVersion, since ownership of fields that have changed meanwhile means something else.
    """
    patterns = parse_ignore(left)
    for _ in range(LOOKS):
        entries = reclaimed(stored, trusted, patterns)
        if entries is None:
            return stored
        test = {"op": "test", "path": "/metadata/resourceVersion", "value": metadata_of(stored)["resourceVersion"]}
        replace = {"op": "replace", "path": "/metadata/managedFields", "value": entries}
        try:
            return await cluster.json_patch(key_of(stored), version_of(stored), [test, replace])
        except Conflict:
            newer = await cluster.get(key_of(stored), version_of(stored))
            if newer is None:
                raise
            stored = newer
        except (Invalid, Forbidden):
            break
    return stored


def reclaimed(
    live: Object, trusted: frozenset[str], patterns: tuple[Segments, ...] = ()
) -> list[dict[str, Any]] | None:
    """managedFields less what people share with Setpoint's apply; None where they share nothing.

    `trusted` managers keep theirs, and so does everybody below a pattern. Setpoint's own plain updates lose theirs too:
    an apply never removes what an update owns.
    """
    entries = list(managed_fields(live))
    ours = next((entry for entry in entries if _is_ours(entry)), None)
    if ours is None:
        return None
    kept = []
    for entry in entries:
        if not _gives_up(entry, ours, trusted):
            kept.append(entry)
            continue
        fields = less(entry.get("fieldsV1") or {}, ours.get("fieldsV1") or {}, live, patterns)
        if fields:
            kept.append({**entry, "fieldsV1": fields})
    return kept if kept != entries else None


def less(theirs: Fields, ours: Fields, live: Any, patterns: tuple[Segments, ...], at: Segments = ()) -> dict[str, Any]:
    """`theirs` without what `ours` has. A list item that is ours goes with the defaults that its creator got."""
    rest: dict[str, Any] = {}
    for step, below in theirs.items():
        if step == ".":
            continue
        place = child_at(step, live)
        path = (*at, place[0] if place else step)
        if step not in ours or any(matches(pattern, path) for pattern in patterns):
            rest[step] = below
            continue
        mine, inside = ours[step], any(matches(pattern[: len(path)], path) for pattern in patterns)
        if bool(below) != bool(mine) and "." not in mine:
            rest[step] = below  # the field itself against something inside it: not the same
        elif below and (inside or not step.startswith("k:") or "." not in mine):
            deeper = less(below, mine, place[1] if place else None, patterns, path)
            if deeper:
                rest[step] = deeper
    return rest


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") in OURS and entry.get("operation") == "Apply" and not entry.get("subresource")


def _gives_up(entry: Mapping[str, Any], ours: Mapping[str, Any], trusted: frozenset[str]) -> bool:
    manager = str(entry.get("manager"))
    if entry.get("subresource") or entry.get("apiVersion") != ours.get("apiVersion"):
        return False
    if manager in OURS:
        return entry.get("operation") == "Update"
    return is_person(manager) and not trusts(trusted, manager)
