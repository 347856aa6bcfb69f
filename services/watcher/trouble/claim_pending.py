"""A PersistentVolumeClaim that gets no volume.

A claim whose class waits for its first consumer is pending on purpose until a pod uses it. Kubernetes marks a claim
with its provisioner only once it wants a volume for it, so that a claim without that mark and with a class is left
alone; that its class does not exist is told by an Event.
"""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object, metadata_of
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

ALERT = Alert("KubePersistentVolumeClaimPending", Severity.WARNING, hold=timedelta(minutes=2))
WANTED = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
EVENT_REASON = "ProvisioningFailed"
LASTS = timedelta(minutes=15)


def look(claim: Object, now: datetime) -> Trouble | None:
    """Pending, and something should have happened."""
    if at(claim, ("status", "phase")) != "Pending":
        return None
    annotations = child(metadata_of(claim), "annotations")
    storage_class = text(child(claim, "spec"), "storageClassName")
    if storage_class and not any(name in annotations for name in WANTED):
        return None
    return Trouble(
        ALERT, subject_of(claim), since=first_moment(created(claim)),
        summary=f"no volume of class {storage_class}" if storage_class else "no volume fits, and no class makes one",
        labels={**own_labels(claim), "storageclass": storage_class},
    )  # fmt: skip


def provisioning(event: Object, now: datetime) -> Trouble | None:
    """What the provisioner, or who looks for one, says."""
    first, last = event_times(event)
    about = involved(event, ("PersistentVolumeClaim",))
    if event.get("reason") != EVENT_REASON or about is None or now >= last + LASTS:
        return None
    return Trouble(
        ALERT, about, since=first, until=last + LASTS, summary=text(event, "message"),
        labels={"reason": EVENT_REASON}, values={"failures": event_count(event)},
    )  # fmt: skip
