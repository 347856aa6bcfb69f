"""A pod that fits on no node. The scheduler's own words are in the pod's condition, so its Events are not needed."""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object
from services.runtime.alerts.loose import text
from services.watcher.trouble.found import Alert, Trouble, condition, created, first_moment, own_labels, subject_of

ALERT = Alert("KubePodUnschedulable", Severity.WARNING, hold=timedelta(minutes=1), linger=timedelta(seconds=30))
"""A minute is what a cluster autoscaler takes to say that it will help; nodes take longer, and people wish to know."""
REASON = "Unschedulable"


def look(pod: Object, now: datetime) -> Trouble | None:
    """A pod that is held back by a scheduling gate waits on purpose and is none."""
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") != REASON:
        return None
    return Trouble(
        ALERT, subject_of(pod), since=first_moment(scheduled.get("lastTransitionTime"), created(pod)),
        summary=text(scheduled, "message") or "no node can take the pod",
        labels={**own_labels(pod), "reason": REASON},
    )  # fmt: skip
