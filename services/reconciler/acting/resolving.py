"""From what an alert names to what can be acted on: the object as it is, its pod, workload, node and Application.

Nothing is guessed. Who is gone, is another by now, or could be several gives a reason. What an object belongs to is
extra: where its owner cannot be found, the object stands alone, and `message` says why. Actions compare uids once more.
The labels say one thing beyond the target: a pod's uid.
"""

import re
from collections.abc import Mapping
from typing import Any

from schemas.alerts import ALERT_GROUP, AlertFired
from schemas.events import Reason
from schemas.ledger import Place
from schemas.reference import PART
from schemas.target import Target
from services.kube.api.errors import Forbidden, Invalid, NotFound
from services.kube.api.operate import Operate
from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve as at
from services.reconciler.acting.lineage import Line, Lines, climb, controller_of
from services.reconciler.acting.tracking import APPLICATION, application_of
from services.reconciler.actions.base import Rule

POD, NODE, CLAIM = ("", "Pod"), ("", "Node"), ("", "PersistentVolumeClaim")
WORKLOADS = frozenset({
    ("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"), ("batch", "Job"),
    ("batch", "CronJob"), ("argoproj.io", "Rollout"),
})  # fmt: skip
UID_LABELS = ("k8s.pod.uid", "pod_uid", "uid")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NAMED = 5
LONGEST_SHOWN = 80
READS = (
    Rule("", "pods", ("get", "list")), Rule("", "persistentvolumeclaims", ("get",)), Rule("", "nodes", ("get",)),
    Rule("", "namespaces", ("get",)), Rule("apps", "replicasets", ("get",)), Rule("apps", "deployments", ("get",)),
    Rule("apps", "statefulsets", ("get",)), Rule("apps", "daemonsets", ("get",)), Rule("batch", "jobs", ("get",)),
    Rule("batch", "cronjobs", ("get",)),
)  # fmt: skip
"""The rights for finding what Kubernetes itself has; other kinds need `get` of their own."""


