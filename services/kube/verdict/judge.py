"""The verdict on one object: in sync, changed, missing, or not to be judged; which fields; and which engine says so.

The local comparison needs read rights only and decides most cases alone: no difference, no question. A difference is
put to the server as a dry-run of the very apply that would correct it. Where the server refuses or the token may not,
the local verdict stands and `reason` says why. Called by the watcher, the reconciler and `setpoint diff`.
"""

from dataclasses import dataclass
from typing import Literal

from schemas.events import DriftState, FindingReason
from services.kube.api.cluster import Cluster
from services.kube.api.errors import ApiError, Forbidden, Invalid, Unavailable
from services.kube.comparison.additions import additions, less_defaults, less_emptied, without_defaults
from services.kube.comparison.applying import appliable
from services.kube.comparison.defaulted import follows
from services.kube.comparison.diff import predicted_diff, subset_diff, undeclarable
from services.kube.comparison.schema import SchemaNode
from services.kube.declaration.baselines import Declared, OriginKind
from services.kube.declaration.origins.note import as_of
from services.kube.objects import Object, ObjectKey, metadata_of
from services.kube.pointer import FieldDiff, parse_pointer
from services.kube.verdict.autoscaled import without_autoscaled
from services.kube.verdict.excuses import excuse, own_rules
from services.kube.verdict.gitops import trouble_of
from services.kube.writers.marks import claimed_by

Engine = Literal["dry-run", "local"]
PROBE_SUFFIX = "-setpoint-probe"
ALLOCATED = ("clusterIP", "clusterIPs", "healthCheckNodePort")
LONGEST_NAME = 63  # of a Service, the strictest kind
NAMESPACE = "Namespace"
WITH_THE_OBJECT = (OriginKind.LAST_APPLIED, OriginKind.APPLICATION)  # a declaration that goes when the object goes


@dataclass(frozen=True)
class Finding:
    """`state` None means in sync. Paths are pointers into the live object; values are plain, so mask before telling.

    `reason` says why the server's own word is missing, or with the state "unjudged" why there is no verdict; `message`
    says it in words without values. `left` are pointers that differ and are others' to write.
    """

    state: DriftState | None
    fields: tuple[FieldDiff, ...] = ()
    engine: Engine = "local"
    reason: FindingReason | None = None
    message: str = ""
    left: tuple[str, ...] = ()


IN_SYNC = Finding(None)
MISSING = Finding(DriftState.MISSING)


def unjudged(reason: FindingReason, message: str, fields: tuple[FieldDiff, ...] = ()) -> Finding:
    """No verdict, and why."""
    return Finding(DriftState.UNJUDGED, fields, "local", reason, message)


def stands_aside(declared: Declared, live: Object | None) -> Finding | None:
    """Why an object is not to be judged, as far as it and its declaration say; None where it is."""
    if declared.rivals:
        names = "' and '".join((declared.baseline, *declared.rivals))
        return unjudged(FindingReason.CLAIMED_TWICE, f"declared by the baselines '{names}'")
    if live is None:
        return None
    deleted = metadata_of(live).get("deletionTimestamp")
    if deleted:
        waits = metadata_of(live).get("finalizers")
        holds = f", held by {', '.join(map(str, waits))}" if isinstance(waits, list) and waits else ""
        return unjudged(FindingReason.TERMINATING, f"is being deleted since {deleted}{holds}")
    return None


def ignored(declared: Declared, manifest: Object) -> tuple[str, ...]:
    """The pointers of all rules that hold for a declared object whatever it looks like now."""
    return (*declared.ignore, *own_rules(manifest))


def local_fields(declared: Declared, live: Object, schema: SchemaNode) -> tuple[list[FieldDiff], list[FieldDiff]]:
    """Read-only comparison: (declared fields that differ, fields that somebody added). Tens of µs when nothing does."""
    obj = declared.obj
    ignore = ignored(declared, obj)
    differing = subset_diff(obj, live, schema, ignore)
    added = additions(obj, live, schema, declared.trusted, ignore, declared.manager)
    return less_emptied(differing, added), added


async def judge(
    cluster: Cluster, declared: Declared, live: Object | None, *, dry_run: bool = True, quick: bool = False
) -> Finding:
    """The verdict. Raises ApiError only where the API server is away.

    `quick` asks the server about additions only: for who applies the manifest right away, which is the same question.
    """
    aside = stands_aside(declared, live)
    if aside:
        return aside
    if live is None and declared.origin.kind in WITH_THE_OBJECT:
        return IN_SYNC
    found = IN_SYNC
    if declared.origin.kind is not OriginKind.APPLICATION:
        found = await _compared(cluster, as_of(declared, live), live, dry_run, quick)
    trouble = trouble_of(live) if declared.application and live and not found.state else None
    return Finding(DriftState.CHANGED, reason=trouble.reason, message=trouble.message) if trouble else found


async def _compared(cluster: Cluster, declared: Declared, live: Object | None, dry_run: bool, quick: bool) -> Finding:
    """The verdict of manifest against live object."""
    if not cluster.catalogue.serves(declared.key.group, declared.version, declared.key.kind):
        return unjudged(FindingReason.NOT_SERVED, f"{declared.key.kind} is not served as {declared.api_version}")
    if live is None:
        return IN_SYNC if _goes_by_itself(declared) else await _missing(cluster, declared.key)
    schema = await cluster.schema(declared.obj)
    differing, added = local_fields(declared, live, schema)
    if not differing and not added:
        return IN_SYNC
    differing, left = excuse(differing, live, declared.key, declared.trusted, declared.manager)
    added, spared = excuse(added, live, declared.key, declared.trusted, declared.manager)
    differing, scaled = await without_autoscaled(cluster, declared.key, live, differing)
    left = (*left, *spared, *scaled)
    differing, unknown = undeclarable(differing, declared.obj, schema)
    if not differing and not added:
        return _unknown(unknown) if unknown else Finding(None, left=left)
    claim = None if declared.take_over else claimed_by(live)
    if claim:
        return unjudged(FindingReason.FOREIGN_OWNED, claim, (*differing, *less_defaults(live, added, schema)))
    if unknown or not dry_run or (quick and not added):
        added = added if quick and not unknown else less_defaults(live, added, schema)
        return _local([*differing, *added], unknown, left)
    return await confirm(cluster, declared, live, schema, differing, added, left)


