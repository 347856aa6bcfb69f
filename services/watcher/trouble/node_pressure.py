"""A node that runs out of memory, disk or process ids: the kubelet is about to evict pods, or does so already."""

from datetime import datetime, timedelta

from schemas.alerts import Severity
from services.kube.objects import Object
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import text
from services.watcher.trouble.found import Alert, Trouble, created, first_moment, maps, own_labels, subject_of

ALERT = Alert("KubeNodePressure", Severity.WARNING, hold=timedelta(seconds=30), linger=timedelta(minutes=1))
"""Named as in kubernetes-mixin."""
PRESSURES = frozenset({"MemoryPressure", "DiskPressure", "PIDPressure"})


def look(node: Object, now: datetime) -> Trouble | None:
    """All of a node's pressures are one trouble, since when the first of them is there."""
    found = [
        one
        for one in maps(at(node, ("status", "conditions")))
        if text(one, "type") in PRESSURES and one.get("status") == "True"
    ]
    if not found:
        return None
    names = ", ".join(sorted(text(one, "type") for one in found))
    return Trouble(
        ALERT, subject_of(node), since=min(first_moment(one.get("lastTransitionTime"), created(node)) for one in found),
        summary=f"the node is under {names}", labels={**own_labels(node), "conditions": names},
    )  # fmt: skip
