"""Whether Helm is at work on a release just now, so that what differs is no drift yet.

An upgrade stores its revision, changes the objects, and marks the revision deployed at last; an uninstall marks the
release, deletes the objects, and then what is stored.
"""

from datetime import datetime, timedelta

from services.kube.api.cluster import Cluster
from services.kube.api.errors import Forbidden, Unavailable
from services.kube.declaration.baselines import Declared, Origin, OriginKind
from services.kube.declaration.origins.stored import DEPLOYED, KINDS, OWNED, Stored, each_stored, revision_word
from services.runtime.clock import SystemClock

UNDER_WAY = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")
PATIENCE = timedelta(minutes=15)  # an operation that is older was broken off
RETRY_S = 5.0


class Moving(Unavailable):
    """The release is being changed, or has been since it was read: no verdict on its objects just now."""


async def refuse_moving(cluster: Cluster, declared: Declared, now: datetime | None = None) -> None:
    """Raise Moving where a difference may come from an operation of Helm that is under way, or was since the read.

    For whoever is about to tell or to correct a difference. Costs a list of the release's few revisions; nothing for
    objects of other origins.
    """
    if declared.origin.kind is not OriginKind.HELM:
        return
    why = motion(await _revisions(cluster, declared.origin), declared.revision, now or SystemClock().now())
    if why:
        raise Moving(f"helm release {declared.origin.namespace}/{declared.origin.name} {why}", retry_after=RETRY_S)


def motion(revisions: list[Stored] | None, known: str | None, now: datetime) -> str | None:
    """What happens to a release whose revision `known` was read; None where nothing does, or nobody can tell."""
    if revisions is None:
        return None
    if not revisions:
        return "is no longer there"
    newest = max(revisions, key=lambda stored: stored.revision)
    deployed = max((stored.revision for stored in revisions if stored.status == DEPLOYED), default=None)
    if newest.status in UNDER_WAY and now - parse_time(newest.created, now) < PATIENCE:
        return f"is in {newest.status}, revision {newest.revision}"
    if deployed is None or revision_word(newest.release, deployed) != known:
        return "is no longer deployed" if deployed is None else f"is at revision {deployed} by now"
    return None


async def _revisions(cluster: Cluster, origin: Origin) -> list[Stored] | None:
    """What is stored of a release; None where the token may not see it."""
    seen = False
    for kind in KINDS:
        try:
            labels = f"{OWNED},name={origin.name}"
            found = [stored async for stored in each_stored(cluster, kind, origin.namespace, labels)]
        except Forbidden:
            continue
        if found:
            return found
        seen = True
    return [] if seen else None


def parse_time(text: str, otherwise: datetime) -> datetime:
    """A Kubernetes time; `otherwise` where there is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return otherwise