def _goes_by_itself(declared: Declared) -> bool:
    """True for a Job with a time to live: once it is done, its absence is what was declared."""
    if declared.key.kind != "Job" or declared.key.group != "batch":
        return False
    spec = declared.obj.get("spec")
    return isinstance(spec, dict) and spec.get("ttlSecondsAfterFinished") is not None


async def _missing(cluster: Cluster, key: ObjectKey) -> Finding:
    """Nothing can be made in a namespace that is going away, and whoever deletes it wants that."""
    space = await cluster.get(ObjectKey("", NAMESPACE, "", key.namespace)) if key.namespace else None
    if space is not None and metadata_of(space).get("deletionTimestamp"):
        return unjudged(FindingReason.TERMINATING, f"its namespace '{key.namespace}' is being deleted")
    return MISSING


async def confirm(
    cluster: Cluster, declared: Declared, live: Object, schema: SchemaNode, differing: list[FieldDiff],
    added: list[FieldDiff], left: tuple[str, ...] = (),
) -> Finding:  # fmt: skip
    """Put the local verdict to the server: what differs by a dry-run apply, what was added by a dry-run create."""
    obj, fields, why = declared.obj, differing, None
    rules = (*ignored(declared, obj), *left)
    try:
        if differing:
            predicted = await cluster.apply(appliable(obj, live, rules, schema), dry_run=True)
            fields = less_followers(predicted_diff(predicted, live, schema, obj, rules), live, obj)
    except ApiError as error:
        why = refusal(error)
    try:
        if added:
            created = await cluster.create(probe_of(declared), dry_run=True)
            added = without_defaults(added, created, live, schema)
    except ApiError as error:
        refused = refusal(error)
        why, added = why if fields else refused, less_defaults(live, added, schema)
    found = [*fields, *not_covered(added, fields)]
    fields, more = excuse(found, live, declared.key, declared.trusted, declared.manager)
    reason, message = why or (None, "")
    state = DriftState.CHANGED if fields else None
    return Finding(state, tuple(fields), "local" if why else "dry-run", reason, message, (*left, *more))


def less_followers(fields: list[FieldDiff], live: Object, obj: Object) -> list[FieldDiff]:
    """The differences less what an apply would take away only because another field brought it."""
    return [diff for diff in fields if diff.kind != "added" or not follows(live, obj, parse_pointer(diff.path))]


def not_covered(added: list[FieldDiff], fields: list[FieldDiff]) -> list[FieldDiff]:
    """The additions that no addition among `fields` holds already. A removal at the same path is another item."""
    known = tuple(diff.path for diff in fields if diff.kind == "added")
    return [diff for diff in added if not any(diff.path == path or diff.path.startswith(path + "/") for path in known)]


def _local(fields: list[FieldDiff], unknown: list[FieldDiff], left: tuple[str, ...]) -> Finding:
    """The local verdict, where nobody asked the server, or where it would refuse the manifest."""
    reason, message = (FindingReason.UNKNOWN_FIELD, _unknown(unknown).message) if unknown else (None, "")
    state = DriftState.CHANGED if fields else DriftState.UNJUDGED if unknown else None
    return Finding(state, tuple(fields), "local", reason, message, left)


def _unknown(fields: list[FieldDiff]) -> Finding:
    message = "the manifest has fields that the kind does not know: " + ", ".join(diff.path for diff in fields)
    return unjudged(FindingReason.UNKNOWN_FIELD, message, tuple(fields))


def probe_of(declared: Declared) -> Object:
    """The manifest under a name that nobody has: a dry-run create of it shows what defaults the server adds."""
    return probe(declared.obj)


def probe(obj: Object) -> Object:
    """The same of a manifest that nobody declares yet."""
    name = str(obj["metadata"]["name"])[: LONGEST_NAME - len(PROBE_SUFFIX)].rstrip(".-") + PROBE_SUFFIX
    made = {**obj, "metadata": {**obj["metadata"], "name": name}}
    if obj.get("kind") == "Service" and isinstance(obj.get("spec"), dict):
        made["spec"] = _unallocated(obj["spec"])
    return made


def _unallocated(spec: Object) -> Object:
    """A Service's spec without the addresses and ports that only one Service may have."""
    bare = {name: value for name, value in spec.items() if name not in ALLOCATED}
    if isinstance(spec.get("ports"), list):
        ports = [port for port in spec["ports"] if isinstance(port, dict)]
        bare["ports"] = [{name: value for name, value in port.items() if name != "nodePort"} for port in ports]
    return bare


def refusal(error: ApiError) -> tuple[FindingReason, str]:
    """Why a dry-run gave no verdict, with the server's words. Raises the error where the server is only away."""
    if isinstance(error, Unavailable):
        raise error
    if isinstance(error, Forbidden):
        return FindingReason.FORBIDDEN, error.message
    if isinstance(error, Invalid):
        return error.finding, error.message
    return FindingReason.INVALID, error.message
