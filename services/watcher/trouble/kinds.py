"""Which kinds are watched for trouble, and what is asked of their objects. A new kind of trouble is one line here."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from services.kube.objects import Object, metadata_of
from services.watcher.trouble import (
    certificate,
    claim_pending,
    crash_loop,
    image_pull,
    job_failed,
    node_not_ready,
    node_pressure,
    oom_killed,
    probes,
    quota,
    rollout_stuck,
    terminating,
    unschedulable,
)  # fmt: skip
from services.watcher.trouble.found import Alert, Trouble


class Look(NamedTuple):
    """One question to an object, and the alert that its answer belongs to."""

    alert: Alert
    ask: Callable[[Object, datetime], Trouble | None]


class Kind(NamedTuple):
    """What a list of it is asked for; several entries may be of one kind."""

    group: str
    kind: str
    query: tuple[tuple[str, str], ...] = ()


STUCK = Look(terminating.ALERT, terminating.look)
CERTIFICATES = (Look(certificate.SOON, certificate.soon), Look(certificate.OVER, certificate.over))
WATCHED: Mapping[Kind, tuple[Look, ...]] = {
    Kind("", "Pod"): (
        Look(crash_loop.ALERT, crash_loop.look), Look(image_pull.ALERT, image_pull.look),
        Look(oom_killed.ALERT, oom_killed.look), Look(unschedulable.ALERT, unschedulable.look),
        Look(probes.ALERT, probes.readiness), STUCK,
    ),
    Kind("", "Node"): (
        Look(node_not_ready.ALERT, node_not_ready.look), Look(node_pressure.ALERT, node_pressure.look), STUCK,
    ),
    Kind("apps", "Deployment"): (Look(rollout_stuck.ALERT, rollout_stuck.look), STUCK),
    Kind("batch", "Job"): (Look(job_failed.ALERT, job_failed.look), STUCK),
    Kind("", "PersistentVolumeClaim"): (Look(claim_pending.ALERT, claim_pending.look), STUCK),
    Kind("", "Namespace"): (STUCK,),
    Kind("", "ResourceQuota"): (Look(quota.FULL, quota.full),),
    Kind("", "Secret", (("fieldSelector", f"type={certificate.TLS}"),)): CERTIFICATES,
    Kind(certificate.GROUP, "Certificate"): CERTIFICATES,
    Kind("", "Event", (("fieldSelector", "type=Warning"),)): (
        Look(probes.ALERT, probes.liveness), Look(claim_pending.ALERT, claim_pending.provisioning),
        Look(quota.HIT, quota.hit),
    ),
}  # fmt: skip
ALERTS: Mapping[str, Alert] = {look.alert.name: look.alert for looks in WATCHED.values() for look in looks}


def feeding(name: str) -> Iterator[Kind]:
    """The kinds that an alert of this name can come from."""
    return (kind for kind, looks in WATCHED.items() if any(look.alert.name == name for look in looks))


def troubles(looks: tuple[Look, ...], obj: Object, now: datetime) -> tuple[Trouble, ...]:
    """Everything that is wrong with one object, or will be by itself. One that is to go can only fail to go."""
    leaves = bool(metadata_of(obj).get("deletionTimestamp"))
    asked = (look for look in looks if look is STUCK or not leaves)
    return tuple(found for look in asked if (found := look.ask(obj, now)) is not None)
