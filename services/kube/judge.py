"""The verdict on one object: in sync, changed or missing; which fields; and which engine says so.

The local comparison needs read rights only and decides most cases alone: no difference, no question. A difference is
put to the server as a dry-run of the very apply that would correct it. Where the server refuses or the token may not,
the local verdict stands and `engine_reason` says why. Called by the watcher, the reconciler and `setpoint diff`.
"""

from dataclasses import dataclass
from typing import Literal

from services.kube.additions import additions, less_defaults, without_defaults
from services.kube.baselines import Declared
from services.kube.cluster import Cluster
from services.kube.diff import predicted_diff, subset_diff
from services.kube.errors import ApiError, Forbidden, Invalid, Unavailable
from services.kube.objects import Object
from services.kube.pointer import FieldDiff, parse_ignore, without
from services.kube.schema import SchemaNode

Engine = Literal["dry-run", "local"]
PROBE_SUFFIX = "-setpoint-probe"
ALLOCATED = ("clusterIP", "clusterIPs", "healthCheckNodePort")
LONGEST_NAME = 63  # of a Service, the strictest kind


@dataclass(frozen=True)
class Finding:
    """`state` None means in sync. Paths are pointers into the live object; values are plain, so mask before telling."""

    state: Literal["changed", "missing"] | None
    fields: tuple[FieldDiff, ...] = ()
    engine: Engine = "local"
    engine_reason: str | None = None


IN_SYNC = Finding(None)
MISSING = Finding("missing")


def local_fields(declared: Declared, live: Object, schema: SchemaNode) -> tuple[list[FieldDiff], list[FieldDiff]]:
    """Read-only comparison: (declared fields that differ, fields that somebody added). Tens of µs when nothing does."""
    obj = declared.obj
    differing = subset_diff(obj, live, schema, declared.ignore)
    return differing, additions(obj, live, schema, declared.trusted, declared.ignore)


async def judge(
    cluster: Cluster, declared: Declared, live: Object | None, *, dry_run: bool = True, quick: bool = False
) -> Finding:
    """The verdict. Raises ApiError only where the API server is away.

    `quick` asks the server about additions only: for who applies the manifest right away, which is the same question.
    """
    if live is None:
        return MISSING
    schema = await cluster.schema(declared.obj)
    differing, added = local_fields(declared, live, schema)
    if not differing and not added:
        return IN_SYNC
    if quick and not added:
        return _finding(differing, "not asked")
    if not dry_run:
        return _finding([*differing, *less_defaults(live, added)], "not asked")
    return await confirm(cluster, declared, live, schema, differing, added)


async def confirm(
    cluster: Cluster, declared: Declared, live: Object, schema: SchemaNode, differing: list[FieldDiff],
    added: list[FieldDiff],
) -> Finding:  # fmt: skip
    """Put the local verdict to the server: what differs by a dry-run apply, what was added by a dry-run create."""
    fields, why = differing, None
    try:
        if differing:
            predicted = await cluster.apply(appliable(declared), dry_run=True)
            fields = predicted_diff(predicted, live, schema, declared.obj, declared.ignore)
    except ApiError as error:
        why = refusal(error)
    try:
        if added:
            added = without_defaults(added, await cluster.create(probe_of(declared), dry_run=True))
    except ApiError as error:
        refused = refusal(error)
        why, added = why if fields else refused, less_defaults(live, added)
    return _finding([*fields, *not_covered(added, fields)], why)


def not_covered(added: list[FieldDiff], fields: list[FieldDiff]) -> list[FieldDiff]:
    """The additions that no addition among `fields` holds already. A removal at the same path is another item."""
    known = tuple(diff.path for diff in fields if diff.kind == "added")
    return [diff for diff in added if not any(diff.path == path or diff.path.startswith(path + "/") for path in known)]


def _finding(fields: list[FieldDiff], why: str | None) -> Finding:
    """`why` is the reason for which the server's own word is missing somewhere in it."""
    return Finding("changed" if fields else None, tuple(fields), "local" if why else "dry-run", why)


def probe_of(declared: Declared) -> Object:
    """The manifest under a name that nobody has: a dry-run create of it shows what defaults the server adds."""
    obj = declared.obj
    name = str(obj["metadata"]["name"])[: LONGEST_NAME - len(PROBE_SUFFIX)].rstrip(".-") + PROBE_SUFFIX
    probe = {**obj, "metadata": {**obj["metadata"], "name": name}}
    if obj.get("kind") == "Service" and isinstance(obj.get("spec"), dict):
        probe["spec"] = _unallocated(obj["spec"])
    return probe


def _unallocated(spec: Object) -> Object:
    """A Service's spec without the addresses and ports that only one Service may have."""
    bare = {name: value for name, value in spec.items() if name not in ALLOCATED}
    if isinstance(spec.get("ports"), list):
        ports = [port for port in spec["ports"] if isinstance(port, dict)]
        bare["ports"] = [{name: value for name, value in port.items() if name != "nodePort"} for port in ports]
    return bare


def appliable(declared: Declared) -> Object:
    """The manifest without what the baseline's ignore rules leave to others: what an apply may send."""
    pruned = without(declared.obj, (), parse_ignore(declared.ignore))
    return pruned if isinstance(pruned, dict) else declared.obj


def refusal(error: ApiError) -> str:
    """Why a dry-run gave no verdict, as one of a few words. Raises the error where the server is only away."""
    if isinstance(error, Forbidden):
        return "forbidden"
    if isinstance(error, Invalid):
        return "immutable" if error.immutable else "invalid"
    if isinstance(error, Unavailable):
        raise error
    return "refused"
