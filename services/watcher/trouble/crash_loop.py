"""A container that ends again and again: the kubelet waits longer each time before it starts it once more.

It is not over as soon as the container runs: between two crashes it always does. It must have been up for `linger`.
"""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import child, text
from services.watcher.trouble.found import (
    Alert,
    Trouble,
    containers,
    count,
    created,
    first_moment,
    own_labels,
    subject_of,
)  # fmt: skip

ALERT = Alert("KubePodCrashLooping", Severity.WARNING, hold=timedelta(minutes=1), linger=timedelta(minutes=5))
"""Named as in kubernetes-mixin."""
REASON = "CrashLoopBackOff"


def look(pod: Object, now: datetime) -> Trouble | None:
    """The container that was started most often, of those that wait for their next start."""
    waiting = [one for one in containers(pod) if at(one, ("state", "waiting", "reason")) == REASON]
    if not waiting:
        return None
    worst = max(waiting, key=lambda one: count(one.get("restartCount")))
    last = child(child(worst, "lastState"), "terminated")
    container, reason, restarts = text(worst, "name"), text(last, "reason"), count(worst.get("restartCount"))
    ended = f": {reason} with exit code {last.get('exitCode')}" if reason else ""
    return Trouble(
        ALERT, subject_of(pod),
        since=first_moment(last.get("finishedAt"), at(pod, ("status", "startTime")), created(pod)),
        summary=f"container {container} was started {restarts + 1} times and ends each time{ended}",
        labels={**own_labels(pod), "container": container, "reason": REASON},
        values={"restarts": restarts, "exitCode": count(last.get("exitCode")), "lastReason": reason},
    )  # fmt: skip
