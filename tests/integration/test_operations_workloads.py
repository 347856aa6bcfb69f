"""Roll-outs, roll-backs and scaling on a real API server: what others do meanwhile is never written over."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from schemas.events import Reason
from services.kube.api.errors import Conflict
from services.local.controlplane import LocalControlPlane
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.actions.seen import BEFORE
from tests.fakes import eventually
from tests.ground import Ground, ground_of, image_of, other_kind, released
from tests.operating import done, reference, scene_of
from tests.watching import Client, client_of, deployment

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


async def test_what_an_autoscaler_holds_is_not_scaled(ground: Ground) -> None:
    """The autoscaler would undo it, so the plan says no and names it."""
    live = await ground.workload(deployment(ground.namespace))
    aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    await ground.client.create({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "elastic", "namespace": ground.namespace},
        "spec": {"scaleTargetRef": aim, "minReplicas": 2, "maxReplicas": 5},
    })  # fmt: skip
    plan = await OPERATIONS["scale"].plan(scene_of(ground.api, "scale", {"workload": reference(live), "replicas": 4}))
    assert plan.denial
    assert (plan.denial.reason, "elastic" in plan.denial.message) == (Reason.FOREIGN_OWNED, True)


async def test_an_undo_leaves_what_a_person_has_scaled_since(ground: Ground) -> None:
    """Only the number that this action set is taken back."""
    live = await ground.workload(deployment(ground.namespace))
    scene = scene_of(ground.api, "scale", {"workload": reference(live), "replicas": 3})
    plan, _ = await done("scale", scene)
    await ground.client.patch(live, {"spec": {"replicas": 7}})
    assert "7" in str(await OPERATIONS["scale"].undo(plan.before, scene))
    assert (await ground.live(live))["spec"]["replicas"] == 7


async def test_a_status_written_meanwhile_does_not_stop_a_scale(ground: Ground) -> None:
    """The version that was planned on is no more the newest, the number is: it is written all the same."""
    live = await ground.workload(deployment(ground.namespace))
    scene = scene_of(ground.api, "scale", {"workload": reference(live), "by": -1})
    plan = await OPERATIONS["scale"].plan(scene)
    await ground.client.patch(live, {"metadata": {"labels": {"other": "writer"}}})
    await OPERATIONS["scale"].apply(plan, scene)
    stored = await ground.live(live)
    assert stored["spec"]["replicas"] == 1
    assert BEFORE in stored["metadata"]["annotations"]


async def test_a_number_changed_meanwhile_stops_a_scale(ground: Ground) -> None:
    """A change by so many is of what was planned on."""
    live = await ground.workload(deployment(ground.namespace))
    scene = scene_of(ground.api, "scale", {"workload": reference(live), "by": -1})
    plan = await OPERATIONS["scale"].plan(scene)
    await ground.client.patch(live, {"spec": {"replicas": 9}})
    with pytest.raises(Conflict):
        await OPERATIONS["scale"].apply(plan, scene)
    assert (await ground.live(live))["spec"]["replicas"] == 9


async def test_a_second_rollback_does_not_go_forward_again(ground: Ground) -> None:
    """What was rolled back from is not the revision before: the next one goes further back, or nowhere."""
    live = await released(ground, "Deployment", "example.org/web:2", "example.org/web:3")
    for attempt, image in enumerate(("example.org/web:2", "example.org/web:1")):
        await done("rollback", scene_of(ground.api, "rollback", {"workload": reference(live)}, id=f"a{attempt}"))
        assert image_of(await ground.live(live)) == image
        await ground.settled(live)
    plan = await OPERATIONS["rollback"].plan(scene_of(ground.api, "rollback", {"workload": reference(live)}, id="a9"))
    assert plan.denial
    assert plan.denial.reason is Reason.PARAMETERS


async def test_a_rollback_goes_to_the_revision_that_is_named(ground: Ground) -> None:
    """By its number; one that is not there is refused with those that are."""
    live = await released(ground, "Deployment", "example.org/web:2", "example.org/web:3")
    named = {"workload": reference(live)}
    absent = await OPERATIONS["rollback"].plan(scene_of(ground.api, "rollback", {**named, "revision": 8}))
    assert absent.denial
    assert "1, 2, 3" in absent.denial.message
    await done("rollback", scene_of(ground.api, "rollback", {**named, "revision": 1}))
    assert image_of(await ground.live(live)) == "example.org/web:1"


async def test_an_undo_leaves_what_was_released_since_a_rollback(ground: Ground) -> None:
    """A person's newer template stays."""
    live = await released(ground)
    scene = scene_of(ground.api, "rollback", {"workload": reference(live)})
    plan, _ = await done("rollback", scene)
    body = {"spec": {"template": {"metadata": {"labels": {"app": "web", "release": "3"}}}}}
    await ground.client.patch(live, body)
    assert "since" in str(await OPERATIONS["rollback"].undo(plan.before, scene))


