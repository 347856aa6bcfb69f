"""What the worker looks at, where a real API server cannot be brought into the state: stale counts and odd kinds."""

from typing import Any

import pytest

from schemas.ledger import Place
from schemas.policy import BlastRadius
from schemas.target import Target
from services.kube.objects import Object
from services.reconciler.acting.observing import observe, reads
from tests.fake_api import fake_api, served

KINDS = served(
    ("v1", "Pod", "pods", True), ("v1", "Node", "nodes", False), ("apps/v1", "Deployment", "deployments", True),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", True), ("batch/v1", "Job", "jobs", True),
)  # fmt: skip
READY = {"conditions": [{"type": "Ready", "status": "True"}]}


def named(kind: str, group: str = "", name: str = "web", namespace: str = "pay") -> Target:
    return Target(cluster="prod", group=group, kind=kind, namespace=namespace, name=name)


def a(api_version: str, kind: str, metadata: Any = None, **more: Any) -> Object:
    names = {"name": "web", "namespace": "pay"}
    return {"apiVersion": api_version, "kind": kind, "metadata": {**names, **(metadata or {})}, **more}


@pytest.mark.parametrize(("observed", "allowed"), [pytest.param(4, 3, id="counted"), pytest.param(3, 0, id="stale")])
async def test_a_budget_that_was_not_counted_anew_allows_nothing(observed: int, allowed: int) -> None:
    """The eviction API refuses for such a one, too: what it allowed is of an older specification."""
    api, session = fake_api(KINDS)
    session.put(a("v1", "Pod", {"labels": {"app": "web"}}, status=READY))
    status = {"disruptionsAllowed": 3, "observedGeneration": observed}
    session.put(a("policy/v1", "PodDisruptionBudget", {"generation": 4}, spec={"selector": {}}, status=status))
    seen = await observe(api, named("Pod"), Place(), action="delete-pod", limits=BlastRadius())
    assert seen.pdb_allowed == allowed


@pytest.mark.parametrize(("kind", "group", "reading"), [
    pytest.param("Deployment", "apps", True, id="keeps-replicas"), pytest.param("Job", "batch", False, id="a-job"),
])  # fmt: skip
@pytest.mark.parametrize("action", ["isolate", "label"])
async def test_only_what_is_judged_is_read(action: str, kind: str, group: str, reading: bool) -> None:
    """The pod for its budgets, its workload where that keeps replicas; every read would need a right."""
    api, session = fake_api(KINDS)
    session.put(a("v1", "Pod", status=READY))
    session.put(a(f"{group}/v1", kind, spec={"replicas": 2}, status={"readyReplicas": 2}))
    place = Place(workload=named(kind, group))
    limits = BlastRadius(min_ready=1)
    seen = await observe(api, named("Pod"), place, action=action, limits=limits)
    read = {path.removesuffix("/web").rpartition("/")[2] for _, path in session.asked}
    assert read <= {rule.resource for rule in reads(action, limits)}
    assert (seen.ready is not None) is reading


@pytest.mark.parametrize(("limits", "action", "wanted"), [
    pytest.param(None, "drain", set(), id="no-limits"),
    pytest.param({}, "restart", set(), id="nothing-limited"),
    pytest.param({}, "isolate", {("pods", "get"), ("poddisruptionbudgets", "list")}, id="budgets-always"),
    pytest.param({"maxNodes": 1}, "drain", {("nodes", "list")}, id="nodes"),
    pytest.param({"maxNodes": 1}, "restart", set(), id="no-nodes"),
    pytest.param({"maxInNamespace": 1}, "restart",
                 {("deployments", "list"), ("statefulsets", "list"), ("daemonsets", "list")}, id="namespace"),
    pytest.param({"minReady": 1}, "restart", {(name, "get") for name in (
        "deployments", "statefulsets", "daemonsets", "replicasets", "rollouts", "strimzipodsets")}, id="replicas"),
])  # fmt: skip
def test_rights_follow_from_the_limits(limits: Any, action: str, wanted: set[tuple[str, str]]) -> None:
    """No right that nothing asks for."""
    rules = reads(action, None if limits is None else BlastRadius.model_validate(limits))
    assert {(rule.resource, verb) for rule in rules for verb in rule.verbs} == wanted
