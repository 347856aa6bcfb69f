"""How much may be out at once: the exact arithmetic, and what the worker looks at for it."""

from fractions import Fraction
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Reason, Verdict
from schemas.ledger import Place
from schemas.policy import BlastRadius
from schemas.target import Target
from services.kube.api.errors import Forbidden
from services.kube.api.operate import Operate
from services.kube.objects import Object
from services.reconciler.acting.observing import observe, selects, unavailable
from services.reconciler.guards import Observation, blast_radius
from services.reconciler.guards.blast_radius import at_least, at_most
from tests.reconciler_kit import target_of

POD, WEB = target_of("web-1", kind="Pod"), target_of()
NODE = Target(cluster="c1", group="", kind="Node", namespace="", name="n1")
PLACE = Place(object=POD, pod=POD, workload=WEB, node=NODE)
counts = st.integers(0, 1000)
shares = st.integers(0, 100)


@given(percent=shares, ready=counts, wanted=counts, takes=st.integers(0, 50))
def test_after_the_action_at_least_so_many_are_ready(percent: int, ready: int, wanted: int, takes: int) -> None:
    """Of exact shares, and never one less by rounding; and what leaves enough is let through."""
    denial = blast_radius(
        Observation(ready, wanted, takes=takes), BlastRadius(min_ready=f"{percent}%"), "restart"
    )  # fmt: skip
    assert (denial is None) == (Fraction(ready - takes) >= Fraction(percent, 100) * wanted)


@given(percent=shares, nodes=st.integers(1, 500), out=counts, is_out=st.booleans())
def test_never_more_nodes_are_out_than_the_share(percent: int, nodes: int, out: int, is_out: bool) -> None:
    """This one included, and not counted twice where it is out already."""
    seen = Observation(nodes=nodes, nodes_out=out, node_is_out=is_out)
    denial = blast_radius(seen, BlastRadius(max_nodes=f"{percent}%"), "drain")
    assert (denial is None) == (Fraction(out + (not is_out)) <= Fraction(percent, 100) * nodes)


@pytest.mark.parametrize(
    ("amount", "of", "stay", "out"),
    [
        pytest.param("50%", 3, 2, 1, id="half of three"),
        pytest.param("33%", 3, 1, 0, id="a third, nearly"),
        pytest.param("100%", 7, 7, 7, id="all"),
        pytest.param("0%", 7, 0, 0, id="none"),
        pytest.param("2", 1, 2, 2, id="a number"),
        pytest.param("29%", 100, 29, 29, id="no float would say 29"),
    ],
)
def test_shares_are_rounded_to_the_safe_side(amount: str, of: int, stay: int, out: int) -> None:
    """Up for what must stay, down for what may be out."""
    assert (at_least(amount, of), at_most(amount, of)) == (stay, out)


@pytest.mark.parametrize(
    ("seen", "limits", "action", "reason"),
    [
        pytest.param(Observation(2, 3), None, "delete-pod", None, id="a policy without limits"),
        pytest.param(Observation(pdb_allowed=0), None, "isolate", None, id="an intruder waits for no budget"),
        pytest.param(Observation(), {"minReady": "100%"}, "restart", None, id="nothing known of replicas"),
        pytest.param(Observation(3, 3), {"minReady": 2}, "restart", None, id="enough stay"),
        pytest.param(Observation(2, 3), {"minReady": 2}, "restart", Reason.BLAST_RADIUS, id="too few stay"),
        pytest.param(Observation(1, 3, takes=0), {"minReady": 2}, "restart", Reason.BLAST_RADIUS, id="too few already"),
        pytest.param(Observation(pdb_allowed=1), {}, "delete-pod", None, id="the budget allows one"),
        pytest.param(Observation(pdb_allowed=0), {}, "delete-pod", Reason.DISRUPTION_BUDGET, id="it allows none"),
        pytest.param(Observation(pdb_allowed=0, takes=0), {}, "delete-pod", None, id="a pod that is not ready"),
        pytest.param(Observation(pdb_allowed=0), {}, "restart", None, id="a roll-out is not its matter"),
        pytest.param(Observation(nodes=9, nodes_out=1), {"maxNodes": 2}, "cordon", None, id="the second node"),
        pytest.param(Observation(nodes=9, nodes_out=2), {"maxNodes": 2}, "cordon", Reason.BLAST_RADIUS, id="the third"),
        pytest.param(Observation(nodes=9, nodes_out=5), {"maxNodes": 2}, "uncordon", None, id="bringing one back"),
        pytest.param(Observation(workloads_in_namespace=9, acted_in_namespace=1), {"maxInNamespace": "25%"}, "restart",
                     None, id="the second workload"),
        pytest.param(Observation(workloads_in_namespace=9, acted_in_namespace=2), {"maxInNamespace": "25%"}, "restart",
                     Reason.BLAST_RADIUS, id="the third workload"),
    ],
)  # fmt: skip
def test_what_would_be_too_much(seen: Observation, limits: Any, action: str, reason: Reason | None) -> None:
    """It waits, and says how much would be out."""
    denial = blast_radius(seen, None if limits is None else BlastRadius.model_validate(limits), action)
    assert (denial.reason if denial else None) is reason
    assert denial is None or denial.verdict is Verdict.WAIT