@pytest.mark.parametrize("action", ["restart", "rollback"])
async def test_a_paused_deployment_is_refused(action: str, ground: Ground) -> None:
    """Nothing would roll, so nothing is written."""
    live = await released(ground)
    await ground.client.patch(live, {"spec": {"paused": True}})
    plan = await OPERATIONS[action].plan(scene_of(ground.api, action, {"workload": reference(live)}))
    assert plan.denial
    assert plan.denial.reason is Reason.SUSPENDED


async def test_the_hash_of_a_restart_holds_still(ground: Ground) -> None:
    """An approval is for this plan, whenever and under whichever action's id it is made again."""
    live = await ground.workload(deployment(ground.namespace))
    plans = [
        await OPERATIONS["restart"].plan(scene_of(ground.api, "restart", {"workload": reference(live)}, id=id))
        for id in ("a1", "a2")
    ]
    assert plans[0].hash == plans[1].hash
    assert plans[0].words.endswith("(2 pods)")
    assert [change.path for change in plans[0].changes] == [
        "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt"
    ]


async def test_a_restart_is_refused_for_a_replacement(ground: Ground) -> None:
    """It holds for any version of the workload, and for no other workload of its name."""
    live = await ground.client.create(deployment(ground.namespace))
    scene = scene_of(ground.api, "restart", {"workload": reference(live)})
    plan = await OPERATIONS["restart"].plan(scene)
    await ground.client.delete(live)
    again = await ground.client.create(deployment(ground.namespace))
    with pytest.raises(Conflict):
        await OPERATIONS["restart"].apply(plan, scene)
    assert "annotations" not in (await ground.live(again))["spec"]["template"]["metadata"]


@pytest.mark.parametrize("replicas", [1, 3])
async def test_a_roll_out_whose_new_pods_never_start_is_not_met(replicas: int, ground: Ground) -> None:
    """The old pods stay available until the new ones are, so their number alone says nothing."""
    live = await ground.workload(deployment(ground.namespace, replicas=replicas))
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"only": "nowhere"}}}}}
    await ground.client.patch(live, nowhere)
    scene = scene_of(ground.api, "restart", {"workload": reference(live)})
    plan = await OPERATIONS["restart"].plan(scene)
    applied = await OPERATIONS["restart"].apply(plan, scene)

    async def surged() -> bool:
        status = (await ground.live(live))["status"]
        seen = status["observedGeneration"] == (await ground.live(live))["metadata"]["generation"]
        return bool(seen and status.get("updatedReplicas") and status.get("availableReplicas") == replicas)

    await eventually(surged, what="a new pod waits beside the old ones")
    assert await OPERATIONS["restart"].unmet(plan, applied, scene) is not None
    await ground.client.patch(live, {"spec": {"template": {"spec": {"nodeSelector": None}}}})

    async def met() -> bool:
        return await OPERATIONS["restart"].unmet(plan, applied, scene) is None

    await eventually(met, what="the roll-out is complete")
    assert len(await ground.pods()) == replicas


async def test_a_partition_of_a_stateful_set_is_not_waited_for(ground: Ground) -> None:
    """Its owner keeps those pods back, so a restart rolls the others and is done."""
    obj = other_kind("StatefulSet", ground.namespace)
    obj["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    live = await ground.workload(obj)
    await done("restart", scene_of(ground.api, "restart", {"workload": reference(live)}))
    revisions = {pod["metadata"]["name"]: pod["metadata"]["labels"]["controller-revision-hash"]
                 for pod in await ground.pods()}  # fmt: skip
    assert len(set(revisions.values())) == 2
