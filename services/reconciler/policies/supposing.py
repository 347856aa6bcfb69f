"""What an alert is about, where no cluster can be asked: for rehearsals of the past, tests and explanations.

From the surest to the least sure: what the alert itself names, what was acted on because of it before, what its labels
name, and at last who must have made a pod of that name. The last is an assumption, and is told as one; the reconciler
itself never makes any.
"""

import re
from collections.abc import Iterable

from schemas.alerts import ALERT_GROUP, AlertFired
from schemas.ledger import Place
from schemas.target import CLUSTER_SCOPED, CORE, Target
from services.reconciler.acting.resolving import NODE, POD, WORKLOADS
from services.reconciler.acting.tracking import APPLICATION

LABELLED = {
    "deployment": ("workload", "apps", "Deployment"), "statefulset": ("workload", "apps", "StatefulSet"),
    "daemonset": ("workload", "apps", "DaemonSet"), "pod": ("pod", "", "Pod"), "node": ("node", "", "Node"),
}  # fmt: skip
"""Labels by which senders name an object of the alert's namespace."""
SAFE = "bcdfghjklmnpqrstvwxz2456789"
OF_DEPLOYMENT = re.compile(rf"(.+)-[{SAFE}]{{6,10}}-[{SAFE}]{{5}}")
OF_STATEFUL_SET = re.compile(r"(.+)-\d+")


def suppose(alert: AlertFired, acted_on: Iterable[Target] = ()) -> tuple[Place, bool]:
    """The place, and whether something of it is only assumed."""
    if alert.target.group == ALERT_GROUP:
        return Place(), False
    found: dict[str, Target] = {"object": alert.target}
    for target in (alert.target, *acted_on):
        part = part_of(target)
        if part is not None:
            found.setdefault(part, target)
    for label, (part, group, kind) in LABELLED.items():
        if alert.labels.get(label):
            namespace = "" if kind == "Node" else alert.target.namespace
            named = {"group": group, "kind": kind, "namespace": namespace, "name": alert.labels[label], "uid": None}
            found.setdefault(part, alert.target.model_copy(update=named))
    owner = _owner(found["pod"]) if "pod" in found and "workload" not in found else None
    return Place(**found, **({"workload": owner} if owner else {})), owner is not None


def part_of(target: Target) -> str | None:
    """Which part of a place such an object is."""
    kind = (target.group, target.kind)
    if kind in WORKLOADS:
        return "workload"
    return {POD: "pod", NODE: "node", APPLICATION: "application"}.get(kind)


def target_of(subject: str) -> Target:
    """A subject read from its end, since a cluster's name may have slashes of its own."""
    cluster, group, kind, namespace, name = subject.rsplit("/", 4)
    return Target(
        cluster=cluster, group="" if group == CORE else group, kind=kind,
        namespace="" if namespace == CLUSTER_SCOPED else namespace, name=name,
    )  # fmt: skip


def _owner(pod: Target) -> Target | None:
    """Who makes pods of such a name: a Deployment's end in two runs of letters, a StatefulSet's in a number."""
    for pattern, kind in ((OF_DEPLOYMENT, "Deployment"), (OF_STATEFUL_SET, "StatefulSet")):
        match = pattern.fullmatch(pod.name)
        if match:
            return pod.model_copy(update={"group": "apps", "kind": kind, "name": match[1], "uid": None})
    return None
