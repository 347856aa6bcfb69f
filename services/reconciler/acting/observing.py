"""What the action's worker looks at right before it applies, for the guard `blast_radius`: nothing is decided here.

Only what the policy's limits are about is read, and `reads` are the rights for that. What an API server does not say
counts as the worse: a workload without a status has nothing ready, a node without conditions is not, and a budget that
its controller has not counted anew allows nothing, as the eviction API has it.
Jobs, and kinds that are not known here, keep no replicas: nothing of them has to stay ready.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.ledger import Place
from schemas.policy import BlastRadius
from schemas.target import Target
from services.kube.api.operate import Operate
from services.kube.objects import Object, metadata_of
from services.reconciler.actions.base import Rule
from services.reconciler.actions.network import selects as fits
from services.reconciler.actions.rights import plural
from services.reconciler.guards.blast_radius import DISRUPTING, ON_NODES, Observation, at_most

WORKLOADS = (("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"))
PODS = ("core.strimzi.io", "StrimziPodSet")
KEEPING = (*WORKLOADS, ("apps", "ReplicaSet"), ("argoproj.io", "Rollout"), PODS)
"""The kinds that keep replicas; a namespace's workloads are counted by the first three."""
POD = ("", "Pod")
ROLLING = frozenset({"restart", "rollback", "patch", "apply-manifest"})
"""The actions that replace a workload's pods by its own strategy."""
DEFAULT_UNAVAILABLE = {"Deployment": "25%", "StatefulSet": "1", "DaemonSet": "1"}


def reads(action: str, limits: BlastRadius | None) -> Iterator[Rule]:
    """The rights that `observe` needs for an action under these limits."""
    if limits is None:
        return
    if limits.max_nodes is not None and action in ON_NODES:
        yield Rule("", "nodes", ("list",))
    for group, kind in KEEPING:
        counted = limits.max_in_namespace is not None and (group, kind) in WORKLOADS
        asked = (("get", limits.min_ready is not None), ("list", counted))
        verbs = tuple(verb for verb, is_asked in asked if is_asked)
        if verbs:
            yield Rule(group, plural(kind), verbs)
    if action in DISRUPTING:
        yield Rule("", "pods", ("get",))
        yield Rule("policy", "poddisruptionbudgets", ("list",))


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
    is_pod = (target.group, target.kind) == POD
    workload = place.workload if is_pod else target
    pod = await api.get(target) if is_pod and action in DISRUPTING else None
    live = await api.get(workload) if workload and keeps(workload) and limits.min_ready is not None else None
    if live is not None:
        seen |= dict(zip(("ready", "wanted"), replicas(live), strict=True))
    seen["takes"] = taken(action, live, pod) if takes is None else takes
    if pod is not None:
        seen["pdb_allowed"] = await _allowed(api, pod)
    return Observation(**seen)


def keeps(target: Target) -> bool:
    """Whether it is of a kind that keeps replicas."""
    return (target.group, target.kind) in KEEPING


def replicas(workload: Object) -> tuple[int, int]:
    """Ready and wanted replicas."""
    status, spec = workload.get("status") or {}, workload.get("spec") or {}
    if workload.get("kind") == "DaemonSet":
        return int(status.get("numberReady") or 0), int(status.get("desiredNumberScheduled") or 0)
    if workload.get("kind") == "StrimziPodSet":
        return int(status.get("readyPods") or 0), len(spec.get("pods") or ())
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
    """Whether a budget's selector fits; an empty one fits everything, an absent one nothing (policy/v1)."""
    return selector is not None and fits(selector, labels)


async def _allowed(api: Operate, pod: Object) -> int | None:
    """How many more disruptions the pod's budgets allow; None where it has none."""
    budgets = await api.list("policy", "PodDisruptionBudget", str(metadata_of(pod).get("namespace")))
    labels = metadata_of(pod).get("labels") or {}
    found = (_left_in(one) for one in budgets if selects((one.get("spec") or {}).get("selector"), labels))
    return min(found, default=None)


def _left_in(budget: Object) -> int:
    status = budget.get("status") or {}
    counted = (status.get("observedGeneration") or 0) >= (metadata_of(budget).get("generation") or 0)
    return int(status.get("disruptionsAllowed") or 0) if counted else 0


async def _nodes(api: Operate, target: Target) -> dict[str, Any]:
    nodes = await api.list("", "Node")
    out = {metadata_of(node).get("name") for node in nodes if _is_out(node)}
    return {"nodes": len(nodes), "nodes_out": len(out), "node_is_out": target.name in out}


def _is_out(node: Object) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable")) or not is_ready(node)


async def _workloads(api: Operate, namespace: str) -> int:
    return sum([len(await api.list(group, kind, namespace)) for group, kind in WORKLOADS])
