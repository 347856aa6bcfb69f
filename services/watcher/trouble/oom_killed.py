"""A container that was killed since it took more memory than its limit. It happened, so it ends by itself after a while
without another one: several in that time are one alert."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from schemas.alerts import Severity
from services.kube.objects import Object
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import child, text
from services.watcher.trouble.found import (
    Alert,
    Trouble,
    containers,
    count,
    first_moment,
    maps,
    own_labels,
    subject_of,
)  # fmt: skip

ALERT = Alert("KubeContainerOOMKilled", Severity.WARNING, linger=timedelta(minutes=1))
REASON = "OOMKilled"
LASTS = timedelta(minutes=15)


def look(pod: Object, now: datetime) -> Trouble | None:
    """The container that was killed last, if that is not long ago."""
    killed = [(first_moment(end.get("finishedAt")), one) for one in containers(pod) if (end := _end(one))]
    if not killed:
        return None
    at_last, one = max(killed, key=lambda found: found[0])
    if now >= at_last + LASTS:
        return None
    container, restarts = text(one, "name"), count(one.get("restartCount"))
    limit = _limit(pod, container)
    return Trouble(
        ALERT, subject_of(pod), since=at_last, until=at_last + LASTS,
        summary=f"container {container} was killed for its use of memory{f', its limit is {limit}' if limit else ''}",
        labels={**own_labels(pod), "container": container, "reason": REASON},
        values={"restarts": restarts, "limit": limit},
    )  # fmt: skip


def _end(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """How it ended last, if it was killed like that: now, or before it was started again."""
    for when in ("state", "lastState"):
        ended = child(child(status, when), "terminated")
        if ended.get("reason") == REASON:
            return ended
    return {}


def _limit(pod: Object, container: str) -> str:
    for part in ("containers", "initContainers"):
        for one in maps(at(pod, ("spec", part))):
            if text(one, "name") == container:
                return text(child(child(one, "resources"), "limits"), "memory")
    return ""
