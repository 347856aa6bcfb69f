"""Fields that somebody added who had no business there: below no declared path, and owned by an untrusted manager.

What a comparison with the declared state cannot see by itself, since the declaration never named them. Proof is
managedFields: a leaf that an untrusted manager owns and no trusted one. Two things look like additions and are none:
defaults that the server put in when that manager created the object (taken out by comparing with a dry-run create of
the same manifest, `without_defaults`, or where the token may not, by what is known of them, `less_defaults`), and
annotations that tools leave as their own bookkeeping.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from services.kube.defaults import is_default
from services.kube.diff import METADATA, declared, pair_up
from services.kube.objects import LAST_APPLIED, Object, managed_fields, metadata_of
from services.kube.ownership import owned_leaves, owners, parse_time
from services.kube.pointer import FieldDiff, Segments, apply_ignore, parse_pointer, resolve, to_pointer
from services.kube.schema import UNKNOWN, SchemaNode

# Kubernetes' own writers. `setpoint` is among them because what it put there is the baseline's.
KUBERNETES = frozenset(
    "kube-apiserver kube-controller-manager cloud-controller-manager kube-scheduler kubelet kube-proxy "
    "clusterrole-aggregation-controller horizontal-pod-autoscaler vpa-recommender vpa-updater setpoint "
    "before-first-apply".split()
)
BOOKKEEPING = frozenset(
    {
        LAST_APPLIED,
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
        "kubectl.kubernetes.io/restartedAt",
        "kubernetes.io/change-cause",
    }
)
OWN_METADATA = ("labels", "annotations")
SAME_MOMENT = timedelta(seconds=1)  # creationTimestamp and an entry's time are both cut to whole seconds


def additions(
    desired: Object, live: Object, schema: SchemaNode, trusted: frozenset[str], ignore: Iterable[str] = ()
) -> list[FieldDiff]:
    """Everything that an untrusted manager added, each once at the topmost path that is all its own, kind "added"."""
    entries = [entry for entry in managed_fields(live) if not entry.get("subresource")]
    foreign = [entry for entry in entries if str(entry.get("manager")) not in KUBERNETES | trusted]
    if not foreign:
        return []
    desired = declared(desired)
    tops: dict[str, Segments] = {}
    theirs = {leaf for entry in foreign for leaf in owned_leaves(entry, live)}
    candidates = [(leaf, _undeclared(parse_pointer(leaf), desired, live, schema)) for leaf in sorted(theirs)]
    if any(top is not None for _, top in candidates):
        ours = {leaf for entry in entries if entry not in foreign for leaf in owned_leaves(entry, live)}
        for leaf, top in candidates:
            if top is not None and leaf not in ours:
                path = top if _all_theirs(to_pointer(top), ours) else parse_pointer(leaf)
                tops[to_pointer(path)] = path
    found = [FieldDiff(pointer, "added", None, resolve(live, path)) for pointer, path in tops.items()]
    return apply_ignore([diff for diff in found if not _covered(diff.path, tops)], ignore)


def without_defaults(diffs: list[FieldDiff], created: Object) -> list[FieldDiff]:
    """The additions less what a create of the same manifest would hold there as well."""
    return [diff for diff in diffs if resolve(created, parse_pointer(diff.path)) != diff.live]


def less_defaults(live: Object, added: list[FieldDiff]) -> list[FieldDiff]:
    """The additions that neither came with the object nor say what the server would have said anyway."""
    maker = creator(live)
    return [diff for diff in added if not _only(live, diff, maker) and not is_default(_field_of(diff), diff.live)]


def creator(live: Object) -> str | None:
    """The untrusted manager that created the object by a plain POST and has not written since; None for none.

    Of several that wrote in the object's first second, the one that owns most. Server-side apply leaves no defaults
    to its manager, so an object that was made so has no creator in this sense.
    """
    created = parse_time(metadata_of(live).get("creationTimestamp"))
    if created is None:
        return None
    first = [entry for entry in managed_fields(live) if not entry.get("subresource") and _by(entry, created)]
    if not first or any(entry.get("operation") != "Update" for entry in first):
        return None
    return str(max(first, key=lambda entry: len(str(entry.get("fieldsV1")))).get("manager"))


def _by(entry: Object, created: datetime) -> bool:
    written = parse_time(entry.get("time"))
    return written is not None and written <= created + SAME_MOMENT


def _only(live: Object, diff: FieldDiff, maker: str | None) -> bool:
    """True where `maker` is the one untrusted writer of the field."""
    writers = {owner.manager for owner in owners(live, diff.path)} - KUBERNETES
    return maker is not None and writers == {maker}


def _field_of(diff: FieldDiff) -> str:
    return next((segment for segment in reversed(parse_pointer(diff.path)) if not segment.isdigit()), "")


def _all_theirs(top: str, ours: set[str]) -> bool:
    return not any(leaf == top or leaf.startswith(top + "/") for leaf in ours)


def _covered(pointer: str, tops: dict[str, Segments]) -> bool:
    return any(pointer.startswith(other + "/") for other in tops if other != pointer)


def _undeclared(leaf: Segments, desired: Object, live: Object, schema: SchemaNode) -> Segments | None:
    """The first path on the way to `leaf` that the manifest does not declare; None where it declares all of it."""
    if not leaf or leaf[0] in ("status", "apiVersion", "kind"):
        return None
    if leaf[0] == "metadata" and (len(leaf) < 3 or leaf[1] not in OWN_METADATA or leaf[2] in BOOKKEEPING):
        return None
    if leaf[0] == "metadata":
        return leaf if leaf[2] not in (resolve(desired, leaf[:2]) or {}) else None
    if BOOKKEEPING.intersection(leaf):
        return None
    for length, (have, _) in enumerate(_walk(leaf, desired, live, schema), start=1):
        if have is None:
            return leaf[:length]
    return None


def _walk(leaf: Segments, desired: Any, live: Any, node: SchemaNode) -> Iterator[tuple[Any, Any]]:
    """Go down `leaf` in both; yields (declared value or None where it ends, live value) a step."""
    for step, segment in enumerate(leaf):
        if isinstance(desired, dict) and isinstance(live, dict):
            node = (
                METADATA if segment == "metadata" and not step else node.fields.get(segment) or node.values or UNKNOWN
            )
            desired, live = desired.get(segment), live.get(segment)
        elif isinstance(desired, list) and isinstance(live, list) and segment.isdigit():
            if node.list_type not in ("map", "set"):
                return  # an atomic list is compared whole
            at = int(segment)
            live_item = live[at] if at < len(live) else None
            desired, live, node = _counterpart(desired, live, at, node), live_item, node.items or UNKNOWN
        else:
            return
        yield desired, live
        if desired is None:
            return


def _counterpart(desired: list[Any], live: list[Any], at: int, node: SchemaNode) -> Any:
    """The declared item that the live item at index `at` answers to."""
    if node.list_type == "set":
        return live[at] if at < len(live) and live[at] in desired else None
    places = pair_up(live, desired, node) if all(isinstance(item, dict) for item in live) else []
    position = places[at] if at < len(places) else None
    return None if position is None else desired[position]
