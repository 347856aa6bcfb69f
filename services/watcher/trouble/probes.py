"""Containers that run and do not pass their probes.

Readiness is a state of the pod, so it is read there. A failing liveness probe is no state: until the container is
killed for it, only Events tell. Failing start-up probes are a start-up, and end in a restart, which is told elsewhere.
"""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import text
from services.watcher.trouble.found import (
    Alert,
    Trouble,
    condition,
    containers,
    count,
    created,
    event_count,
    event_times,
    first_moment,
    involved,
    maps,
    own_labels,
    subject_of,
)  # fmt: skip

ALERT = Alert("KubeProbeFailing", Severity.WARNING, hold=timedelta(minutes=2), linger=timedelta(minutes=1))
EVENT_REASON = "Unhealthy"
LIVENESS = "Liveness probe"
LASTS = timedelta(minutes=7)
"""Events of one object come at first as they happen, then every five minutes."""
MANY = 3
"""Failures; one or two are a hiccup."""


def readiness(pod: Object, now: datetime) -> Trouble | None:
    """The first container that has started, runs and is not ready; one without a probe is ready as soon as it runs."""
    if at(pod, ("status", "phase")) != "Running" or condition(pod, "ContainersReady").get("status") != "False":
        return None
    for one in containers(pod):
        runs = at(one, ("state", "running")) is not None
        if (
            runs
            and one.get("ready") is False
            and one.get("started") is not False
            and not _is_init(pod, one.get("name"))
        ):
            return Trouble(
                ALERT, subject_of(pod),
                since=first_moment(condition(pod, "ContainersReady").get("lastTransitionTime"), created(pod)),
                summary=f"container {text(one, 'name')} runs and is not ready",
                labels={**own_labels(pod), "container": text(one, "name"), "probe": "readiness"},
                values={"restarts": count(one.get("restartCount"))},
            )  # fmt: skip
    return None


def liveness(event: Object, now: datetime) -> Trouble | None:
    """What the kubelet says of a probe that fails again and again."""
    about, message = involved(event, ("Pod",)), text(event, "message")
    first, last = event_times(event)
    if about is None or event.get("reason") != EVENT_REASON or not message.startswith(LIVENESS):
        return None
    if now >= last + LASTS or event_count(event) < MANY:
        return None
    return Trouble(
        ALERT, about, since=first, until=last + LASTS, summary=message,
        labels={"probe": "liveness"}, values={"failures": event_count(event)},
    )  # fmt: skip


def _is_init(pod: Object, name: object) -> bool:
    return any(one.get("name") == name for one in maps(at(pod, ("spec", "initContainers"))))