class FakeApi:
    """Objects by target and by kind; what was read."""

    def __init__(self, *objects: Object) -> None:
        self.objects, self.read = objects, list[str]()

    async def get(self, target: Target) -> Object | None:
        self.read.append(target.kind)
        named = (
            one for one in self.objects if one["kind"] == target.kind and one["metadata"]["name"] == target.name
        )  # fmt: skip
        return next(named, None)

    async def list(self, group: str, kind: str, namespace: str = "") -> list[Object]:
        self.read.append(f"{kind}s")
        if kind == "Secret":
            raise Forbidden("no", 403)
        return [one for one in self.objects if one["kind"] == kind]


def a(kind: str, name: str, labels: dict[str, str] | None = None, **more: Any) -> Object:
    return {"kind": kind, "metadata": {"name": name, "namespace": "shop", "labels": labels or {}}, **more}


READY = {"conditions": [{"type": "Ready", "status": "True"}]}
DEPLOYMENT = a("Deployment", "web", spec={"replicas": 4}, status={"readyReplicas": 3})
BUDGET = a("PodDisruptionBudget", "b", spec={"selector": {"matchLabels": {"app": "web"}}},
           status={"disruptionsAllowed": 2})  # fmt: skip
TIGHT = a("PodDisruptionBudget", "t", spec={"selector": {}}, status={})
OTHER = a("PodDisruptionBudget", "o", spec={"selector": {"matchLabels": {"app": "db"}}}, status={})
ALL = {"minReady": 1, "maxNodes": 1, "maxInNamespace": 1}


async def seen(target: Target, action: str, *objects: Object, limits: Any = None, **more: Any) -> Observation:
    limits = BlastRadius.model_validate(ALL if limits is None else limits)
    return await observe(cast(Operate, FakeApi(*objects)), target, PLACE, action=action, limits=limits, **more)


@pytest.mark.parametrize(
    ("labels", "ready", "budgets", "takes", "allowed"),
    [
        pytest.param({"app": "web"}, READY, (BUDGET, OTHER), 1, 2, id="its budget"),
        pytest.param({"app": "web"}, READY, (BUDGET, TIGHT), 1, 0, id="the tightest of its budgets"),
        pytest.param({"app": "x"}, READY, (BUDGET, OTHER), 1, None, id="no budget of its own"),
        pytest.param({"app": "web"}, {}, (BUDGET,), 0, 2, id="a pod that is not ready takes nothing away"),
    ],
)
async def test_a_pods_budgets_are_those_that_select_it(
    labels: dict[str, str], ready: Any, budgets: tuple[Object, ...], takes: int, allowed: int | None
) -> None:
    """And its workload says how many are ready."""
    found = await seen(POD, "delete-pod", a("Pod", "web-1", labels, status=ready), DEPLOYMENT, *budgets)
    assert (found.ready, found.wanted, found.takes, found.pdb_allowed) == (3, 4, takes, allowed)