class _Lost(Exception):
    """There is no such object to act on."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.place = Place(reason=reason, message=message)


async def resolve(api: Operate, alert: AlertFired, lines: Lines | None = None) -> Place:
    """What the cluster says of the alert's target; an empty Place for an alert about no object of the cluster.

    `lines` remembers whose pods are whose, from call to call. Raises Unavailable or TimedOut: ask again.
    """
    if alert.target.group == ALERT_GROUP:
        return Place()
    try:
        target, live = await _found(api, _wanted(api, alert))
        return await _around(api, target, live, lines if lines is not None else Lines())
    except _Lost as lost:
        return lost.place
    except Forbidden as error:
        return Place(reason=Reason.FORBIDDEN, message=f"{_words(alert.target)} may not be read: {error.message}")
    except (NotFound, Invalid) as error:
        return Place(reason=Reason.TARGET_UNKNOWN, message=error.message)


def _wanted(api: Operate, alert: AlertFired) -> Target:
    """The target in the group and the scope that its kind has here, with the uid that is known."""
    target = alert.target
    if not api.served(target.group, target.kind):
        target = target.model_copy(update={"group": _group(api, target)})
    if target.namespace and not api.resource(target).namespaced:
        target = target.model_copy(update={"namespace": ""})
    if target.uid is None and (target.group, target.kind) == POD:
        target = target.model_copy(update={"uid": _uid_label(alert.labels)})
    return target


def _group(api: Operate, target: Target) -> str:
    """The one group that serves the kind, for a sender that named no group."""
    served = {group for group, kind in api.cluster.catalogue.preferred if kind == target.kind}
    if target.group or not served:
        raise _Lost(Reason.TARGET_UNKNOWN, f"the cluster serves no {_kind(target)}")
    if len(served) > 1:
        raise _Lost(Reason.TARGET_AMBIGUOUS, f"{target.kind} is a kind of {', '.join(sorted(served))}")
    return served.pop()


def _uid_label(labels: Mapping[str, str]) -> str | None:
    return next((labels[name] for name in UID_LABELS if UUID.fullmatch(labels.get(name, ""))), None)


async def _found(api: Operate, target: Target) -> tuple[Target, Object]:
    if api.resource(target).namespaced and not target.namespace:
        live = await _somewhere(api, target)
    else:
        live = await api.get(target) or _lost(target)
    metadata = metadata_of(live)
    if target.uid not in (None, metadata["uid"]):
        raise _Lost(Reason.TARGET_GONE, f"{_words(target)} is gone, another object has its name")
    here = {"uid": metadata["uid"], "namespace": str(metadata.get("namespace") or "")}
    return target.model_copy(update=here), live


async def _somewhere(api: Operate, target: Target) -> Object:
    """The only one of that name, in whatever namespace; of several the one with the uid.

    The name becomes part of a selector, in which a comma or `=` would ask for something else.
    """
    if not PART.fullmatch(target.name) or ".." in target.name:
        raise _Lost(Reason.TARGET_UNKNOWN, f"names no object: {target.name[:LONGEST_SHOWN]!r}")
    named = await api.list(target.group, target.kind, fields=f"metadata.name={target.name}")
    found = [one for one in named if target.uid in (None, metadata_of(one)["uid"])]
    if len(found) > 1:
        where = ", ".join(sorted(str(metadata_of(one)["namespace"]) for one in found)[:NAMED])
        raise _Lost(Reason.TARGET_AMBIGUOUS, f"{_words(target)} is in {len(found)} namespaces: {where}")
    return found[0] if found else _lost(target)


def _lost(target: Target) -> Any:
    raise _Lost(Reason.TARGET_GONE, f"{_words(target)} is gone")


async def _around(api: Operate, target: Target, live: Object, lines: Lines) -> Place:
    kind = (target.group, target.kind)
    if kind == APPLICATION:
        return Place(object=target, application=target)
    if kind == NODE:
        return Place(object=target, node=target)
    if kind == CLAIM:
        line = await _users(api, target, lines)
    elif kind == POD or kind in WORKLOADS:
        line = await _line(api, target, live, lines)
    else:
        application, message = await application_of(api, target, live)
        return Place(object=target, application=application, message=message)
    pod = target if kind == POD else None
    return Place(
        object=target, pod=pod, workload=line.workload, node=_node(target, live) if pod else None,
        application=line.application, message=line.message,
    )  # fmt: skip


def _node(pod: Target, live: Object) -> Target | None:
    name = at(live, ("spec", "nodeName"))
    return Target(cluster=pod.cluster, group="", kind="Node", namespace="", name=name) if name else None


async def _line(api: Operate, target: Target, live: Object, lines: Lines) -> Line:
    """The workload, and its Application. Pods of one owner share what was found."""

    async def find() -> Line:
        line = await climb(api, target, live)
        if line.workload is None or line.live is None or line.workload.kind == "Pod":
            return Line(message=line.message)
        application, message = await application_of(api, line.workload, line.live)
        return Line(line.workload, None, application, message)

    above = controller_of(live)
    return await lines.get(above[3] if above and target.kind == "Pod" else str(target.uid), find)


async def _users(api: Operate, claim: Target, lines: Lines) -> Line:
    """The one workload whose pods mount a claim."""
    pods = [pod for pod in await api.list("", "Pod", claim.namespace) if _mounts(pod, claim.name)]
    found: dict[str, Line] = {}
    for pod in pods:
        metadata = metadata_of(pod)
        target = claim.model_copy(update={"kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]})
        line = await _line(api, target, pod, lines)
        found[_words(line.workload or target)] = line
    if len(found) > 1:
        return Line(message=f"several use it: {', '.join(sorted(found)[:NAMED])}")
    return next(iter(found.values()), Line(message="no pod uses it"))


def _mounts(pod: Object, claim: str) -> bool:
    volumes = at(pod, ("spec", "volumes")) or ()
    return any(at(volume, ("persistentVolumeClaim", "claimName")) == claim for volume in volumes)


def _words(target: Target) -> str:
    return f"{_kind(target)} {target.namespace + '/' if target.namespace else ''}{target.name}"


def _kind(target: Target) -> str:
    return f"{target.kind}.{target.group}" if target.group else target.kind
