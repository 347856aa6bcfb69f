"""Operations on a real API server: each planned, applied, met and undone, with exactly the rights that it declares."""

import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from schemas.events import EvidenceKept, Reason, Verdict
from schemas.ledger import Place
from services.kube.api.errors import Conflict, Forbidden, Invalid, Unavailable
from services.kube.api.operate import Operate
from services.kube.objects import Object
from services.local.controlplane import LocalControlPlane
from services.reconciler.actions.base import Rule
from services.reconciler.actions.evictions import PutOff
from services.reconciler.actions.operation import MARK, Operation, Scene
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.actions.rights import plural
from services.reconciler.actions.seen import BEFORE
from services.reconciler.failures import failure_of
from tests.fakes import eventually
from tests.operating import account_with, done, reference, scene_of, target_of, written_part
from tests.watching import Client, client_of, config_map, deployment, random_name

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@dataclass
class Ground:
    """A namespace of one test, and the administrator in it."""

    client: Client
    namespace: str
    nodes: list[Object] = field(default_factory=list)

    @property
    def api(self) -> Operate:
        return Operate(self.client.cluster)

    async def live(self, obj: Object) -> Object:
        found = await self.client.get(obj)
        assert found is not None
        return found

    async def workload(self, obj: Object) -> Object:
        """Made, and with every replica available."""
        await self.client.create(obj)
        return await self.settled(obj)  # type: ignore[no-any-return]

    async def settled(self, obj: Object) -> Any:
        async def look() -> Object | None:
            live = await self.live(obj)
            status, wanted = live.get("status") or {}, live["spec"].get("replicas")
            seen = status.get("observedGeneration") == live["metadata"]["generation"]
            ready = status.get("availableReplicas", status.get("numberAvailable")) or 0
            updated = status.get("updatedReplicas", status.get("updatedNumberScheduled")) or 0
            wanted = status.get("desiredNumberScheduled") or 1 if wanted is None else wanted
            return live if seen and ready >= wanted and updated >= wanted else None

        return await eventually(look, what=f"{obj['metadata']['name']} is available")

    async def pods(self, app: str = "web") -> list[Object]:
        found = await self.api.list("", "Pod", self.namespace, labels=f"app={app}")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    async def node(self) -> Object:
        """A node of this test's own, on which nothing runs that was not put there."""
        name = random_name("node")
        labels = {"only": name, "kubernetes.io/hostname": name}
        made = await self.client.create({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
        })  # fmt: skip
        self.nodes.append(made)

        async def ready() -> Object | None:
            node = await self.live(made)
            states = {one["type"]: one["status"] for one in (node.get("status") or {}).get("conditions") or ()}
            return node if states.get("Ready") == "True" and not node["spec"].get("taints") else None

        found: Object = await eventually(ready, what=f"{name} is ready")
        return found

    def on(self, node: Object, obj: Object, **pod: Any) -> Object:
        """The workload, which runs on that node only."""
        obj["spec"]["template"]["spec"] |= {"nodeSelector": {"only": node["metadata"]["name"]}, **pod}
        return obj

    def budget(self, app: str = "web", **spec: Any) -> Object:
        return {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": app, "namespace": self.namespace},
            "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
        }  # fmt: skip

    async def forbid_evictions(self) -> None:
        """A PodDisruptionBudget that its controller has counted: no pod may go."""
        made = await self.client.create(self.budget(maxUnavailable=0))

        async def counted() -> bool:
            return bool((await self.live(made)).get("status", {}).get("observedGeneration"))

        await eventually(counted, what="the budget is counted")


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    made = Ground(client, await client.namespace())
    yield made
    for node in made.nodes:
        await client.delete(node)


def other_kind(kind: str, namespace: str, image: str = "example.org/web:1") -> Object:
    obj = deployment(namespace)
    spec = {name: value for name, value in obj["spec"].items() if name != "replicas" or kind != "DaemonSet"}
    spec |= {"serviceName": "web"} if kind == "StatefulSet" else {}
    obj |= {"kind": kind, "spec": spec}
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return obj


def image_of(workload: Object) -> str:
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])


