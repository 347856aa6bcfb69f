"""An object that should be gone by now: something holds a finalizer, a node is away, or a namespace does not empty."""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object, metadata_of
from services.runtime.alerts.loose import text
from services.watcher.trouble.found import Alert, Subject, Trouble, first_moment, maps, own_labels, subject_of

ALERT = Alert("KubeStuckTerminating", Severity.WARNING, hold=timedelta(minutes=5))
FINALIZERS = 5


def look(obj: Object, now: datetime) -> Trouble | None:
    """`deletionTimestamp` is when it should be gone: the grace period is in it. The object itself is what it is about,
    since its owner has another one by now."""
    metadata = metadata_of(obj)
    if not metadata.get("deletionTimestamp"):
        return None
    itself = subject_of(obj)
    held = metadata.get("finalizers")
    finalizers = [one for one in held if isinstance(one, str)] if isinstance(held, list) else []
    remaining = _remaining(obj)
    return Trouble(
        ALERT, Subject(itself.key, itself.uid), since=first_moment(metadata["deletionTimestamp"]),
        summary=remaining or f"it should be gone; finalizers: {', '.join(finalizers[:FINALIZERS]) or 'none'}",
        labels={**own_labels(obj), "finalizers": ",".join(finalizers[:FINALIZERS])},
        values={"finalizers": len(finalizers)},
    )  # fmt: skip


def _remaining(obj: Object) -> str:
    """What a namespace says of what is left in it."""
    status = obj.get("status")
    conditions = list(maps(status.get("conditions"))) if isinstance(status, dict) else []
    for kind in ("NamespaceFinalizersRemaining", "NamespaceContentRemaining", "NamespaceDeletionDiscoveryFailure"):
        for one in conditions:
            if one.get("type") == kind and one.get("status") == "True":
                return text(one, "message")
    return ""
