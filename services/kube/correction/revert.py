"""The writes of the reconciler's actions: back to the declared state, forward again when that did not help, and away.

Each is safe to repeat. Server-side apply does most; what it cannot do (take out what others added, set what only fits
together, change what cannot change) has a module of its own.
Dangerous: a masked value must never come here; all work on plain objects read from the server just before.
"""

from contextlib import suppress

from schemas.events import DriftState, Reason
from services.kube.api.cluster import Cluster
from services.kube.api.errors import Conflict, Forbidden, Immutable, Invalid, NotFound
from services.kube.comparison.applying import appliable, moved
from services.kube.correction.patching import Patterns, corrected
from services.kube.correction.reclaim import reclaim
from services.kube.correction.recreate import creatable, recreated
from services.kube.correction.removing import less_added, less_refilled
from services.kube.declaration.baselines import Declared
from services.kube.declaration.origins.note import as_of
from services.kube.masking import MaskedValue, is_secret, refuse_masked
from services.kube.objects import Object, key_of, metadata_of, strip
from services.kube.pointer import parse_ignore
from services.kube.verdict.judge import Finding, ignored, judge

LOOKS = 5
UNDO_MANAGER = "setpoint-undo"  # not trusted: what an undo brings back is as much an addition as it was before


async def put_back(
    cluster: Cluster, declared: Declared, live: Object | None, finding: Finding, *, recreate: bool = False
) -> Object:
    """Make the object as declared, and the declared fields Setpoint's own; the object as stored.

    `recreate` allows it to be deleted and made anew where a field cannot change. Raises Conflict where somebody wrote
    meanwhile (look again), Immutable where only making it anew would help, and whatever the server says else.
    """
    if live is not None and finding.state is None:
        return live  # an apply would still bring lists into the manifest's order, which may roll a workload out
    if declared.observe:
        raise Forbidden(f"only observed: {declared.observe}", 403)
    declared = as_of(declared, live)
    obj = declared.obj
    try:
        if is_secret(obj):
            refuse_masked(obj)
    except MaskedValue as error:  # somebody has declared what Setpoint printed
        raise Invalid(str(error), 0, "masked") from error
    rules, schema = ignored(declared, obj), await cluster.schema(obj)
    try:
        stored = await _apply(cluster, declared, live, finding, rules)
    except Invalid as error:
        if live is None:
            raise
        stored = await _otherwise(cluster, declared, rules, error, recreate)
    left = moved(finding.left, live, stored, schema) if live else ()
    return await reclaim(cluster, declared, stored, (*rules, *left))


async def _apply(
    cluster: Cluster, declared: Declared, live: Object | None, finding: Finding, rules: tuple[str, ...]
) -> Object:
    """Remove what was added, then apply the manifest."""
    schema, left = await cluster.schema(declared.obj), (*rules, *finding.left)
    body = appliable(declared.obj, live, left, schema)  # before indexes move
    extra = [diff for diff in finding.fields if diff.kind == "added"]
    if live is None or not extra:
        return await cluster.apply(body)
    less = await less_added(cluster, live, extra, left)
    if len(extra) == len(finding.fields):
        return less
    stored = await cluster.apply(body)
    left = (*rules, *moved(finding.left, live, stored, schema))
    return await less_refilled(cluster, declared, live, stored, extra, left)


async def _otherwise(
    cluster: Cluster, declared: Declared, rules: tuple[str, ...], refused: Invalid, recreate: bool
) -> Object:
    """What else may be done about an apply that was refused for what it would make of the object."""
    immutable = refused.cause is Reason.IMMUTABLE
    if refused.cause not in (Reason.INVALID, Reason.IMMUTABLE) or (immutable and not recreate):
        raise refused
    if not immutable:
        try:
            return await _at_once(cluster, declared, rules)
        except Invalid as error:
            if error.cause not in (Reason.INVALID, Reason.IMMUTABLE):
                raise
    if not await creatable(cluster, declared):
        raise refused  # the manifest itself is wrong
    if not recreate:
        raise Immutable(refused.message, refused.status, refused.reason)
    live, _ = await _look(cluster, declared)
    return await recreated(cluster, declared, live)


async def _at_once(cluster: Cluster, declared: Declared, rules: tuple[str, ...]) -> Object:
    """Undo all differences in one replace, then apply, so that the fields are held as an apply holds them.

    Raises Conflict where others keep writing, Invalid where that is refused as well.
    """
    for left_to_look in reversed(range(LOOKS)):
        live, finding = await _look(cluster, declared)
        left = (*rules, *finding.left)
        try:
            body = appliable(declared.obj, live, left, await cluster.schema(declared.obj))
            await _replaced(cluster, declared, live, finding, parse_ignore(left))
            return await cluster.apply(body)
        except Conflict:  # a controller has written its status, as it does in bursts after a change
            if not left_to_look:
                raise
    raise AssertionError


async def _replaced(cluster: Cluster, declared: Declared, live: Object, finding: Finding, patterns: Patterns) -> Object:
    obj, schema = declared.obj, await cluster.schema(declared.obj)
    try:
        return await cluster.replace(corrected(obj, live, finding.fields, patterns, schema, wider=False))
    except Invalid:
        return await cluster.replace(corrected(obj, live, finding.fields, patterns, schema, wider=True))


async def _look(cluster: Cluster, declared: Declared) -> tuple[Object, Finding]:
    """The object as it is now, and what differs, by the local comparison, since the next write must come soon.

    Raises Conflict where it is another matter by now.
    """
    live = await cluster.get(declared.key, declared.version)
    finding = await judge(cluster, declared, live, dry_run=False)
    if live is None or finding.state is not DriftState.CHANGED:
        raise Conflict("it is not what was judged any more", 409)
    return live, finding


async def put_forward(cluster: Cluster, before: Object | None, after: Object) -> None:
    """Undo a revert: what stood before stands again. An object that the revert had made is deleted, by its uid.

    Raises Conflict where somebody wrote after the revert: then theirs stands.
    """
    metadata = metadata_of(after)
    if before is None:
        await cluster.delete(key_of(after), uid=str(metadata["uid"]))
        return
    earlier = metadata_of(before)
    kept = {
        name: earlier[name] for name in ("labels", "annotations", "finalizers", "ownerReferences") if name in earlier
    }
    identity = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion") if name in metadata}
    await cluster.replace({**strip(before), "metadata": {**identity, **kept}}, manager=UNDO_MANAGER)


async def put_away(cluster: Cluster, live: Object) -> None:
    """Delete exactly this object, as it is in `live`. Raises Conflict where it has changed since, or is another one."""
    metadata = metadata_of(live)
    with suppress(NotFound):
        await cluster.delete(key_of(live), uid=str(metadata["uid"]), version=str(metadata["resourceVersion"]))
