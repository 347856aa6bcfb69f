"""Delete an object and make it anew: the only way to change a field that cannot change.

Dangerous, and done only where a policy says `recreate: true`. The new object is tried as a dry-run first, so that what
would be refused does not cost the old one; what holds data is never deleted. A crash between the two writes leaves a
missing object, which the next correction makes. Called by `services/kube/correction/revert.py`.
"""

import asyncio
from contextlib import suppress

from schemas.events import Reason
from services.kube.api.cluster import Cluster
from services.kube.api.errors import Forbidden, HoldsData, Invalid, NotFound, Unavailable
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, group_of, key_of, metadata_of
from services.kube.verdict.judge import probe_of
from services.runtime.clock import Sleep

# Deleting one of these deletes what people cannot declare again.
HOLDS_DATA = frozenset(
    {
        ("", "Namespace"),
        ("", "Node"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("snapshot.storage.k8s.io", "VolumeSnapshot"),
        ("snapshot.storage.k8s.io", "VolumeSnapshotContent"),
    }
)
WITH_DEPENDENTS = ("apps", "batch")
BUILT_IN = ".k8s.io"
FIRST_LOOK_S, MOST_WAIT_S = 0.05, 1.0


def holds_data(group: str, kind: str) -> bool:
    """True for kinds that are never deleted by Setpoint."""
    return (group, kind) in HOLDS_DATA


async def creatable(cluster: Cluster, declared: Declared) -> bool:
    """Whether the server would take the manifest as a new object. A quota that the old one fills does not count.

    Raises ApiError where the server is away.
    """
    try:
        await cluster.create(probe_of(declared), dry_run=True)
    except Invalid as error:
        return error.cause is Reason.QUOTA
    except (NotFound, Forbidden):
        return False
    return True


async def recreated(cluster: Cluster, declared: Declared, live: Object, sleep: Sleep = asyncio.sleep) -> Object:
    """The new object. Raises HoldsData where the old one does, and waits for as long as finalizers hold it.

    Whoever calls bounds the time.
    """
    kept = await _kept(cluster, live)
    if kept:
        raise HoldsData(f"it is not made anew, since {kept}", 422, "Invalid")
    key, uid = key_of(live), str(metadata_of(live)["uid"])
    with suppress(NotFound):
        await cluster.delete(key, uid=uid, propagation=propagation_of(live))
    wait = FIRST_LOOK_S
    while await _still_there(cluster, declared, uid):
        await sleep(wait)
        wait = min(MOST_WAIT_S, wait * 1.5)
    return await cluster.apply(declared.obj)


def propagation_of(live: Object) -> str:
    """`Foreground` where the object owns others, so that the old ones are gone when the new object makes its own.

    That is so for workloads and, as far as one can know, for custom resources. Never `Orphan`.
    """
    group = group_of(live)
    built_in = "." not in group or group.endswith(BUILT_IN)
    return "Foreground" if group in WITH_DEPENDENTS or not built_in else "Background"


async def _still_there(cluster: Cluster, declared: Declared, uid: str) -> bool:
    try:
        now = await cluster.get(declared.key, declared.version)
    except Unavailable:  # the delete is done; the create must follow
        return True
    return now is not None and metadata_of(now).get("uid") == uid


async def _kept(cluster: Cluster, live: Object) -> str | None:
    """What would be lost with the object, in words; None where nothing would."""
    key = key_of(live)
    if holds_data(key.group, key.kind):
        return f"a {key.kind} holds what cannot be declared"
    uid, resource = metadata_of(live).get("uid"), cluster.resource("", "PersistentVolumeClaim")
    if not key.namespace or propagation_of(live) == "Background":
        return None
    claims = await cluster.session.request("GET", resource.path(key.namespace))
    owned = [str(metadata_of(claim).get("name")) for claim in claims.get("items") or () if _owned_by(claim, uid)]
    return f"its claims would be deleted with it: {', '.join(owned[:3])}" if owned else None


def _owned_by(claim: Object, uid: object) -> bool:
    owners = metadata_of(claim).get("ownerReferences")
    return any(owner.get("uid") == uid for owner in owners or ())