async def released(ground: Ground, kind: str = "Deployment", *images: str) -> Object:
    """A workload with a history."""
    obj = other_kind(kind, ground.namespace)
    await ground.workload(obj)
    for image in images or ("example.org/web:2",):
        containers = [{"name": "web", "image": image}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        await ground.client.patch(obj, body, content="application/strategic-merge-patch+json")
        await ground.settled(obj)
    return await ground.live(obj)


# What each of them works on


@dataclass
class Work:
    """What an action is to do; `about` is what it changes, None where that is gone afterwards."""

    parameters: dict[str, Any]
    place: Place
    about: Object | None
    resumed: bool = False  # whether a second run can only know by that that the first was there


async def _web(ground: Ground, parameter: str = "workload", **more: Any) -> Work:
    live = await ground.workload(deployment(ground.namespace))
    target = target_of(live)
    place = Place(object=target, workload=target)
    return Work({parameter: reference(live), **more}, place, live)


async def _pod(ground: Ground, **more: Any) -> tuple[Work, Object]:
    await ground.workload(deployment(ground.namespace))
    pod = (await ground.pods())[0]
    place = Place(object=target_of(pod), pod=target_of(pod))
    return Work({"pod": reference(pod), **more}, place, pod), pod


async def restart(ground: Ground) -> Work:
    return await _web(ground)


async def scale(ground: Ground) -> Work:
    return await _web(ground, by=1)


async def delete_pod(ground: Ground) -> Work:
    work, _ = await _pod(ground)
    return replace(work, about=None, resumed=True)


async def force_pod(ground: Ground) -> Work:
    work = await delete_pod(ground)
    await ground.forbid_evictions()
    return replace(work, parameters={**work.parameters, "force": True, "gracePeriod": "0s"})


async def rollback(ground: Ground) -> Work:
    live = await released(ground)
    return Work({"workload": reference(live)}, Place(workload=target_of(live)), live)


async def rollback_set(ground: Ground) -> Work:
    live = await released(ground, "StatefulSet")
    return Work({"workload": reference(live)}, Place(workload=target_of(live)), live)


async def rollback_daemons(ground: Ground) -> Work:
    live = await released(ground, "DaemonSet")
    return Work({"workload": reference(live)}, Place(workload=target_of(live)), live)


async def cordon(ground: Ground) -> Work:
    node = await ground.node()
    return Work({"node": reference(node)}, Place(node=target_of(node)), node)


async def uncordon(ground: Ground) -> Work:
    work = await cordon(ground)
    assert work.about
    await ground.client.patch(work.about, {"spec": {"unschedulable": True}})
    return replace(work, about=await ground.live(work.about))


async def drain(ground: Ground) -> Work:
    work = await cordon(ground)
    assert work.about
    await ground.workload(ground.on(work.about, deployment(ground.namespace)))
    return work


async def label(ground: Ground) -> Work:
    return await _web(ground, "object", set={"quarantine": "true"}, remove=["absent"])


async def annotate(ground: Ground) -> Work:
    made = await ground.client.create(config_map(ground.namespace, colour="blue"))
    return Work({"object": reference(made), "set": {"example.org/seen": "yes"}}, Place(object=target_of(made)), made)


async def merge(ground: Ground) -> Work:
    made = await ground.client.create(config_map(ground.namespace, colour="blue"))
    body = {"data": {"colour": "red", "size": "1"}, "metadata": {"annotations": {"example.org/why": "shell"}}}
    return Work({"object": reference(made), "merge": body}, Place(object=target_of(made)), made)


async def operations(ground: Ground) -> Work:
    made = await ground.client.create(config_map(ground.namespace, colour="blue"))
    changed = [{"op": "test", "path": "/data/colour", "value": "blue"},
               {"op": "replace", "path": "/data/colour", "value": "red"}]  # fmt: skip
    return Work({"object": reference(made), "json": changed}, Place(object=target_of(made)), made)


async def apply_manifest(ground: Ground) -> Work:
    manifest = config_map(ground.namespace, "maintenance", banner="we are on it")
    return Work({"manifest": manifest}, Place(), manifest)


async def evidence(ground: Ground) -> Work:
    work, _ = await _pod(ground)
    return work


Maker = Callable[[Ground], Awaitable[Work]]
WORKS: list[Any] = [
    pytest.param(action, maker, id=maker.__name__.replace("_", "-"))
    for action, maker in (
        ("restart", restart), ("scale", scale), ("delete-pod", delete_pod), ("delete-pod", force_pod),
        ("rollback", rollback), ("rollback", rollback_set), ("rollback", rollback_daemons), ("cordon", cordon),
        ("uncordon", uncordon), ("drain", drain), ("label", label), ("annotate", annotate), ("patch", merge),
        ("patch", operations), ("apply-manifest", apply_manifest), ("evidence", evidence),
    )
]  # fmt: skip
IRREVERSIBLE = {"restart", "delete-pod", "evidence"}


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_an_action_needs_no_right_beyond_those_that_it_declares(
    action: str, maker: Maker, ground: Ground, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """Plan, apply, look and undo with an account that may do what the rules say; the object is as before then."""
    work, operation = await maker(ground), OPERATIONS[action]
    before = written_part(work.about) if work.about and "uid" in work.about["metadata"] else None
    rules = operation.rules(scene_of(ground.api, action, work.parameters).parameters)
    async with account_with(rules, ground.client, control_plane, ground.namespace, tmp_path) as account:
        scene = scene_of(account.api, action, work.parameters, place=work.place)
        plan, _ = await done(action, scene)
        assert plan.target
        assert plan.target.uid or action == "apply-manifest"
        assert bool(plan.changes) is (action not in ("delete-pod", "evidence"))
        assert bool(plan.touches) is (action != "evidence")
        assert operation.reversible is (action not in IRREVERSIBLE)
        undone = await operation.undo(plan.before, scene)
        assert (undone is None) is (operation.reversible and maker is not operations), undone
        if undone is None and before is not None and work.about:
            assert written_part(await ground.live(work.about)) == before
        if action == "apply-manifest":
            assert work.about
            assert await ground.client.get(work.about) is None


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_a_second_run_of_the_same_action_changes_nothing(action: str, maker: Maker, ground: Ground) -> None:
    """A process that is killed right after the write leaves an object that says so; so does a plan applied twice."""
    work, operation = await maker(ground), OPERATIONS[action]
    scene = scene_of(ground.api, action, work.parameters, place=work.place)
    plan = await operation.plan(scene)
    await operation.apply(plan, scene)
    stored = await ground.live(work.about) if work.about else {}
    again = replace(scene, resumed=True)
    taken_up = await operation.plan(again)
    if action != "evidence":
        assert (taken_up.so, taken_up.ours, taken_up.denial) == (True, True, None)
        await operation.apply(taken_up, again)
        await operation.apply(plan, scene)
    if work.about:
        live = await ground.live(work.about)
        assert written_part(live) == written_part(stored)
        assert live["metadata"].get("generation") == stored["metadata"].get("generation")
    if operation.reversible and maker is not operations:
        assert taken_up.before["action"] == scene.action_id
        assert await operation.undo(taken_up.before, again) is None
    if work.resumed:
        pods = await eventually(lambda: _two(ground), what="the pod was made anew")
        assert len(pods) == 2


async def _two(ground: Ground) -> list[Object]:
    pods = await ground.pods()
    return pods if len(pods) == 2 else []


@pytest.mark.parametrize(("action", "maker"), [one for one in WORKS if one.id not in ("apply-manifest", "force-pod")])
async def test_another_object_of_the_same_name_is_left_alone(action: str, maker: Maker, ground: Ground) -> None:
    """What the alert was about is gone, by its uid: nothing is done to what has its name now."""
    work = await maker(ground)
    fields = {
        name: target.model_copy(update={"uid": "0e1e5c0e-0000-4000-8000-000000000000"})
        for name, target in dict(work.place).items()
        if target and not isinstance(target, str)
    }
    plan = await OPERATIONS[action].plan(scene_of(ground.api, action, work.parameters, place=Place(**fields)))
    if action == "delete-pod":
        assert (plan.so, plan.ours) == (True, False)
        return
    assert plan.denial
    assert plan.denial.reason is Reason.TARGET_GONE
    assert "another object" in plan.denial.message


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_a_missing_right_is_named(
    action: str, maker: Maker, ground: Ground, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """Without any right the server refuses the first look, and the failure says which right that was."""
    work = await maker(ground)
    async with account_with((), ground.client, control_plane, ground.namespace, tmp_path) as account:
        scene = scene_of(account.api, action, work.parameters, place=work.place)
        with pytest.raises(Forbidden) as caught:
            await OPERATIONS[action].plan(scene)
        about = work.about or (await ground.pods())[0]
        failure = failure_of(caught.value, target_of(about), "plan", 30)
        assert failure.reason is Reason.FORBIDDEN
        assert f"missing right: get {about['kind']}" in failure.message


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_no_declared_right_is_one_too_many(
    action: str, maker: Maker, client: Client, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """Without any single one of them something is refused: plan, apply or undo."""
    operation = OPERATIONS[action]
    grounds = [Ground(client, await client.namespace())]
    try:
        rules = operation.rules(scene_of(grounds[0].api, action, (await maker(grounds[0])).parameters).parameters)
        for rule, verb in [(one, verb) for one in rules for verb in one.verbs]:
            grounds.append(Ground(client, await client.namespace()))
            work = await maker(grounds[-1])
            less = [one if one is not rule else _without(one, verb) for one in rules]
            granted = [one for one in less if one.verbs]
            async with account_with(granted, client, control_plane, grounds[-1].namespace, tmp_path) as account:
                assert await _is_refused(operation, scene_of(account.api, action, work.parameters)), (rule, verb)
    finally:
        for node in [node for ground in grounds for node in ground.nodes]:
            await client.delete(node)


def _without(rule: Rule, verb: str) -> Rule:
    return replace(rule, verbs=tuple(one for one in rule.verbs if one != verb))


async def _is_refused(operation: Operation[Any], scene: Scene[Any]) -> bool:
    """A pod without a known uid is old enough for its alert, which came much later."""
    late = scene.alert.model_copy(update={"fired_at": scene.alert.fired_at + timedelta(hours=1)})
    scene = replace(scene, alert=late)
    try:
        plan = await operation.plan(scene)
        assert plan.denial is None
        await operation.apply(plan, scene)
        await operation.undo(plan.before, scene)
    except Forbidden:
        return True
    return False


async def test_plurals_are_the_server_s_own(client: Client) -> None:
    """A role is written before any cluster is asked, by a rule: for every kind that is served it is right."""
    served = client.cluster.catalogue.preferred.values()
    wrong = {one.kind: one.plural for one in served if plural(one.kind) != one.plural}
    assert len(served) > 40
    assert wrong == {}


async def test_a_write_names_the_object_that_was_looked_at(ground: Ground) -> None:
    """A replacement between plan and apply is refused by the server itself, for a merge and for operations."""
    for form in ({"merge": {"data": {"a": "2"}}}, {"json": [{"op": "replace", "path": "/data/a", "value": "2"}]}):
        made = await ground.client.create(config_map(ground.namespace, "short-lived", a="1"))
        scene = scene_of(ground.api, "patch", {"object": reference(made), **form})
        plan = await OPERATIONS["patch"].plan(scene)
        await ground.client.delete(made)
        again = await ground.client.create(config_map(ground.namespace, "short-lived", a="1"))
        with pytest.raises(Conflict):
            await OPERATIONS["patch"].apply(plan, scene)
        assert (await ground.live(again))["data"] == {"a": "1"}
        await ground.client.delete(again)


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


# Scale


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


# Pods


async def test_a_disruption_budget_puts_an_eviction_off(ground: Ground) -> None:
    """Not now is no failure: the plan waits, and an apply that meets it says the same."""
    work = await force_pod(ground)
    parameters = {"pod": work.parameters["pod"]}
    scene = scene_of(ground.api, "delete-pod", parameters, place=work.place)
    plan = await OPERATIONS["delete-pod"].plan(scene)
    assert plan.denial
    assert (plan.denial.reason, plan.denial.verdict) == (Reason.DISRUPTION_BUDGET, Verdict.WAIT)
    assert plan.denial.until
    pod = await ground.api.get(work.place.pod)  # type: ignore[arg-type]
    forced = await OPERATIONS["delete-pod"].plan(scene_of(ground.api, "delete-pod", work.parameters, place=work.place))
    assert forced.denial is None
    with pytest.raises(PutOff) as caught:
        await OPERATIONS["delete-pod"].apply(forced, scene)
    assert caught.value.cause is Reason.DISRUPTION_BUDGET
    assert pod


@pytest.mark.parametrize(("standalone", "reason"), [pytest.param(False, Reason.PARAMETERS, id="not-allowed"),
                                                    pytest.param(True, None, id="allowed")])  # fmt: skip
async def test_a_pod_of_its_own_goes_only_where_that_is_said(
    standalone: bool, reason: Reason | None, ground: Ground
) -> None:
    """Nothing would make it anew."""
    pod = await ground.client.create(lonely(ground.namespace))
    place = Place(pod=target_of(pod))
    scene = scene_of(ground.api, "delete-pod", {"pod": reference(pod), "standalone": standalone}, place=place)
    plan = await OPERATIONS["delete-pod"].plan(scene)
    assert (plan.denial and plan.denial.reason) == reason


async def test_a_replacement_is_known_without_a_uid(ground: Ground) -> None:
    """A pod that a policy names itself, of a StatefulSet say, is another one once it is younger than the alert."""
    scene = scene_of(ground.api, "delete-pod", {"pod": f"Pod/{ground.namespace}/lonely", "standalone": True})
    await ground.client.create(lonely(ground.namespace))
    plan = await OPERATIONS["delete-pod"].plan(scene)
    assert plan.denial
    assert plan.denial.reason is Reason.TARGET_GONE


def lonely(namespace: str, **spec: Any) -> Object:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lonely", "namespace": namespace},
        "spec": {"containers": [{"name": "web", "image": "example.org/web:1"}], **spec},
    }  # fmt: skip


# Roll-outs


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


# Nodes


async def test_a_person_s_cordon_is_not_taken_back(ground: Ground) -> None:
    """A node that was cordoned already needs nothing, and an undo of that nothing is none."""
    work = await uncordon(ground)
    scene = scene_of(ground.api, "cordon", work.parameters, place=work.place)
    plan = await OPERATIONS["cordon"].plan(scene)
    assert (plan.so, plan.ours) == (True, False)
    assert await OPERATIONS["cordon"].undo(plan.before, scene) is None
    assert work.about
    assert (await ground.live(work.about))["spec"]["unschedulable"]


async def test_a_drain_waits_for_a_budget_and_says_so(ground: Ground) -> None:
    """Refused evictions are asked for again; at the end it is later, the node stays cordoned, the next run goes on."""
    work = await drain(ground)
    await ground.forbid_evictions()
    parameters = {**work.parameters, "timeout": "4s"}
    scene = scene_of(ground.api, "drain", parameters, place=work.place)
    plan = await OPERATIONS["drain"].plan(scene)
    assert len(plan.touches) == 3
    with pytest.raises(PutOff) as caught:
        await OPERATIONS["drain"].apply(plan, scene)
    assert caught.value.cause is Reason.DISRUPTION_BUDGET
    assert work.about
    assert (await ground.live(work.about))["spec"]["unschedulable"]
    await ground.client.delete(ground.budget())
    later = scene_of(ground.api, "drain", parameters, place=work.place, id="a2")
    resumed, _ = await done("drain", later)
    assert await OPERATIONS["drain"].undo(resumed.before, later) is None
    assert not (await ground.live(work.about))["spec"].get("unschedulable")


@pytest.mark.parametrize(("pod", "parameters", "denied"), [
    pytest.param({"volumes": [{"name": "tmp", "emptyDir": {}}]}, {}, True, id="empty-dir"),
    pytest.param({"volumes": [{"name": "tmp", "emptyDir": {}}]}, {"deleteEmptyDir": True}, False, id="given-up"),
])  # fmt: skip
async def test_a_drain_loses_no_volume_unasked(
    pod: dict[str, Any], parameters: dict[str, Any], denied: bool, ground: Ground
) -> None:
    """The emptyDir of a pod is lost with it."""
    work = await cordon(ground)
    assert work.about
    await ground.workload(ground.on(work.about, deployment(ground.namespace), **pod))
    scene = scene_of(ground.api, "drain", {**work.parameters, **parameters}, place=work.place)
    plan = await OPERATIONS["drain"].plan(scene)
    assert (plan.denial is not None and plan.denial.reason is Reason.HOLDS_DATA) is denied


DENIED = "The pod will be rolled by the Strimzi Cluster Operator"


@asynccontextmanager
async def drain_cleaner(ground: Ground, plane: LocalControlPlane) -> AsyncIterator[list[Object]]:
    """A webhook that answers evictions as Strimzi's Drain Cleaner does; what it was asked."""
    asked: list[Object] = []

    async def answer(request: web.Request) -> web.Response:
        review = orjson.loads(await request.read())
        asked.append(review["request"])
        response = {"uid": review["request"]["uid"], "allowed": False, "status": {"code": 500, "message": DENIED}}
        return web.Response(body=orjson.dumps({**review, "response": response}), content_type="application/json")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(plane.ca_file, plane.ca_file.with_suffix(".key"))
    app = web.Application()
    app.router.add_post("/drainer", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    authority = base64.b64encode(plane.ca_file.read_bytes()).decode()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/eviction"]}
    webhook = {
        "name": "cleaner.example.org", "admissionReviewVersions": ["v1"], "sideEffects": "NoneOnDryRun",
        "rules": [rule], "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ground.namespace}},
        "clientConfig": {"url": f"https://127.0.0.1:{runner.addresses[0][1]}/drainer", "caBundle": authority},
    }  # fmt: skip
    made = await ground.client.create({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": random_name("cleaner")}, "webhooks": [webhook],
    })  # fmt: skip
    try:
        yield asked
    finally:
        await ground.client.delete(made)
        await runner.cleanup()


@pytest.mark.parametrize("action", ["delete-pod", "drain"])
async def test_a_pod_of_strimzi_is_later_and_no_failure(
    action: str, ground: Ground, control_plane: LocalControlPlane
) -> None:
    """Its Drain Cleaner refuses the eviction and has the operator roll the pod; a dry-run would not tell it to."""
    node = await ground.node()
    obj = ground.on(node, deployment(ground.namespace, replicas=1))
    obj["spec"]["template"]["metadata"]["labels"] |= {"strimzi.io/cluster": "events", "strimzi.io/kind": "Kafka"}
    await ground.workload(obj)
    pod = (await ground.pods())[0]
    parameters = {"node": reference(node), "timeout": "3s"} if action == "drain" else {"pod": reference(pod)}
    async with drain_cleaner(ground, control_plane) as asked:
        scene = scene_of(ground.api, action, parameters, place=Place(pod=target_of(pod), node=target_of(node)))

        async def refused() -> bool:  # until the API server has heard of the webhook, evictions would pass
            with suppress(Unavailable):
                await ground.api.evict(target_of(pod), uid=pod["metadata"]["uid"], dry_run=True)
            return bool(asked)

        await eventually(refused, what="the webhook is called")
        before = len(asked)
        plan = await OPERATIONS[action].plan(scene)
        assert plan.denial is None
        assert len(asked) == before
        with pytest.raises(PutOff) as caught:
            await OPERATIONS[action].apply(plan, scene)
        assert (caught.value.cause, caught.value.denial.verdict) == (Reason.LATER, Verdict.WAIT)
        assert [one["dryRun"] for one in asked[before:]][:1] == [False]
    assert [one["metadata"]["uid"] for one in await ground.pods()] == [pod["metadata"]["uid"]]


# Objects


async def test_a_label_that_somebody_has_changed_since_stays(ground: Ground) -> None:
    """Each key goes back by itself: the one that is still ours does, the other is named."""
    obj = config_map(ground.namespace)
    obj["metadata"]["labels"] = {"team": "pay", "tier": "1"}
    made = await ground.client.create(obj)
    scene = scene_of(ground.api, "label", {"object": reference(made), "set": {"team": "x", "fresh": "y"},
                                           "remove": ["tier"]})  # fmt: skip
    plan, _ = await done("label", scene)
    assert (await ground.live(made))["metadata"]["labels"] == {"team": "x", "fresh": "y"}
    await ground.client.patch(made, {"metadata": {"labels": {"fresh": "somebody"}}})
    assert "fresh" in str(await OPERATIONS["label"].undo(plan.before, scene))
    live = await ground.live(made)
    assert live["metadata"]["labels"] == {"team": "pay", "tier": "1", "fresh": "somebody"}
    assert MARK not in live["metadata"].get("annotations", {})


async def test_a_patch_of_a_secret_shows_no_value(ground: Ground) -> None:
    """Neither the plan nor what is kept for an undo holds what the Secret holds, or is to hold."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": ground.namespace},
              "data": {"k": "aHVudGVyMg=="}}  # fmt: skip
    made = await ground.client.create(secret)
    scene = scene_of(ground.api, "patch", {"object": reference(made), "merge": {"data": {"k": "c3dvcmRmaXNo"}}})
    plan, _ = await done("patch", scene)
    shown = repr((plan.changes, plan.before, plan.words))
    assert plan.changes
    assert "aHVudGVyMg" not in shown
    assert "c3dvcmRmaXNo" not in shown
    live = await ground.live(made)
    assert live["data"] == {"k": "c3dvcmRmaXNo"}
    assert "aHVudGVyMg" not in repr(live["metadata"]["annotations"])


@pytest.mark.parametrize("data", [pytest.param({"k": "not base64: hunter2"}, id="invalid"),
                                  pytest.param({"k": "aG1hYzowMTIzNDU2Nzg5YWI="}, id="masked")])  # fmt: skip
async def test_what_the_server_says_of_a_secret_is_not_repeated(data: dict[str, str], ground: Ground) -> None:
    """Its words quote values; and what was printed in a value's place is never stored for it."""
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": ground.namespace},
                "data": data}  # fmt: skip
    with pytest.raises(Invalid) as caught:
        await OPERATIONS["apply-manifest"].plan(scene_of(ground.api, "apply-manifest", {"manifest": manifest}))
    assert "hunter2" not in str(caught.value)
    assert await ground.client.get(manifest) is None


async def test_an_applied_manifest_takes_no_field_from_others(ground: Ground) -> None:
    """Who else holds a field keeps it, and the plan names whom."""
    held = config_map(ground.namespace, "maintenance", banner="theirs")
    await ground.client.apply(held)
    manifest = config_map(ground.namespace, "maintenance", banner="ours")
    plan = await OPERATIONS["apply-manifest"].plan(scene_of(ground.api, "apply-manifest", {"manifest": manifest}))
    assert plan.denial
    assert plan.denial.reason is Reason.CONFLICT
    assert "deployer" in plan.denial.message


async def test_what_stood_before_a_manifest_is_not_deleted(ground: Ground) -> None:
    """Its undo deletes only what it made; the same manifest again needs nothing."""
    held = config_map(ground.namespace, "maintenance", banner="theirs")
    await ground.client.apply(held)
    manifest = config_map(ground.namespace, "maintenance", more="ours")
    scene = scene_of(ground.api, "apply-manifest", {"manifest": manifest})
    plan, _ = await done("apply-manifest", scene)
    assert [change.path for change in plan.changes] == ["/data/more"]
    assert await OPERATIONS["apply-manifest"].undo(plan.before, scene)
    assert (await ground.live(held))["data"] == {"banner": "theirs", "more": "ours"}
    again = await OPERATIONS["apply-manifest"].plan(replace(scene, action_id="a2"))
    assert again.so


async def test_evidence_is_kept_without_any_log(ground: Ground) -> None:
    """Nodes without machines have no logs: that is a fact with the server's words, beside the object and its Events."""
    work = await evidence(ground)
    scene = scene_of(ground.api, "evidence", work.parameters, place=work.place)
    _, applied = await done("evidence", scene)
    kept = [fact for fact in applied.facts if isinstance(fact, EvidenceKept)]
    assert [(one.what, one.name) for one in kept] == [("object", ""), ("events", ""), ("log", "web")]
    assert all(one.target.uid == work.place.pod.uid for one in kept if work.place.pod)
    assert '"image": "example.org/web:1"' in kept[0].text
    assert "Scheduled" in kept[1].text
    assert kept[2].text.startswith("[not to be had: ")
