"""A Job that has given up. It is over when the Job is gone, by hand, by its TTL or by its CronJob's history limit."""

from datetime import datetime

from schemas.alerts import Severity
from services.kube.objects import Object
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import text
from services.watcher.trouble.found import (
    Alert,
    Subject,
    Trouble,
    condition,
    count,
    created,
    first_moment,
    own_labels,
    subject_of,
)  # fmt: skip

ALERT = Alert("KubeJobFailed", Severity.WARNING)
"""Named as in kubernetes-mixin."""


def look(job: Object, now: datetime) -> Trouble | None:
    """The Job itself is what it is about, also where a CronJob made it."""
    failed = condition(job, "Failed")
    if failed.get("status") != "True":
        return None
    itself, reason = subject_of(job), text(failed, "reason")
    return Trouble(
        ALERT, Subject(itself.key, itself.uid), since=first_moment(failed.get("lastTransitionTime"), created(job)),
        summary=text(failed, "message") or f"the job has failed: {reason}",
        labels={**own_labels(job), "reason": reason, **_cronjob(itself)},
        values={"failed": count(at(job, ("status", "failed")))},
    )  # fmt: skip


def _cronjob(itself: Subject) -> dict[str, str]:
    above = itself.controller
    return {"cronjob": above.name} if above is not None and above.kind == "CronJob" else {}
