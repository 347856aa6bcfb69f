"""What guards and verifications see, on a real API server: as the controllers and the eviction API have it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.ledger import Place
from schemas.policy import BlastRadius, Step
from services.kube.api.errors import Forbidden, TooManyRequests
from services.kube.objects import Object
from services.local.controlplane import LocalControlPlane
from services.reconciler.acting import seeing
from services.reconciler.acting.observing import is_ready, observe, reads, replicas, unavailable
from services.reconciler.guards import blast_radius
from tests import tools
from tests.fakes import eventually
from tests.ground import Ground, ground_of, other_kind
from tests.operating import account_with, target_of
from tests.watching import Client, client_of, deployment

pytestmark = pytest.mark.integration
ALL = BlastRadius(min_ready="50%", max_nodes=1, max_in_namespace="50%")
REPLICAS = 4


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        await tools.define(opened)
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


# Budgets


ELSEWHERE = {"matchLabels": {"app": "other"}}
BUDGETS: dict[str, tuple[dict[str, Any], ...]] = {
    "none": (),
    "one-more": ({"maxUnavailable": 1},),
    "nothing": ({"maxUnavailable": 0},),
    "all-stay": ({"minAvailable": "100%"},),
    "half-stay": ({"minAvailable": "50%"},),
    "everything": ({"selector": {}, "maxUnavailable": 0},),
    "by-expression": ({"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]},
                       "maxUnavailable": 0},),
    "another-s": ({"selector": ELSEWHERE, "maxUnavailable": 0},),
}  # fmt: skip


@pytest.mark.parametrize("budgets", [pytest.param(specs, id=name) for name, specs in BUDGETS.items()])
async def test_what_a_budget_allows_is_what_the_eviction_api_says(
    budgets: tuple[dict[str, Any], ...], ground: Ground
) -> None:
    """The guard lets a pod go exactly where its eviction would be accepted now."""
    live = await ground.workload(deployment(ground.namespace, replicas=3))
    for spec in budgets:
        made = await ground.client.create(ground.budget(**spec))
        pods = 0 if spec.get("selector") == ELSEWHERE else 3

        async def counted(made: Object = made, pods: int = pods) -> bool:
            status = (await ground.live(made)).get("status") or {}
            healthy = status.get("expectedPods") == status.get("currentHealthy") == pods
            return bool(healthy and status.get("observedGeneration") and status.get("conditions"))

        await eventually(counted, what="the budget is counted")
    pod = (await ground.pods())[0]
    limits, place = BlastRadius(), Place(workload=target_of(live))
    seen = await observe(ground.api, target_of(pod), place, action="delete-pod", limits=limits)
    try:
        await ground.api.evict(target_of(pod), uid=pod["metadata"]["uid"], dry_run=True)
        allowed = True
    except TooManyRequests:
        allowed = False
    assert (blast_radius(seen, limits, "delete-pod") is None) is allowed


async def test_a_budget_is_used_up(ground: Ground) -> None:
    """One pod that has gone leaves nothing for the next until another one is ready in its place."""
    node = await ground.node()
    live = await ground.workload(ground.on(node, deployment(ground.namespace, replicas=2)))
    await ground.client.create(ground.budget(maxUnavailable=1))
    place = Place(workload=target_of(live))

    async def left() -> int | None:
        pod = (await ground.pods())[0]
        seen = await observe(ground.api, target_of(pod), place, action="delete-pod", limits=BlastRadius())
        return seen.pdb_allowed

    async def is_one() -> bool:
        return await left() == 1

    await eventually(is_one, what="the budget is counted")
    await ground.client.patch(node, {"spec": {"unschedulable": True}})
    pod = (await ground.pods())[0]
    await ground.api.evict(target_of(pod), uid=pod["metadata"]["uid"])
    assert await left() == 0


# Replicas


@pytest.mark.parametrize(("kind", "strategy"), [
    pytest.param("Deployment", {}, id="deployment"),
    pytest.param("Deployment", {"strategy": {"rollingUpdate": {"maxUnavailable": "50%"}}}, id="half"),
    pytest.param("Deployment", {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 3}}}, id="no-surge"),
    pytest.param("Deployment", {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}}, id="a-tenth"),
    pytest.param("Deployment", {"strategy": {"type": "Recreate", "rollingUpdate": None}}, id="recreate"),
    pytest.param("StatefulSet", {}, id="stateful-set"),
    pytest.param("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, id="by-hand"),
])  # fmt: skip
async def test_a_roll_out_takes_as_many_as_its_controller_does(
    kind: str, strategy: dict[str, Any], ground: Ground
) -> None:
    """What is reckoned before is what is missing, once new pods that never start have taken their places."""
    obj = other_kind(kind, ground.namespace)
    obj["spec"] |= {"replicas": REPLICAS, **strategy}
    live = await ground.workload(obj)
    assert replicas(live) == (REPLICAS, REPLICAS)
    takes = unavailable(live)
    body = {"spec": {"template": {"spec": {"nodeSelector": {"only": "nowhere"}}}}}
    await ground.client.patch(live, body)

    async def missing() -> bool:
        found = await ground.live(live)
        seen = found["status"].get("observedGeneration") == found["metadata"]["generation"]
        waiting = [pod for pod in await ground.pods() if not is_ready(pod)]
        ready = [pod for pod in await ground.pods() if is_ready(pod)]
        settled = bool(waiting) is (strategy.get("updateStrategy") is None)
        return seen and settled and replicas(found)[0] == len(ready) == REPLICAS - takes

    await eventually(missing, what=f"{takes} of {REPLICAS} are out")


async def test_daemons_are_counted_by_nodes(ground: Ground) -> None:
    """As many are wanted as nodes take them."""
    node = await ground.node()
    live = await ground.workload(ground.on(node, other_kind("DaemonSet", ground.namespace)))
    assert (replicas(live), unavailable(live)) == ((1, 1), 1)


async def test_a_pod_is_seen_with_its_workload(ground: Ground) -> None:
    """How many are ready of those that are wanted, and whether this one is among them."""
    obj = deployment(ground.namespace, replicas=2)
    live = await ground.workload(obj)
    place = Place(workload=target_of(live))
    pod = (await ground.pods())[0]
    seen = await observe(ground.api, target_of(pod), place, action="delete-pod", limits=ALL)
    assert (seen.ready, seen.wanted, seen.takes) == (2, 2, 1)
    await ground.client.patch(live, {"spec": {"replicas": 3, "template": {"spec": {"nodeSelector": {"only": "no"}}}}})

    async def waiting() -> Object | None:
        return next((one for one in await ground.pods() if one["spec"].get("nodeSelector")), None)

    stuck = await eventually(waiting, what="a pod waits")
    seen = await observe(ground.api, target_of(stuck), place, action="delete-pod", limits=ALL)
    assert (seen.wanted, seen.takes) == (3, 0)


async def test_a_job_has_no_replicas_that_must_stay(ground: Ground) -> None:
    """So that `minReady` does not keep an intruder's pod of a Job for ever."""
    containers = [{"name": "once", "image": "example.org/once:1"}]
    pod_spec = {"restartPolicy": "Never", "containers": containers}
    spec = {"template": {"metadata": {"labels": {"app": "once"}}, "spec": pod_spec}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": ground.namespace}}
    live = await ground.client.create({**job, "spec": spec})
    pod = (await eventually(lambda: ground.pods("once"), what="its pod is there"))[0]
    place = Place(workload=target_of(live))
    seen = await observe(ground.api, target_of(pod), place, action="isolate", limits=ALL)
    assert (seen.ready, seen.wanted) == (None, None)


async def test_a_strimzi_set_is_counted_by_its_pods(ground: Ground) -> None:
    """It lists the pods that it wants, and counts those that are ready."""
    made = tools.made_of("StrimziPodSet", ground.namespace, spec={"pods": [{}, {}, {}]})
    live = await ground.client.create(made)
    await tools.put_status(ground.client, live, {"pods": 3, "readyPods": 2})
    seen = await observe(ground.api, target_of(live), Place(), action="kafka-restart", limits=ALL)
    assert (seen.ready, seen.wanted) == (2, 3)


# Nodes and namespaces


async def test_a_cordoned_node_is_out(ground: Ground) -> None:
    """It is counted once, and the share is of all nodes that there are."""
    node = await ground.node()

    async def look() -> Any:
        return await observe(ground.api, target_of(node), Place(), action="cordon", limits=ALL)

    before = await look()
    await ground.client.patch(node, {"spec": {"unschedulable": True}})
    after = await look()
    assert before.nodes == after.nodes == len(await ground.api.list("", "Node"))
    assert (before.node_is_out, after.node_is_out) == (False, True)
    assert after.nodes_out == before.nodes_out + 1
    one = BlastRadius(max_nodes=1 + before.nodes_out)
    assert blast_radius(before, one, "cordon") is None
    assert blast_radius(after, one, "cordon") is None


async def test_a_namespace_s_workloads_are_what_people_wrote(ground: Ground) -> None:
    """ReplicaSets and pods are not counted beside the Deployment that made them, nor anybody else's workloads."""
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        await ground.client.create(other_kind(kind, ground.namespace))
    await eventually(ground.pods, what="pods are there")
    target = target_of(await ground.live(other_kind("Deployment", ground.namespace)))
    seen = await observe(ground.api, target, Place(), action="restart", limits=ALL, acted=1)
    assert (seen.workloads_in_namespace, seen.acted_in_namespace) == (3, 1)
    assert blast_radius(seen, BlastRadius(max_in_namespace="50%"), "restart") is not None


# Rights


@pytest.mark.parametrize("action", ["restart", "delete-pod", "cordon"])
async def test_the_declared_rights_are_exactly_those_that_are_needed(
    action: str, ground: Ground, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """With them everything is seen; without any one of those for the target's kind the look is refused."""
    live = await ground.workload(deployment(ground.namespace))
    pod, node = (await ground.pods())[0], (await ground.api.list("", "Node"))[0]
    target = target_of({"restart": live, "delete-pod": pod, "cordon": node}[action])
    place, rules = Place(workload=target_of(live)), tuple(reads(action, ALL))
    needed = {"restart": {"deployments"}, "delete-pod": {"deployments", "pods", "poddisruptionbudgets"},
              "cordon": {"nodes"}}[action]  # fmt: skip
    assert needed <= {rule.resource for rule in rules}
    for less in (None, *(rule for rule in rules if rule.resource in needed)):
        granted = [rule for rule in rules if rule is not less]
        async with account_with(granted, ground.client, control_plane, ground.namespace, tmp_path) as account:
            looking = observe(account.api, target, place, action=action, limits=ALL)
            if less is None:
                assert (await looking).takes >= 0
                continue
            with pytest.raises(Forbidden) as caught:
                await looking
            assert f'resource "{less.resource}"' in caught.value.message


# Verifications


async def test_an_object_is_gone_once_another_has_its_name(ground: Ground) -> None:
    """Or once there is none; while it is there, it is not."""
    step = Step.model_validate({"deletePod": {"pod": "${event.pod}"}, "verify": {"until": ["gone"]}})
    first = await ground.client.create(deployment(ground.namespace, replicas=0))
    assert await seeing.unmet(step, target_of(first), ground.api) is not None
    await ground.replaced(first)
    assert await seeing.unmet(step, target_of(first), ground.api) is None


@pytest.mark.parametrize("until", ["available", "rolloutComplete"])
async def test_a_workload_is_seen_as_its_controller_has_it(until: str, ground: Ground) -> None:
    """Not before every replica is new and available; and a replacement is not what was meant."""
    step = Step.model_validate({"restart": {"workload": "${event.workload}"}, "verify": {"until": [until]}})
    live = await ground.workload(deployment(ground.namespace))
    assert await seeing.unmet(step, target_of(live), ground.api) is None
    await ground.client.patch(live, {"spec": {"replicas": 9}})
    assert await seeing.unmet(step, target_of(live), ground.api) is not None

    async def met() -> bool:
        return await seeing.unmet(step, target_of(live), ground.api) is None

    await eventually(met, what="all nine are available")
    other = target_of(live).model_copy(update={"uid": "0e1e5c0e-0000-4000-8000-000000000000"})
    assert "gone" in str(await seeing.unmet(step, other, ground.api))
    assert await seeing.unmet(replace_until(step), other, ground.api) is None


def replace_until(step: Step) -> Step:
    """The same step, which wants nothing to be seen."""
    assert step.verify is not None
    return step.model_copy(update={"verify": step.verify.model_copy(update={"until": ()})})
