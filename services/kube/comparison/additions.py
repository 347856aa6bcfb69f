"""Fields that somebody added who had no business there: below no declared path, and owned by an untrusted manager.

What a comparison with the declared state cannot see by itself, since the declaration never named them. Proof is
managedFields: a leaf that an untrusted manager owns and no trusted one. Two things look like additions and are none:
defaults that the server put in when that manager created the object (taken out by comparing with a dry-run create of
the same manifest, `without_defaults`, or where the token may not, by what is known of them, `less_defaults`), and
annotations that tools leave as their own bookkeeping.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from services.kube.comparison.counterparts import Counterparts
from services.kube.comparison.defaulted import defaulted, follows
from services.kube.comparison.diff import METADATA, declared
from services.kube.comparison.leftovers import behind
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.comparison.topmost import Topmost, node_at
from services.kube.comparison.uncovered import uncovered
from services.kube.comparison.untracked import NOBODY, came_with_it, every_leaf, is_untracked
from services.kube.objects import LAST_APPLIED, Object, managed_fields, metadata_of
from services.kube.pointer import FieldDiff, Segments, parse_ignore, parse_pointer, resolve, to_pointer
from services.kube.writers.ownership import Writers, owned_leaves, parse_time
from services.kube.writers.trust import OURS, is_controller, is_person, trusts

BOOKKEEPING = frozenset(
    {
        LAST_APPLIED,
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
        "kubectl.kubernetes.io/restartedAt",
        "kubernetes.io/change-cause",
        "kubernetes.io/metadata.name",
    }
)
OWN_METADATA = ("labels", "annotations")
# Controllers, of which nobody knows all names, hold objects by these; only what a person's tool wrote there counts.
HOLDS = ("finalizers", "ownerReferences")
SAME_MOMENT = timedelta(seconds=1)  # creationTimestamp and an entry's time are both cut to whole seconds


def additions(
    desired: Object, live: Object, schema: SchemaNode, trusted: frozenset[str], ignore: Iterable[str] = (),
    applier: str | None = None,
) -> list[FieldDiff]:  # fmt: skip
    """Everything that an untrusted manager added, each once at the topmost path that is all its own, kind "added".

    What Setpoint and the `applier` of the baseline hold by an apply, and the manifest declares no longer, is one as
    well. An addition that an ignore rule covers in part is told, and taken out, by its parts that no rule covers.
    """
    entries = [part for entry in managed_fields(live) if (part := _of_the_object(entry)) is not None]
    foreign = [entry for entry in entries if not trusts(trusted, str(entry.get("manager")))]
    desired = declared(desired)
    foreign += behind(desired, live, applier)
    unknown = every_leaf(live) if is_untracked(live) else ()
    if not foreign and not unknown:
        return []
    nobodys = [entry for entry in foreign if entry.get("manager") == NOBODY]
    unproven = {*unknown, *(leaf for entry in nobodys for leaf in _written(entry, live, applier))}
    proven = {leaf for entry in foreign if entry not in nobodys for leaf in _written(entry, live, applier)}
    theirs = sorted(proven | {leaf for leaf in unproven if not came_with_it(live, leaf)})
    pairs = Counterparts()
    candidates = [
        (leaf, top) for leaf in theirs if (top := _undeclared(leaf, desired, live, schema, pairs)) is not None
    ]
    if not candidates:
        return []
    rest = [entry for entry in entries if not any(entry is other for other in foreign)]
    ours = {parse_pointer(leaf) for entry in rest for leaf in owned_leaves(entry, live)}
    topmost = Topmost(live, schema, theirs, ours)
    tops = {path for leaf, top in candidates if leaf not in ours and (path := topmost.between(top, leaf)) is not None}
    alone = [path for path in sorted(tops) if not any(path[:length] in tops for length in range(1, len(path)))]
    found = [path for path in alone if not follows(live, desired, path)]
    patterns = parse_ignore(ignore)
    told = (part for path in found for part in uncovered(path, resolve(live, path), node_at(schema, path), patterns))
    return [FieldDiff(to_pointer(path), "added", None, resolve(live, path)) for path in told]


def _of_the_object(entry: Object) -> Object | None:
    """What an entry holds of the object itself. Whoever may write a status may set annotations on the way."""
    if not entry.get("subresource") or _scaled_by_hand(entry):
        return entry
    fields = entry.get("fieldsV1")
    if entry["subresource"] != "status" or not isinstance(fields, dict) or "f:metadata" not in fields:
        return None
    return {**entry, "fieldsV1": {"f:metadata": fields["f:metadata"]}}


def _scaled_by_hand(entry: Object) -> bool:
    """True for `kubectl scale` and its like. Other writers of this subresource are autoscalers of whatever name."""
    return entry.get("subresource") == "scale" and is_person(str(entry.get("manager")))


def less_emptied(differing: list[FieldDiff], added: list[FieldDiff]) -> list[FieldDiff]:
    """The differences without those where nothing was declared, explicitly, and what is there was added.

    An apply of an empty list leaves a list of others alone, so that only its removal helps.
    """
    places = {diff.path for diff in added}
    return [diff for diff in differing if diff.desired not in ([], {}) or diff.path not in places]


def _written(entry: Object, live: Object, applier: str | None) -> Iterator[Segments]:
    """The leaves that an entry may have added, less the holds of what may be a controller, and a deployer's marks."""
    manager = str(entry.get("manager"))
    spared = () if is_person(manager) else HOLDS
    for leaf in map(parse_pointer, owned_leaves(entry, live)):
        if leaf[:1] != ("metadata",) or (manager != applier and not (leaf[1:2] and leaf[1] in spared)):
            yield leaf


