"""One task on an alert from its start to its end: every way out is an end with a reason, and no write is forgotten."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from schemas.alerts import AlertFired, Severity
from schemas.events import FieldChange, Outcome, PeopleTold, Reason, Verdict
from schemas.ledger import Flight, Lift, Place
from schemas.policy import Step
from services.kube.api.errors import Conflict, Forbidden, TimedOut, Unavailable
from services.reconciler.acting.carrier import Asks, Desk, carry
from services.reconciler.acting.turns import Turns
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.guards import Bounds, Denial
from services.reconciler.inputs import Ended, Errand, Task
from services.runtime.logging import get_log
from tests.reconciler_kit import NOON, MovedClock, target_of

WEB = target_of("web").model_copy(update={"uid": "u"})
PLAN = Plan(WEB, "restart Deployment shop/web", touches=(WEB,), before={"was": 1})


@dataclass
class Told(Operation[Any]):
    """An operation that does what the test says; a list gives one answer a call, the last one for all others."""

    plans: list[Any] = field(default_factory=lambda: [PLAN])
    applies: list[Any] = field(default_factory=lambda: [Applied()])
    looks: list[Any] = field(default_factory=lambda: [None])
    undos: list[Any] = field(default_factory=lambda: [None])
    calls: list[str] = field(default_factory=list)

    name = "restart"
    example = "restart: {}"

    def rules(self, parameters: Any) -> tuple[Rule, ...]:
        return ()

    async def plan(self, scene: Scene[Any]) -> Plan:
        return await self._next("plan", self.plans)  # type: ignore[no-any-return]

    async def apply(self, plan: Plan, scene: Scene[Any]) -> Applied:
        return await self._next("apply", self.applies)  # type: ignore[no-any-return]

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Any]) -> str | None:
        return await self._next("look", self.looks)  # type: ignore[no-any-return]

    async def undo(self, before: Mapping[str, Any], scene: Scene[Any]) -> str | None:
        assert before == {"was": 1}
        return await self._next("undo", self.undos)  # type: ignore[no-any-return]

    async def _next(self, call: str, answers: list[Any]) -> Any:
        self.calls.append(call)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        if answer is HANGS:
            await asyncio.Event().wait()
        return answer


HANGS = object()


@dataclass
class Stand:
    """A task, and what is asked on its way."""

    told: Told
    clock: MovedClock = field(default_factory=MovedClock)
    denial: Denial | None = None
    step: Mapping[str, Any] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=lambda: Bounds("c1", frozenset({"kube-system"})))

    async def carry(self, errand: Errand = Errand.DO, **flight: Any) -> Ended:
        """Do it with a flight like this."""
        parameters = flight.pop("parameters", {"workload": "Deployment/shop/web", "timeout": "1s"})
        lift = flight.pop("lift", None)
        given = {"before": {"was": 1}} if errand is Errand.UNDO else {}
        plane = Flight(
            action_id="a1", decision_id="d1", policy="p", action="restart", attempt=1, step=0, started_at=NOON,
            subject=WEB, parameters=parameters, **given, **flight,
        )  # fmt: skip
        alert = AlertFired(
            alert_id="al", target=WEB, source="s", sender="c", name="n", severity=Severity.INFO, lasting=True,
            onset=NOON, fired_at=NOON,
        )  # fmt: skip
        task = Task(errand, WEB, alert, Place(), plane, Step.model_validate({"restart": {}, **self.step}), lift)
        desk = Desk(None, None, self.clock, Turns(4), get_log("test"), b"k", self.bounds)  # type: ignore[arg-type]
        ended = await carry(task, Asks(lambda _: self.denial, lambda _: None, lambda _: 0), desk)
        assert isinstance(ended, Ended)
        return ended


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    """With an operation in the place of `restart`."""
    told = Told()
    monkeypatch.setitem(OPERATIONS, "restart", told)
    return Stand(told)


def came_to(ended: Ended) -> tuple[Outcome, Reason]:
    return ended.outcome, ended.reason


async def test_planned_applied_and_seen_to_hold(stand: Stand) -> None:
    """What an undo would need, and the facts, come along."""
    fact = PeopleTold(action_id="a1", target=WEB, policy="p", to="#ops", message="m", at=NOON)
    stand.told.applies = [Applied((fact,))]
    ended = await stand.carry()
    assert came_to(ended) == (Outcome.SUCCEEDED, Reason.VERIFIED)
    assert (ended.applied, ended.before, ended.facts) == (True, {"was": 1}, (fact,))
    assert stand.told.calls == ["plan", "apply", "look"]


async def test_looked_at_until_it_holds(stand: Stand) -> None:
    """As long as the step says, and no longer."""
    stand.told.looks = ["not yet", Unavailable("503"), "not yet", None]
    stand.step = {"verify": {"within": "1m"}}
    assert came_to(await stand.carry()) == (Outcome.SUCCEEDED, Reason.VERIFIED)
    assert stand.told.calls.count("look") == 4


@pytest.mark.parametrize(
    ("undo", "undone", "expected", "calls"),
    [
        pytest.param("never", None, (Outcome.INEFFECTIVE, Reason.NOT_VERIFIED), 0, id="left"),
        pytest.param("auto", None, (Outcome.UNDONE, Reason.NOT_VERIFIED), 1, id="undone"),
        pytest.param("auto", "it is another's", (Outcome.INEFFECTIVE, Reason.NOT_VERIFIED), 1, id="not undone"),
        pytest.param("auto", Forbidden("no", 403), (Outcome.FAILED, Reason.UNDO_FAILED), 1, id="undo fails"),
        pytest.param("auto", HANGS, (Outcome.FAILED, Reason.UNDO_FAILED), 1, id="undo hangs"),
    ],
)
async def test_what_does_not_hold_in_time(
    stand: Stand, undo: str, undone: Any, expected: tuple[Outcome, Reason], calls: int
) -> None:
    """Is put back where the policy says so; what is missing is told."""
    stand.told.looks, stand.told.undos = ["1 of 3 ready"], [undone]
    stand.step = {"verify": {"within": "10s"}, "undo": undo}
    ended = await stand.carry()
    assert came_to(ended) == expected
    assert "1 of 3 ready" in ended.message
    assert (ended.applied, ended.before) == (True, {"was": 1})
    assert stand.told.calls.count("undo") == calls


@pytest.mark.parametrize(
    "error", [Forbidden("no", 403), Unavailable("503", 503), TimedOut("late"), KeyError("a defect")]
)
@pytest.mark.parametrize("undo", ["never", "auto"])
async def test_what_cannot_be_seen_is_no_success(stand: Stand, error: Exception, undo: str) -> None:
    """The write stands, whatever can be read of it: its facts are told, and it is undone as the policy says."""
    fact = PeopleTold(action_id="a1", target=WEB, policy="p", to="#ops", message="m", at=NOON)
    stand.told.applies, stand.told.looks = [Applied((fact,))], [error]
    stand.step = {"verify": {"within": "5s"}, "undo": undo}
    ended = await stand.carry()
    assert ended.outcome is (Outcome.UNDONE if undo == "auto" else Outcome.FAILED)
    assert (ended.applied, ended.before, ended.facts) == (True, {"was": 1}, (fact,))


async def test_what_is_so_already_is_not_written(stand: Stand) -> None:
    """Nothing is applied, and nothing is there to undo."""
    stand.told.plans = [replace(PLAN, so=True)]
    ended = await stand.carry()
    assert came_to(ended) == (Outcome.SUCCEEDED, Reason.ALREADY_SO)
    assert (ended.applied, stand.told.calls) == (False, ["plan"])


async def test_its_own_write_of_before_a_crash_is_verified(stand: Stand) -> None:
    """Planned anew, found done by this very action, applied once more, which writes nothing, and looked at."""
    stand.told.plans = [replace(PLAN, so=True, ours=True)]
    ended = await stand.carry()
    assert came_to(ended) == (Outcome.SUCCEEDED, Reason.VERIFIED)
    assert stand.told.calls == ["plan", "apply", "look"]


async def test_a_conflict_is_planned_anew(stand: Stand) -> None:
    """Somebody else wrote meanwhile; three times, and then it is for later."""
    stand.told.applies = [Conflict("409"), Applied()]
    assert came_to(await stand.carry()) == (Outcome.SUCCEEDED, Reason.VERIFIED)
    assert stand.told.calls == ["plan", "apply", "plan", "apply", "look"]
    stand.told.applies = [Conflict("409")]
    ended = await stand.carry()
    assert (*came_to(ended), ended.temporary) == (Outcome.FAILED, Reason.CONFLICT, True)


@pytest.mark.parametrize(
    ("applies", "reason", "temporary"),
    [
        pytest.param(Forbidden('User "x" cannot patch resource', 403), Reason.FORBIDDEN, False, id="rights"),
        pytest.param(Unavailable("503", 503, retry_after=7.0), Reason.UNAVAILABLE, True, id="away"),
        pytest.param(HANGS, Reason.TIMEOUT, True, id="hangs"),
        pytest.param(ZeroDivisionError("x"), Reason.INTERNAL, False, id="a defect"),
    ],
)
async def test_a_write_that_fails(stand: Stand, applies: Any, reason: Reason, temporary: bool) -> None:
    """Each in its own word, and never taken for a success."""
    stand.told.applies = [applies]
    ended = await stand.carry()
    assert (*came_to(ended), ended.temporary) == (Outcome.FAILED, reason, temporary)
    assert ended.applied is (reason in (Reason.UNAVAILABLE, Reason.TIMEOUT)), "what may have been written counts"


@pytest.mark.parametrize(
    ("plan", "denial", "reason", "retry"),
    [
        pytest.param(PLAN, Denial(Reason.PAUSED, "p", None, Verdict.WAIT), Reason.PAUSED, None, id="a person says no"),
        pytest.param(
            replace(PLAN, denial=Denial(Reason.LATER, "later", NOON + timedelta(seconds=9), Verdict.WAIT)), None,
            Reason.LATER, 9.0, id="the cluster says later",
        ),
        pytest.param(
            replace(PLAN, touches=(WEB, target_of("dns", "kube-system"))), None, Reason.PROTECTED_NAMESPACE, None,
            id="it would touch what is protected",
        ),
    ],
)  # fmt: skip
async def test_a_plan_that_may_not_be_carried_out(
    stand: Stand, plan: Plan, denial: Denial | None, reason: Reason, retry: float | None
) -> None:
    """Asked right before the write: nothing is written."""
    stand.told.plans, stand.denial = [plan], denial
    ended = await stand.carry()
    assert (*came_to(ended), ended.retry_after) == (Outcome.SUPERSEDED, reason, retry)
    assert stand.told.calls == ["plan"]


async def test_another_plan_than_the_approved_one_is_not_carried_out(stand: Stand) -> None:
    """Whoever said yes has seen another diff."""
    change = FieldChange(path="/spec/replicas", kind="changed", desired=5, live=4)
    stand.told.plans = [replace(PLAN, changes=(change,))]
    ended = await stand.carry(expects=PLAN.hash)
    assert came_to(ended) == (Outcome.SUPERSEDED, Reason.PLAN_CHANGED)
    assert "apply" not in stand.told.calls
    stand.told.plans = [PLAN]
    assert came_to(await stand.carry(expects=PLAN.hash)) == (Outcome.SUCCEEDED, Reason.VERIFIED)


async def test_a_plan_for_people_writes_nothing(stand: Stand) -> None:
    """Its diff in words, and the hash that an approval is bound to."""
    change = FieldChange(path="/spec/replicas", kind="changed", desired=5, live=4)
    stand.told.plans = [replace(PLAN, changes=(change,))]
    ended = await stand.carry(Errand.PLAN)
    assert came_to(ended) == (Outcome.SUPERSEDED, Reason.DRY_RUN_MODE)
    assert ended.plan == "restart Deployment shop/web\n~ /spec/replicas: 4 → 5"
    assert (ended.plan_hash, stand.told.calls) == (stand.told.plans[0].hash, ["plan"])


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param(None, (Outcome.SUCCEEDED, Reason.LIFTED), id="lifted"),
        pytest.param("it is another's", (Outcome.SUPERSEDED, Reason.NO_LONGER_TRUE), id="somebody else's by now"),
        pytest.param(Unavailable("503"), (Outcome.FAILED, Reason.UNAVAILABLE), id="away"),
    ],
)
async def test_what_was_for_a_time_is_taken_back(stand: Stand, left: Any, expected: tuple[Outcome, Reason]) -> None:
    """From what the plan has kept, without a new plan."""
    stand.told.undos = [left]
    lift = Lift(
        action_id="a0", policy="p", action="restart", subject=WEB, alert_id="al", correlation_id="al", parameters={},
        before={"was": 1}, at=NOON,
    )  # fmt: skip
    assert came_to(await stand.carry(Errand.UNDO, lift=lift)) == expected
    assert stand.told.calls == ["undo"]


async def test_parameters_of_another_version_end_it(stand: Stand) -> None:
    """They were written into the ledger by a process that knew them; nothing is guessed."""
    ended = await stand.carry(parameters={"unknown": 1})
    assert came_to(ended) == (Outcome.SUPERSEDED, Reason.PARAMETERS)
    assert stand.told.calls == []


async def test_cancelled_in_a_write_it_is_left_to_the_next_owner(stand: Stand) -> None:
    """No end is made up for it."""
    stand.told.applies = [HANGS]
    task = asyncio.create_task(stand.carry(parameters={"workload": "Deployment/shop/web", "timeout": "60s"}))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
