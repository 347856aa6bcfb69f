"""A Deployment whose roll-out got no further within its own deadline (`progressDeadlineSeconds`)."""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import text
from services.watcher.trouble.found import (
    Alert,
    Trouble,
    condition,
    count,
    created,
    first_moment,
    own_labels,
    subject_of,
)  # fmt: skip

ALERT = Alert("KubeDeploymentRolloutStuck", Severity.WARNING, linger=timedelta(seconds=30))
"""Named as in kubernetes-mixin."""
REASON = "ProgressDeadlineExceeded"


def look(deployment: Object, now: datetime) -> Trouble | None:
    """Only Kubernetes' own word for it counts."""
    progressing = condition(deployment, "Progressing")
    if progressing.get("status") != "False" or progressing.get("reason") != REASON:
        return None
    return Trouble(
        ALERT, subject_of(deployment),
        since=first_moment(progressing.get("lastTransitionTime"), created(deployment)),
        summary=text(progressing, "message") or "the roll-out has passed its deadline",
        labels={**own_labels(deployment), "reason": REASON},
        values={
            "replicas": count(at(deployment, ("spec", "replicas"))),
            "updated": count(at(deployment, ("status", "updatedReplicas"))),
            "available": count(at(deployment, ("status", "availableReplicas"))),
        },
    )  # fmt: skip
