"""What the action's worker looks at right before it applies, for the guard `blast_radius`: nothing is decided here.

Only what the policy's limits are about is read. What an API server does not say counts as the worse: a workload without
a status has nothing ready, a node without conditions is not.
"""

from collections.abc import Mapping
from typing import Any

from schemas.ledger import Place
from schemas.policy import BlastRadius
from schemas.target import Target
from services.kube.api.operate import Operate
from services.kube.objects import Object, metadata_of
from services.reconciler.guards.blast_radius import DISRUPTING, ON_NODES, Observation, at_most

WORKLOADS = (("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"))
ROLLING = frozenset({"restart", "rollback", "patch", "apply-manifest"})
"""The actions that replace a workload's pods by its own strategy."""
DEFAULT_UNAVAILABLE = {"Deployment": "25%", "StatefulSet": "1", "DaemonSet": "1"}


async def observe(
    api: Operate, target: Target, place: Place, *, action: str, limits: BlastRadius | None, takes: int | None = None,
    acted: int = 0,
) -> Observation:  # fmt: skip
    """What `limits` need to know of `action` on `target`. Raises `ApiError`s.

    `takes`: how many ready replicas the action itself says that it takes away, where it knows better (scale). `acted`:
    how many other workloads of the namespace were acted on within an hour, which the cluster does not know.
    """
    if limits is None:
        return Observation()
    seen: dict[str, Any] = {}
    if limits.max_nodes is not None and action in ON_NODES and target.kind == "Node":
        seen |= await _nodes(api, target)
    if limits.max_in_namespace is not None and target.namespace:
        seen |= {"workloads_in_namespace": await _workloads(api, target.namespace), "acted_in_namespace": acted}
    workload = target if is_workload(target) else place.workload if target.kind == "Pod" else None
    pod = await api.get(target) if target.kind == "Pod" else None
    live = await api.get(workload) if workload and limits.min_ready is not None else None
    if live is not None:
        seen |= dict(zip(("ready", "wanted"), replicas(live), strict=True))
    seen["takes"] = taken(action, live, pod) if takes is None else takes
    if pod is not None and action in DISRUPTING:
        seen["pdb_allowed"] = await _allowed(api, pod)
    return Observation(**seen)


def is_workload(target: Target) -> bool:
    """Whether it is one of the kinds that keep replicas."""
    return (target.group, target.kind) in WORKLOADS


def replicas(workload: Object) -> tuple[int, int]:
    """Ready and wanted replicas."""
    status, spec = workload.get("status") or {}, workload.get("spec") or {}
    if workload.get("kind") == "DaemonSet":
        return int(status.get("numberReady") or 0), int(status.get("desiredNumberScheduled") or 0)
    wanted = spec.get("replicas")
    return int(status.get("readyReplicas") or 0), 1 if wanted is None else int(wanted)


def taken(action: str, workload: Object | None, pod: Object | None) -> int:
    """How many ready replicas are out of service at once while the action goes on."""
    if action in ROLLING and workload is not None:
        return unavailable(workload)
    return int(action in DISRUPTING and (pod is None or is_ready(pod)))


def unavailable(workload: Object) -> int:
    """How many replicas a workload's own strategy takes out at once, as its controller reckons it."""
    ready, wanted = replicas(workload)
    spec = workload.get("spec") or {}
    strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
    if strategy.get("type") in ("Recreate", "OnDelete"):
        return ready if strategy["type"] == "Recreate" else 0
    rolling = strategy.get("rollingUpdate") or {}
    kind = str(workload.get("kind"))
    most = at_most(rolling.get("maxUnavailable", DEFAULT_UNAVAILABLE.get(kind, "1")), wanted)
    surges = str(rolling.get("maxSurge", "25%" if kind == "Deployment" else 0)) not in ("0", "0%")
    return min(ready, most if surges else max(1, most))


def is_ready(obj: Object) -> bool:
    """Whether a pod or a node has the condition Ready."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, Any]) -> bool:
    """Whether a label selector fits; an empty one fits everything, an absent one nothing (policy/v1)."""
    if selector is None:
        return False
    exact = all(labels.get(name) == value for name, value in (selector.get("matchLabels") or {}).items())
    return exact and all(_fits(one, labels) for one in selector.get("matchExpressions") or ())


def _fits(expression: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    name, values = str(expression.get("key")), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(name) in values
        case "NotIn":
            return labels.get(name) not in values
        case "Exists":
            return name in labels
        case _:
            return name not in labels


async def _allowed(api: Operate, pod: Object) -> int | None:
    """How many more disruptions the pod's budgets allow; None where it has none."""
    budgets = await api.list("policy", "PodDisruptionBudget", str(metadata_of(pod).get("namespace")))
    labels = metadata_of(pod).get("labels") or {}
    found = [
        int((budget.get("status") or {}).get("disruptionsAllowed") or 0)
        for budget in budgets
        if selects((budget.get("spec") or {}).get("selector"), labels)
    ]
    return min(found, default=None)


async def _nodes(api: Operate, target: Target) -> dict[str, Any]:
    nodes = await api.list("", "Node")
    out = {metadata_of(node).get("name") for node in nodes if _is_out(node)}
    return {"nodes": len(nodes), "nodes_out": len(out), "node_is_out": target.name in out}


def _is_out(node: Object) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable")) or not is_ready(node)


async def _workloads(api: Operate, namespace: str) -> int:
    return sum([len(await api.list(group, kind, namespace)) for group, kind in WORKLOADS])