async def test_nodes_that_are_cordoned_or_not_ready_are_out() -> None:
    """Also those that say nothing."""
    nodes = (
        a("Node", "n1", spec={"unschedulable": True}, status=READY), a("Node", "n2", status={}),
        a("Node", "n3", status=READY), a("Node", "n4", status={"conditions": [{"type": "Ready", "status": "Unknown"}]}),
    )  # fmt: skip
    found = await seen(NODE, "drain", *nodes)
    assert (found.nodes, found.nodes_out, found.node_is_out) == (4, 3, True)


async def test_the_workloads_of_a_namespace_are_counted() -> None:
    """What was acted on there is known by whoever asks."""
    found = await seen(WEB, "restart", DEPLOYMENT, a("StatefulSet", "s"), a("DaemonSet", "d"), acted=2)
    assert (found.workloads_in_namespace, found.acted_in_namespace) == (3, 2)


@pytest.mark.parametrize(
    ("limits", "target", "action", "read"),
    [
        pytest.param(None, POD, "delete-pod", [], id="no limits"),
        pytest.param({"minReady": 1}, WEB, "restart", ["Deployment"], id="ready replicas"),
        pytest.param({"minReady": 1}, NODE, "drain", [], id="a node has no replicas"),
        pytest.param({"maxNodes": 1}, NODE, "drain", ["Nodes"], id="nodes"),
        pytest.param({"maxNodes": 1}, WEB, "restart", [], id="no node"),
    ],
)
async def test_only_what_the_limits_are_about_is_read(
    limits: Any, target: Target, action: str, read: list[str]
) -> None:
    """Every read costs time and a right."""
    api = FakeApi(DEPLOYMENT)
    given_limits = None if limits is None else BlastRadius.model_validate(limits)
    await observe(cast(Operate, api), target, PLACE, action=action, limits=given_limits)
    assert api.read == read


@pytest.mark.parametrize(
    ("kind", "spec", "takes"),
    [
        pytest.param("Deployment", {"replicas": 3}, 0, id="a Deployment surges first"),
        pytest.param("Deployment", {"replicas": 8}, 2, id="a quarter of eight"),
        pytest.param("Deployment", {"replicas": 8, "strategy": {"type": "Recreate"}}, 6, id="all that are ready"),
        pytest.param("Deployment", {"replicas": 8, "strategy": {"rollingUpdate": {"maxUnavailable": "50%"}}}, 4,
                     id="its own share"),
        pytest.param("Deployment", {"replicas": 3, "strategy": {"rollingUpdate": {"maxSurge": 0}}}, 1,
                     id="one where nothing may surge"),
        pytest.param("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": 9}}}, 6, id="never more than are"),
        pytest.param("StatefulSet", {"replicas": 8}, 1, id="a StatefulSet goes one by one"),
        pytest.param("StatefulSet", {"replicas": 8, "updateStrategy": {"type": "OnDelete"}}, 0, id="by hand"),
    ],
)  # fmt: skip
def test_a_roll_out_takes_what_its_strategy_takes(kind: str, spec: Any, takes: int) -> None:
    """Of six ready replicas, as the workload's controller reckons it."""
    assert unavailable(a(kind, "web", spec=spec, status={"readyReplicas": 6})) == takes


async def test_an_action_that_knows_better_says_what_it_takes() -> None:
    """Scaling down takes away what it takes away."""
    assert (await seen(WEB, "scale", DEPLOYMENT, takes=3)).takes == 3
    assert (await seen(WEB, "label", DEPLOYMENT)).takes == 0


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        pytest.param(None, False, id="none selects nothing"),
        pytest.param({}, True, id="an empty one selects all"),
        pytest.param({"matchLabels": {"app": "web"}}, True, id="label"),
        pytest.param({"matchLabels": {"app": "web", "tier": "x"}}, False, id="one label too many"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]}, True, id="in"),
        pytest.param(
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False, id="not in"
        ),
        pytest.param({"matchExpressions": [{"key": "no", "operator": "NotIn", "values": ["x"]}]}, True, id="not there"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True, id="exists"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False, id="does not exist"),
    ],
)
def test_selectors_select_as_kubernetes_does(selector: Any, fits: bool) -> None:
    """As its API reference says."""
    assert selects(selector, {"app": "web"}) is fits
