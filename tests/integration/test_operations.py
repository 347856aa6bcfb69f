"""Operations on a real API server: each planned, applied, met and undone, with exactly the rights that it declares.

`tests/works.py` says what each is given to do. Kinds of other projects are real objects of definitions of ours, and
what the projects' own controllers would answer is written by the test.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import Reason
from schemas.ledger import Place
from services.kube.api.errors import Conflict, Forbidden
from services.kube.objects import Object
from services.local.controlplane import LocalControlPlane
from services.reconciler.acting.failures import failure_of
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import Operation, Scene
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.actions.rights import plural
from tests import tools, works
from tests.fakes import eventually
from tests.ground import Ground, ground_of
from tests.operating import account_with, done, scene_of, written_part
from tests.watching import Client, client_of
from tests.works import MAKERS, OUTSIDE, WORKS, Maker, Work

pytestmark = pytest.mark.integration
IRREVERSIBLE = {
    "restart", "delete-pod", "evidence", "argocd-sync", "flux-reconcile", "velero-backup", "kafka-restart", "run-job",
}  # fmt: skip
MAKES = {"apply-manifest", "velero-backup"}  # what makes the object that it is about, which has no uid before
CHANGES_NOTHING = {"delete-pod", "evidence"}
WRITES_OBJECT = set(OPERATIONS) - OUTSIDE - MAKES - {"delete-pod", "evidence", "run-job", "drain"}
"""What patches the very object that it is about, and nothing that was seen elsewhere."""
OTHER_UID = "0e1e5c0e-0000-4000-8000-000000000000"


def reversible(action: str, maker: Maker) -> bool:
    """A list of patch operations has no inverse."""
    return action not in IRREVERSIBLE and maker is not works.operations


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        await tools.define(opened)
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


def test_every_operation_has_work() -> None:
    """What acts on the cluster is proved here, whatever is added later."""
    assert {action for action, _ in MAKERS} | OUTSIDE == set(OPERATIONS)


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_an_action_needs_no_right_beyond_those_that_it_declares(
    action: str, maker: Maker, ground: Ground, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """Plan, apply, look and undo with an account that may do what the rules say; the object is as before then."""
    work, operation = await maker(ground), OPERATIONS[action]
    before = written_part(work.about) if work.about and "uid" in work.about["metadata"] else None
    rules = operation.rules(scene_of(ground.api, action, work.parameters).parameters)
    async with account_with(rules, ground.client, control_plane, ground.namespace, tmp_path) as account:
        scene = scene_of(work.on(account.api), action, work.parameters, place=work.place)
        plan, _ = await done(action, scene, answered=lambda: work.answered(ground.client, scene))
        assert plan.target
        assert bool(plan.target.uid) is (action not in MAKES)
        assert bool(plan.changes) is (action not in CHANGES_NOTHING)
        assert bool(plan.touches) is (action != "evidence")
        assert operation.reversible is (action not in IRREVERSIBLE)
        undone = await operation.undo(plan.before, scene)
        assert (undone is None) is reversible(action, maker), undone
        if undone is None and before is not None and work.about:
            assert written_part(await ground.live(work.about)) == before
        if action == "apply-manifest":
            assert work.about
            assert await ground.client.get(work.about) is None


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_a_dry_run_writes_nothing(action: str, maker: Maker, ground: Ground) -> None:
    """A plan is made for people to read, too: neither the object nor anything beside it is another afterwards."""
    work = await maker(ground)
    scene = scene_of(work.on(ground.api), action, work.parameters, place=work.place)
    before = await _everything(ground, work)
    plan = await OPERATIONS[action].plan(replace(scene, plan_only=True))
    assert (plan.denial, plan.so) == (None, False)
    assert await _everything(ground, work) == before


async def _everything(ground: Ground, work: Work) -> list[Any]:
    """What was written of the object, and the names of what a plan could have made."""
    about = await ground.client.get(work.about) if work.about else None
    kinds = [
        ("", "Pod"),
        ("", "ConfigMap"),
        ("batch", "Job"),
        ("velero.io", "Backup"),
        ("cilium.io", "CiliumNetworkPolicy"),
    ]
    kinds += [(group, "NetworkPolicy") for group in ("networking.k8s.io", "projectcalico.org", "crd.projectcalico.org")]
    listed = [one for kind in kinds for one in await ground.api.list(*kind, ground.namespace)]
    names = {one["metadata"]["name"] for one in listed if not one["metadata"].get("deletionTimestamp")}
    names -= {"kube-root-ca.crt"}  # which every namespace gets
    return [about and written_part(about), *sorted(names)]


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_a_second_run_of_the_same_action_changes_nothing(action: str, maker: Maker, ground: Ground) -> None:
    """A process that is killed right after the write leaves an object that says so; so does a plan applied twice."""
    work, operation = await maker(ground), OPERATIONS[action]
    scene = scene_of(work.on(ground.api), action, work.parameters, place=work.place)
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
    if reversible(action, maker):
        assert taken_up.before["action"] == scene.action_id
        assert await operation.undo(taken_up.before, again) is None
    if work.resumed:
        pods = await eventually(lambda: _two(ground), what="the pod was made anew")
        assert len(pods) == 2


async def _two(ground: Ground) -> list[Object]:
    pods = await ground.pods()
    return pods if len(pods) == 2 else []


@pytest.mark.parametrize(
    ("action", "maker"), [one for one in WORKS if reversible(*one.values) and one.values[0] not in MAKES]
)
async def test_an_undo_after_a_crash_puts_back_what_stood_before(action: str, maker: Maker, ground: Ground) -> None:
    """The plan that is made when the action is taken up again knows what the first one knew."""
    work, operation = await maker(ground), OPERATIONS[action]
    assert work.about
    scene = scene_of(work.on(ground.api), action, work.parameters, place=work.place)
    await operation.apply(await operation.plan(scene), scene)
    taken_up = await operation.plan(replace(scene, resumed=True))
    assert await operation.undo(taken_up.before, replace(scene, resumed=True)) is None
    assert written_part(await ground.live(work.about)) == written_part(work.about)


@pytest.mark.parametrize(
    ("action", "maker"), [one for one in WORKS if one.values[0] not in MAKES and one.id != "force-pod"]
)
async def test_another_object_of_the_same_name_is_left_alone(action: str, maker: Maker, ground: Ground) -> None:
    """What the alert was about is gone, by its uid: nothing is done to what has its name now."""
    work = await maker(ground)
    fields = {
        name: target.model_copy(update={"uid": OTHER_UID})
        for name, target in dict(work.place).items()
        if target and not isinstance(target, str)
    }
    scene = scene_of(work.on(ground.api), action, work.parameters, place=Place(**fields))
    plan = await OPERATIONS[action].plan(scene)
    if action == "delete-pod":
        assert (plan.so, plan.ours) == (True, False)
        return
    assert plan.denial
    assert plan.denial.reason is Reason.TARGET_GONE
    assert "another object" in plan.denial.message


@pytest.mark.parametrize(
    ("action", "maker"), [one for one in WORKS if one.values[0] in WRITES_OBJECT and one.id != "roll-kafka"]
)
async def test_a_replacement_between_plan_and_apply_is_refused(action: str, maker: Maker, ground: Ground) -> None:
    """The server itself refuses the write, since it names the uid; planned again, the one that was meant is gone."""
    work, operation = await maker(ground), OPERATIONS[action]
    assert work.about
    scene = scene_of(work.on(ground.api), action, work.parameters, place=work.place, id="action-4711")
    plan = await operation.plan(scene)
    again = await ground.replaced(work.about)
    with pytest.raises(Conflict):
        await operation.apply(plan, scene)
    assert scene.action_id not in repr(await ground.live(again))
    anew = await operation.plan(scene)
    assert anew.denial
    assert anew.denial.reason is Reason.TARGET_GONE


SCALED, LABELLED = {"spec": {"replicas": 7}}, {"metadata": {"labels": {"quarantine": "maybe"}}}
MEANWHILE: tuple[tuple[str, Maker, Object], ...] = (
    ("scale", works.scale, SCALED), ("label", works.label, LABELLED),
    ("annotate", works.annotate, {"metadata": {"annotations": {"example.org/seen": "no"}}}),
    ("patch", works.merge, {"data": {"colour": "green"}}), ("patch", works.operations, {"data": {"colour": "green"}}),
    ("cordon", works.cordon, {"spec": {"unschedulable": True}}),
    ("uncordon", works.uncordon, {"spec": {"unschedulable": None}}),
    ("rollback", works.rollback, {"spec": {"template": {"metadata": {"labels": {"release": "3"}}}}}),
    ("suspend", works.suspend_cron_job, {"spec": {"suspend": True}}),
    ("suspend", works.suspend_application, {"spec": {"syncPolicy": {"automated": {"prune": False}}}}),
    ("resume", works.resume_application, {"spec": {"syncPolicy": {"automated": {"prune": False}}}}),
    ("argocd-sync", works.argocd_sync, {"operation": {"sync": {}}}),
)  # fmt: skip


@pytest.mark.parametrize(("action", "maker", "change"), [
    pytest.param(*one, id=one[1].__name__.replace("_", "-")) for one in MEANWHILE
])  # fmt: skip
async def test_what_somebody_does_meanwhile_is_not_written_over(
    action: str, maker: Maker, change: Object, ground: Ground
) -> None:
    """A plan holds for what it was made of; another change of the same place is a conflict, and stays."""
    work, operation = await maker(ground), OPERATIONS[action]
    assert work.about
    scene = scene_of(ground.api, action, work.parameters, place=work.place, id="action-4711")
    plan = await operation.plan(scene)
    await ground.client.patch(work.about, change)
    with pytest.raises(Conflict):
        await operation.apply(plan, scene)
    assert scene.action_id not in repr(await ground.live(work.about))


@pytest.mark.parametrize(("action", "maker"), [
    one for one in WORKS if one.values[0] in WRITES_OBJECT - {"patch"} and one.id != "roll-kafka"
])  # fmt: skip
async def test_what_somebody_does_elsewhere_is_no_conflict(action: str, maker: Maker, ground: Ground) -> None:
    """Controllers write all the time: another version of the object is no reason to plan it all again."""
    work, operation = await maker(ground), OPERATIONS[action]
    assert work.about
    scene = scene_of(work.on(ground.api), action, work.parameters, place=work.place)
    plan = await operation.plan(scene)
    await ground.client.patch(work.about, {"metadata": {"annotations": {"example.org/other": "writer"}}})
    await operation.apply(plan, scene)
    assert (await ground.live(work.about))["metadata"]["annotations"]["example.org/other"] == "writer"


@pytest.mark.parametrize(("action", "maker"), [one for one in WORKS if one.values[0] not in MAKES])
async def test_what_is_gone_is_a_reason(action: str, maker: Maker, ground: Ground) -> None:
    """An object that was deleted meanwhile is no failure, and nothing is made in its place."""
    work = await maker(ground)
    name = next(iter(work.parameters.values())).rpartition("/")[0] + "/no-such"
    field = next(iter(work.parameters))
    scene = scene_of(work.on(ground.api), action, {**work.parameters, field: name})
    plan = await OPERATIONS[action].plan(scene)
    assert plan.denial
    assert (plan.denial.reason, plan.denial.message.endswith("is gone")) == (Reason.TARGET_GONE, True)


@pytest.mark.parametrize(("action", "maker"), WORKS)
async def test_no_declared_right_is_one_too_many(
    action: str, maker: Maker, client: Client, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """Without any single one of them plan, apply, look or undo is refused, and the failure names the very right."""
    operation = OPERATIONS[action]
    async with ground_of(client) as first:
        work = await maker(first)
        rules = operation.rules(scene_of(first.api, action, work.parameters).parameters)
    assert rules
    for rule, verb in [(one, verb) for one in rules for verb in one.verbs if one.group != work.spare or not one.group]:
        less = [one if one is not rule else _without(one, verb) for one in rules]
        granted = [one for one in less if one.verbs]
        async with ground_of(client) as ground:
            work = await maker(ground)
            async with account_with(granted, client, control_plane, ground.namespace, tmp_path) as account:
                failure = await _refused(operation, scene_of(work.on(account.api), action, work.parameters))
        wanted = f"missing right: {verb} {rule.resource}{'.' + rule.group if rule.group else ''}"
        assert failure.startswith(wanted), (rule, verb)


def _without(rule: Rule, verb: str) -> Rule:
    return replace(rule, verbs=tuple(one for one in rule.verbs if one != verb))


async def _refused(operation: Operation[Any], scene: Scene[Any]) -> str:
    """What the failure says; "" where there was none. A pod without a known uid is old enough for an alert that came
    much later."""
    late = scene.alert.model_copy(update={"fired_at": scene.alert.fired_at + timedelta(hours=1)})
    scene = replace(scene, alert=late)
    phase = "plan"
    try:
        plan = await operation.plan(scene)
        assert plan.denial is None
        phase = "apply"
        applied = await operation.apply(plan, scene)
        phase = "verify"
        await operation.unmet(plan, applied, scene)
        phase = "undo"
        await operation.undo(plan.before, scene)
    except Forbidden as error:
        failure = failure_of(error, scene.alert.target, phase, 30)
        assert (failure.reason, failure.temporary) == (Reason.FORBIDDEN, False)
        return failure.message
    return ""


async def test_plurals_are_the_server_s_own(client: Client) -> None:
    """A role is written before any cluster is asked, by a rule: for every kind that is served it is right."""
    served = client.cluster.catalogue.preferred.values()
    wrong = {one.kind: one.plural for one in served if plural(one.kind) != one.plural}
    assert len(served) > 40
    assert wrong == {}
