"""A container whose image cannot be fetched: a wrong name or tag, no access, or a registry that is away."""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import child, text
from services.watcher.trouble.found import (
    Alert,
    Trouble,
    condition,
    containers,
    created,
    first_moment,
    own_labels,
    subject_of,
)  # fmt: skip

ALERT = Alert("KubeImagePullFailed", Severity.WARNING, hold=timedelta(seconds=30), linger=timedelta(minutes=1))
REASONS = frozenset({
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable",
    "ImageInspectError", "SignatureValidationFailed",
})  # fmt: skip


def look(pod: Object, now: datetime) -> Trouble | None:
    """The first container of a pod that waits for its image."""
    for one in containers(pod):
        reason = text(child(child(one, "state"), "waiting"), "reason")
        if reason in REASONS:
            container, image = text(one, "name"), text(one, "image")
            not_ready = condition(pod, "ContainersReady").get("lastTransitionTime")
            return Trouble(
                ALERT, subject_of(pod),
                since=first_moment(not_ready, at(pod, ("status", "startTime")), created(pod)),
                summary=f"the image {image} of container {container} cannot be fetched",
                labels={**own_labels(pod), "container": container, "image": image, "reason": reason},
            )  # fmt: skip
    return None