def without_defaults(diffs: list[FieldDiff], created: Object, live: Object, schema: SchemaNode) -> list[FieldDiff]:
    """The additions less what a create of the same manifest would hold in the same place, list items by their keys."""
    pairs = Counterparts()
    return [diff for diff in diffs if _same_place(parse_pointer(diff.path), live, created, schema, pairs) != diff.live]


def _same_place(path: Segments, live: Any, created: Any, schema: SchemaNode, pairs: Counterparts) -> Any:
    """What stands in another object where `path` leads in `live`; None where nothing does."""
    steps = [have for have, _ in _walk(path, created, live, schema, pairs, atomic=True)]
    return steps[-1] if len(steps) == len(path) else None


def less_defaults(live: Object, added: list[FieldDiff], schema: SchemaNode = UNKNOWN) -> list[FieldDiff]:
    """The additions that neither came with the object nor say what the server would have said anyway.

    Only a plain write makes its manager the owner of defaults, so what was applied was meant.
    """
    maker, writers = creator(live), Writers(live)
    came = (_came_by_itself(live, writers, diff, maker, schema) for diff in added)
    return [diff for diff, itself in zip(added, came, strict=True) if _applied(writers, diff) or not itself]


def _applied(known: Writers, diff: FieldDiff) -> bool:
    writers = [owner for owner in known.of(diff.path) if owner.manager not in OURS]
    return any(owner.operation == "Apply" and not is_controller(owner.manager) for owner in writers)


def _came_by_itself(live: Object, writers: Writers, diff: FieldDiff, maker: str | None, schema: SchemaNode) -> bool:
    return _only(writers, diff, maker) or defaulted(live, diff.path, diff.live, schema)


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


def _only(known: Writers, diff: FieldDiff, maker: str | None) -> bool:
    """True where `maker` is the one untrusted writer of the field."""
    writers = {owner.manager for owner in known.of(diff.path)} - OURS
    return maker is not None and {writer for writer in writers if not is_controller(writer)} == {maker}


def _undeclared(
    leaf: Segments, desired: Object, live: Object, schema: SchemaNode, pairs: Counterparts
) -> Segments | None:
    """The first path on the way to `leaf` that the manifest does not declare; None where it declares all of it."""
    if not leaf or leaf[0] in ("status", "apiVersion", "kind"):
        return None
    if leaf[0] == "metadata":
        return _undeclared_metadata(leaf, desired, live)
    if any(one in BOOKKEEPING and place == "annotations" for place, one in pairwise(leaf)):
        return None
    for length, (have, there) in enumerate(_walk(leaf, desired, live, schema, pairs), start=1):
        nothing = length == len(leaf) and have in ([], {}) and there not in (None, [], {})
        if have is None or nothing:  # to the server, declaring nothing there and not declaring it is the same
            return leaf[:length]
    return None


def _undeclared_metadata(leaf: Segments, desired: Object, live: Object) -> Segments | None:
    if len(leaf) < 3 or leaf[2] in BOOKKEEPING:
        return None
    have = resolve(desired, leaf[:2])
    if leaf[1] in OWN_METADATA:
        return leaf[:3] if leaf[2] not in (have or {}) else None
    if leaf[1] in HOLDS:
        return leaf[:3] if not isinstance(have, list) or resolve(live, leaf[:3]) not in have else None
    return None


def _walk(
    leaf: Segments, desired: Any, live: Any, node: SchemaNode, pairs: Counterparts, *, atomic: bool = False
) -> Iterator[tuple[Any, Any]]:
    """Go down `leaf` in both; yields (declared value or None where it ends, live value) a step.

    Ends at an atomic list, which is compared whole; `atomic` goes on into it by index.
    """
    for step, segment in enumerate(leaf):
        if isinstance(desired, dict) and isinstance(live, dict):
            node = (
                METADATA if segment == "metadata" and not step else node.fields.get(segment) or node.values or UNKNOWN
            )
            desired, live = desired.get(segment), live.get(segment)
        elif isinstance(desired, list) and isinstance(live, list) and segment.isdigit():
            if node.list_type not in ("map", "set") and not atomic:
                return
            at = int(segment)
            live_item = live[at] if at < len(live) else None
            desired, live, node = pairs.of(desired, live, at, node), live_item, node.items or UNKNOWN
        else:
            return
        yield desired, live
        if desired is None:
            return
