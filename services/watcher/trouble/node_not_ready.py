"""A node whose kubelet says that it cannot run pods (`False`), or has said nothing for a while (`Unknown`)."""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import text
from services.watcher.trouble.found import Alert, Trouble, condition, created, first_moment, own_labels, subject_of

ALERT = Alert("KubeNodeNotReady", Severity.CRITICAL, hold=timedelta(minutes=1), linger=timedelta(seconds=30))
"""Named as in kubernetes-mixin."""


def look(node: Object, now: datetime) -> Trouble | None:
    """A node that never said anything is one that is about to come."""
    ready = condition(node, "Ready")
    if not ready or ready.get("status") == "True":
        return None
    return Trouble(
        ALERT, subject_of(node), since=first_moment(ready.get("lastTransitionTime"), created(node)),
        summary=text(ready, "message") or "the node is not ready",
        labels={**own_labels(node), "reason": text(ready, "reason"), "status": text(ready, "status")},
        values={"cordoned": at(node, ("spec", "unschedulable")) is True},
    )  # fmt: skip
