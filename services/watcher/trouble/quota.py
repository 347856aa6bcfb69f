"""A ResourceQuota that is used up, and a workload that gets no pods since a quota is in the way.

The first is a state of the quota. The second is known from Events alone: who makes the pods is told why it may not.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.comparison.equality import quantity
from services.kube.objects import Object, managed_fields
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import child, text
from services.watcher.trouble.found import (
    Alert,
    Trouble,
    created,
    event_count,
    event_times,
    first_moment,
    involved,
    own_labels,
    subject_of,
)  # fmt: skip

FULL = Alert("KubeQuotaFullyUsed", Severity.INFO, hold=timedelta(minutes=5), linger=timedelta(minutes=1))
"""Named as in kubernetes-mixin."""
HIT = Alert("KubeQuotaExceeded", Severity.WARNING)
EVENT_REASONS = frozenset({"FailedCreate", "ProvisioningFailed"})
WORDS = "exceeded quota"
MAKERS = frozenset({"ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController", "PersistentVolumeClaim"})
LASTS = timedelta(minutes=15)


def full(quota: Object, now: datetime) -> Trouble | None:
    """A limit of nothing forbids, and is not used up."""
    used_up = sorted(_used_up(quota))
    if not used_up:
        return None
    return Trouble(
        FULL, subject_of(quota), since=_counted(quota), summary=f"used up: {', '.join(used_up)}",
        labels={**own_labels(quota), "resources": ",".join(used_up)},
        values={name: f"{at(quota, ('status', 'used', name))}" for name in used_up},
    )  # fmt: skip


def hit(event: Object, now: datetime) -> Trouble | None:
    """What a controller was told that wanted to make a pod."""
    first, last = event_times(event)
    about, message = involved(event, MAKERS), text(event, "message")
    if about is None or text(event, "reason") not in EVENT_REASONS or WORDS not in message or now >= last + LASTS:
        return None
    return Trouble(
        HIT, about, since=first, until=last + LASTS, summary=message,
        labels={"reason": WORDS}, values={"failures": event_count(event)},
    )  # fmt: skip


def _used_up(quota: Object) -> Iterator[str]:
    status = child(quota, "status")
    hard, used = child(status, "hard"), child(status, "used")
    for name in hard:
        most, now = quantity(str(hard[name])), quantity(str(used.get(name, "0")))
        if most is not None and now is not None and now >= most > 0:
            yield name


def _counted(quota: Object) -> datetime:
    """When what is used was last counted anew."""
    times = [first_moment(one.get("time")) for one in managed_fields(quota) if one.get("subresource") == "status"]
    return max(times, default=first_moment(created(quota)))
