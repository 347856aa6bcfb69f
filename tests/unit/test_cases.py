"""What the reconciler makes of alerts: one life, one case; every step answered, every task ended, nothing twice."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from schemas.alerts import AlertFired, AlertResolved, Severity
from schemas.approvals import (
    AnswerKind,
    ApprovalAnswered,
    ApprovalClosed,
    ApprovalEnd,
    ApprovalRefused,
    ApprovalRequested,
    RefusedAnswer,
)
from schemas.events import (
    ActionFinished,
    ActionStarted,
    ControlKind,
    ControlSet,
    DecisionMade,
    Mode,
    Outcome,
    Reason,
    Scope,
    Verdict,
)
from schemas.ledger import Place, TargetState
from schemas.policy import Policy
from schemas.target import Target
from services.reconciler.book import Book
from services.reconciler.book import Outcome as Batch
from services.reconciler.guards import Bounds
from services.reconciler.inputs import Answered, Due, Ended, Errand, Fired, Found, Over, Resumed, Task, World
from services.reconciler.policies.choosing import PolicyIndex
from tests.reconciler_kit import NOON, target_of

POD = target_of("web-1", kind="Pod")
WEB = target_of("web").model_copy(update={"uid": "u-web"})
PLACE = Place(object=POD, pod=POD, workload=WEB)


def alert(life: str = "a1", target: Target = POD, **more: Any) -> AlertFired:
    given = {
        "alert_id": life, "target": target, "source": "test", "sender": "c1", "name": "CrashLoop", "lasting": True,
        "severity": Severity.WARNING, "onset": NOON, "fired_at": NOON, "values": {"restarts": 7}, **more,
    }  # fmt: skip
    return AlertFired(**given)


def policy(**spec: Any) -> Policy:
    mode, do = spec.pop("mode", "enforce"), spec.pop("do", None)
    steps = do or [{"restart": {}}]
    document = {
        "apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "restart"},
        "spec": {"trigger": {"alert": "CrashLoop", **spec.pop("trigger", {})}, "mode": mode, "do": steps, **spec},
    }  # fmt: skip
    return Policy.model_validate(document)


class Desk:
    """A book, a clock, and what came out of it."""

    def __init__(self, *policies: Policy, groups: dict[str, frozenset[str]] | None = None) -> None:
        self.book, self.now, self.policies = Book(), NOON, policies
        self.groups = groups or {}
        self.facts: list[Any] = []
        self.tasks: list[Task] = []
        self.controls: tuple[ControlSet, ...] = ()

    def world(self) -> World:
        return World(
            self.now, self.policies, self.controls, Bounds("c1"), index=PolicyIndex(self.policies), groups=self.groups
        )

    def give(self, given: Any, subject: str = POD.subject) -> list[Any]:
        """The facts that an input comes to."""
        batch = Batch()
        if isinstance(given, Answered):
            self.book.answer(given, self.world(), batch)
        else:
            self.book.take(subject, given, self.world(), batch)
        return self._keep(batch)

    def pass_time(self, **time: float) -> list[Any]:
        self.now += timedelta(**time)
        batch = Batch()
        self.book.due(self.world(), batch)
        return self._keep(batch)

    def _keep(self, batch: Batch) -> list[Any]:
        new = [fact.data for fact in batch.facts]
        self.facts += new
        self.tasks += batch.tasks
        return new

    def reconsider(self) -> list[Any]:
        """The policies are read anew, as after every start."""
        batch = Batch()
        self.book.reconsider(self.world(), batch)
        return self._keep(batch)

    def fire(self, one: AlertFired | None = None, place: Place | None = PLACE) -> list[Any]:
        one = one or alert()
        return self.give(Fired(f"e-{one.alert_id}", one.alert_id, one, place), one.target.subject)

    def resolve(self, one: AlertFired | None = None) -> list[Any]:
        one = one or alert()
        data = AlertResolved(
            alert_id=one.alert_id, target=one.target, source="test", sender="c1", name=one.name, onset=one.onset,
            resolved_at=self.now,
        )  # fmt: skip
        return self.give(Over(f"o-{one.alert_id}", data), one.target.subject)

    def end(self, outcome: Outcome = Outcome.SUCCEEDED, reason: Reason = Reason.VERIFIED, **more: Any) -> list[Any]:
        """The newest task ends."""
        task = self.tasks[-1]
        assert task.flight
        return self.give(Ended(task.flight.action_id, task.row.subject, outcome, reason, **more), task.row.subject)

    def planned(self, hash: str = "h1") -> list[Any]:
        """The newest task's plan is made."""
        return self.end(Outcome.SUPERSEDED, Reason.DRY_RUN_MODE, words="restart", plan="diff", plan_hash=hash)

    def answer(self, id: str, by: str = "alice", answer: AnswerKind = AnswerKind.APPROVE) -> list[Any]:
        data = ApprovalAnswered(approval_id=id, cluster="c1", answer=answer, by=by, via="cli", at=self.now)
        return self.give(Answered(f"answer-{id}-{by}-{answer}-{self.now}", data))

    def restart(self) -> list[Task]:
        """The process dies; another one reads the ledger."""
        rows = [TargetState.model_validate_json(row.model_dump_json(exclude_defaults=True)) for row in self.rows()]
        self.book = Book(rows)
        self.book.start(self.world())
        return self.book.resume_tasks(self.world())

    def rows(self) -> list[TargetState]:
        return list(self.book.rows.values())

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    @property
    def decisions(self) -> list[tuple[Verdict, Reason]]:
        return [(made.verdict, made.reason) for made in self.of(DecisionMade)]


ACTED = (Verdict.ACT, Reason.POLICY)


def test_an_alert_is_acted_on_once_however_often_it_is_told() -> None:
    """A repeat is no second trigger."""
    desk = Desk(policy())
    decided, started = desk.fire()
    assert (decided.verdict, decided.subject, started.subject) == (Verdict.ACT, WEB, WEB)
    (task,) = desk.tasks
    assert task.flight
    assert (task.errand, task.flight.parameters["workload"]) == (Errand.DO, "Deployment/shop/web")
    assert desk.fire() == desk.fire() == []
    (finished,) = desk.end()
    assert (finished.outcome, finished.action_id) == (Outcome.SUCCEEDED, started.action_id)
    assert desk.fire() == []
    assert len(desk.tasks) == 1


def test_what_is_done_is_not_done_again_for_a_restart() -> None:
    """The alert still fires and its policy is read anew: it rests, until it counts as not helped."""
    desk = Desk(policy())
    desk.fire()
    desk.end()
    assert desk.restart() == []
    assert desk.reconsider() == []
    assert desk.pass_time(minutes=29) == []
    assert [made.verdict for made in desk.pass_time(minutes=2) if isinstance(made, DecisionMade)] == [Verdict.ACT]


def test_a_late_copy_opens_nothing() -> None:
    """After the end, and where the end came first."""
    desk = Desk(policy())
    desk.resolve()
    assert desk.fire() == []
    other = alert("a2")
    desk.fire(other)
    desk.end()
    desk.resolve(other)
    assert desk.fire(other) == []
    assert len(desk.tasks) == 1


def test_a_policy_may_wait_for_what_is_measured() -> None:
    """Told again with more restarts it is wanted by then; with the same ones nothing is said twice."""
    desk = Desk(policy(when="event.values.restarts > 8"))
    assert [made.reason for made in desk.fire()] == [Reason.NO_POLICY]
    assert desk.fire() == []
    assert desk.fire(alert(values={"restarts": 8})) == []
    assert [made.verdict for made in desk.fire(alert(values={"restarts": 9})) if isinstance(made, DecisionMade)] == [
        Verdict.ACT
    ]
    desk.end()
    assert desk.fire(alert(values={"restarts": 10})) == [], "what is done rests, whatever is measured"


def test_what_only_happened_once_is_over_with_its_step() -> None:
    """No case stays open for an alert that nobody will ever resolve."""
    desk = Desk(policy())
    desk.fire(alert(lasting=False))
    desk.end()
    assert [row.cases for row in desk.rows()] == [()]


def test_the_target_is_looked_up_before_anything_is_decided() -> None:
    """And again while the cluster does not answer, without a decision each time."""
    desk = Desk(policy())
    assert desk.fire(place=None) == []
    assert [task.errand for task in desk.tasks] == [Errand.FIND]
    (waits,) = desk.give(Found(POD.subject, "a1", None, "503"))
    assert (waits.verdict, waits.reason) == (Verdict.WAIT, Reason.UNRESOLVED)
    desk.pass_time(seconds=5)
    assert [task.errand for task in desk.tasks] == [Errand.FIND] * 2
    assert desk.give(Found(POD.subject, "a1", PLACE))[0].verdict is Verdict.ACT


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        pytest.param(Place(reason=Reason.TARGET_GONE, message="gone"), Reason.TARGET_GONE, id="gone"),
        pytest.param(Place(object=POD, pod=POD), Reason.PARAMETERS, id="without a workload"),
    ],
)
def test_what_cannot_be_found_is_a_reason_and_no_guess(place: Place, reason: Reason) -> None:
    """Nothing is done to anything else."""
    desk = Desk(policy())
    (denied,) = desk.fire(place=place)
    assert (denied.verdict, denied.reason) == (Verdict.DENY, reason)
    assert desk.tasks == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"mode": "observe"}, (Verdict.OBSERVE, Reason.OBSERVE_MODE), id="observes"),
        pytest.param({"match": {"severity": ">=error"}}, (Verdict.OBSERVE, Reason.NO_POLICY), id="too mild"),
        pytest.param({"match": {"severity": ">=warning"}}, ACTED, id="severe enough"),
        pytest.param({"match": {"labels": {"team": "*"}}}, (Verdict.OBSERVE, Reason.NO_POLICY), id="no such label"),
        pytest.param({"when": "event.values.restarts > 5"}, ACTED, id="condition holds"),
        pytest.param({"when": "event.values.restarts > 9"}, (Verdict.OBSERVE, Reason.NO_POLICY), id="condition fails"),
        pytest.param({"when": "event.values.nope > 9"}, (Verdict.OBSERVE, Reason.NO_POLICY), id="condition breaks"),
        pytest.param({"trigger": {"for": "5m"}}, (Verdict.WAIT, Reason.TOO_YOUNG), id="too young"),
        pytest.param({"trigger": {"source": ["falco"]}}, (Verdict.OBSERVE, Reason.NO_POLICY), id="other source"),
    ],
)
def test_a_policy_decides_only_what_it_matches(given: dict[str, Any], expected: tuple[Verdict, Reason]) -> None:
    """Each clause alone, and never a write where it does not hold."""
    desk = Desk(policy(**given))
    desk.fire()
    assert desk.decisions == [expected]
    assert bool(desk.tasks) == (expected == ACTED)


def test_an_alert_that_lasts_long_enough_is_acted_on() -> None:
    """`for` is waited out, not forgotten."""
    desk = Desk(policy(trigger={"for": "5m"}))
    desk.fire()
    desk.pass_time(minutes=5)
    assert desk.decisions == [(Verdict.WAIT, Reason.TOO_YOUNG), ACTED]


def test_two_alerts_about_one_workload_act_once() -> None:
    """What is acted on is one at a time, whatever row the alert is in; after that the cool-down holds."""
    desk = Desk(policy(limits={"oncePer": "1h"}))
    desk.fire()
    other = target_of("web-2", kind="Pod")
    (waits,) = desk.fire(alert("a2", other), Place(object=other, pod=other, workload=WEB))
    assert (waits.verdict, waits.reason) == (Verdict.WAIT, Reason.IN_FLIGHT)
    desk.end()
    (cools,) = desk.pass_time(seconds=1)
    assert (cools.reason, cools.until) == (Reason.COOLDOWN, NOON + timedelta(hours=1))
    assert len(desk.of(ActionStarted)) == 1


def test_a_loop_that_never_helps_ends_and_escalates() -> None:
    """Success by the action's own word does not count while the alert goes on."""
    desk = Desk(policy(limits={"oncePer": "10m", "ineffective": 3}, **{"else": [{"notify": {"to": "#ops"}}]}))
    desk.fire()
    for _ in range(200):
        while desk.tasks and desk.book.rows[POD.subject].cases[0].flight:
            desk.end()
        desk.pass_time(minutes=10)
    actions = [started.action for started in desk.of(ActionStarted)]
    assert actions == ["restart"] * 3 + ["notify"]
    assert (Verdict.DENY, Reason.INEFFECTIVE_CHAIN) in desk.decisions


def test_a_person_resumes_what_was_given_up() -> None:
    """And it is tried from its first step."""
    desk = Desk(policy(limits={"ineffective": 1}, **{"else": [{"notify": {"to": "#ops"}}]}))
    desk.fire()
    desk.end()
    desk.pass_time(minutes=30)
    desk.end()
    assert [started.action for started in desk.of(ActionStarted)] == ["restart", "notify"]
    desk.pass_time(hours=2)
    desk.give(Resumed("r1"))
    assert desk.of(ActionStarted)[-1].action == "restart"


UNTIL_OVER = [{"restart": {}, "verify": {"within": "10m", "until": ["alertResolved"]}, "undo": "auto"}]


def test_a_step_may_wait_for_the_alerts_end() -> None:
    """Only then has it succeeded."""
    desk = Desk(policy(do=UNTIL_OVER))
    desk.fire()
    assert desk.end(before={"a": 1}) == []
    assert desk.restart() == []
    (finished,) = desk.resolve()
    assert (finished.outcome, finished.reason) == (Outcome.SUCCEEDED, Reason.VERIFIED)
    assert desk.book.rows[POD.subject].cases == ()


@pytest.mark.parametrize(
    ("before", "errand", "outcome"),
    [
        pytest.param({"replicas": 3}, Errand.UNDO, Outcome.UNDONE, id="undone"),
        pytest.param({}, Errand.DO, Outcome.INEFFECTIVE, id="nothing to undo"),
    ],
)
def test_a_step_that_did_not_help_is_undone(before: dict[str, Any], errand: Errand, outcome: Outcome) -> None:
    """The alert still fires when the time for it is over."""
    desk = Desk(policy(do=UNTIL_OVER))
    desk.fire()
    desk.end(before=before)
    desk.pass_time(minutes=10)
    assert desk.tasks[-1 if before else 0].errand is errand
    if before:
        desk.end(Outcome.UNDONE, Reason.NOT_VERIFIED)
    assert desk.of(ActionFinished)[0].outcome is outcome


APPROVE: dict[str, Any] = {"approve": {"by": ["group:sre", "carol"], "timeout": "30m"}}
SRE = {"sre": frozenset({"alice", "bob"})}


def asked(desk: Desk) -> str:
    desk.fire()
    assert desk.tasks[-1].errand is Errand.PLAN
    desk.planned()
    (requested,) = desk.of(ApprovalRequested)
    assert (requested.plan, requested.action) == ("diff", "restart")
    return str(requested.approval_id)


def test_people_are_asked_about_a_plan_and_it_is_carried_out() -> None:
    """The task carries the hash of what they saw."""
    desk = Desk(policy(**APPROVE), groups=SRE)
    closed, acted, _ = desk.answer(asked(desk), "bob")
    assert (closed.outcome, closed.by) == (ApprovalEnd.APPROVED, ("bob",))
    assert (acted.verdict, acted.reason) == (Verdict.ACT, Reason.APPROVED)
    task = desk.tasks[-1]
    assert task.flight
    assert (task.errand, task.flight.expects) == (Errand.DO, "h1")


@pytest.mark.parametrize(
    ("by", "after", "why"),
    [
        pytest.param("mallory", {}, RefusedAnswer.NOT_AN_APPROVER, id="no approver"),
        pytest.param("alice", {"minutes": 31}, RefusedAnswer.UNKNOWN, id="its time is over"),
    ],
)
def test_an_answer_without_right_or_in_vain_does_not_count(
    by: str, after: dict[str, float], why: RefusedAnswer
) -> None:
    """It is recorded as refused, and nothing is done."""
    desk = Desk(policy(**APPROVE), groups=SRE)
    id = asked(desk)
    desk.pass_time(**after)
    (refused,) = desk.answer(id, by)
    assert isinstance(refused, ApprovalRefused)
    assert refused.why is why
    assert desk.of(ActionStarted) == []


def test_an_answer_is_used_once_also_over_a_restart() -> None:
    """Two clicks, a crash between them: one action."""
    desk = Desk(policy(**APPROVE), groups=SRE)
    id = asked(desk)
    desk.restart()
    desk.answer(id)
    (refused,) = desk.answer(id, "bob")
    assert refused.why is RefusedAnswer.UNKNOWN
    assert len(desk.of(ActionStarted)) == 1
    assert [closed.outcome for closed in desk.of(ApprovalClosed)] == [ApprovalEnd.APPROVED]


def test_who_asks_for_it_may_not_approve_it() -> None:
    """Four eyes: a person overturned the refusal; that person's own yes does not count, and a no does."""
    desk = Desk(policy(**APPROVE), groups=SRE)
    desk.answer(asked(desk), "alice", AnswerKind.DENY)
    desk.give(Resumed("r1", "alice"))
    desk.planned()
    again = desk.of(ApprovalRequested)[-1]
    assert again.requester == "alice"
    assert desk.restart() == []
    (refused,) = desk.answer(again.approval_id, "alice")
    assert refused.why is RefusedAnswer.OWN_REQUEST
    closed, *_ = desk.answer(again.approval_id, "bob")
    assert (closed.outcome, closed.by) == (ApprovalEnd.APPROVED, ("bob",))


def test_who_only_lifts_a_pause_may_approve() -> None:
    """Nobody was refused anything: in a small team that person may be the only one."""
    desk = Desk(policy(**APPROVE), groups=SRE)
    pause = ControlSet(name="p", kind=ControlKind.PAUSE, scope=Scope(cluster="c1"), by="alice")
    desk.controls = (pause,)
    desk.fire()
    desk.controls = ()
    desk.give(Resumed("r1", "alice"))
    desk.planned()
    assert desk.of(ApprovalRequested)[-1].requester is None


def test_two_approvers_are_two_people() -> None:
    """The same person twice is one."""
    desk = Desk(policy(approve={"by": ["group:sre"], "count": 2}), groups=SRE)
    id = asked(desk)
    assert desk.answer(id, "alice") == []
    (twice,) = desk.answer(id, "alice")
    assert twice.why is RefusedAnswer.TWICE
    assert desk.answer(id, "bob")[0].by == ("alice", "bob")


@pytest.mark.parametrize(
    ("ends", "reason"), [pytest.param("deny", Reason.DENIED, id="no"), pytest.param("", Reason.EXPIRED, id="silence")]
)
def test_no_and_silence_mean_no(ends: str, reason: Reason) -> None:
    """The policy gives up, and nobody is asked again while the alert lives."""
    desk = Desk(policy(**APPROVE, **{"else": [{"notify": {"to": "#ops"}}]}), groups=SRE)
    id = asked(desk)
    if ends:
        desk.answer(id, answer=AnswerKind.DENY)
    desk.pass_time(minutes=30)
    assert [started.action for started in desk.of(ActionStarted)] == ["notify"]
    desk.end()
    desk.pass_time(hours=5)
    assert (Verdict.DENY, reason) in desk.decisions
    assert len(desk.of(ApprovalRequested)) == len(desk.of(ApprovalClosed)) == 1


@pytest.mark.parametrize("ends", ["no", "silence"])
@pytest.mark.parametrize("otherwise", [[], [{"notify": {"to": "#ops"}}]], ids=["without else", "with else"])
def test_a_no_stays_a_no_over_a_restart(ends: str, otherwise: list[Any]) -> None:
    """Nobody is asked again, whoever reads the ledger and the policies anew."""
    desk = Desk(policy(**APPROVE, **{"else": otherwise}), groups=SRE)
    id = asked(desk)
    _ = desk.answer(id, answer=AnswerKind.DENY) if ends == "no" else desk.pass_time(hours=2)
    if otherwise:
        desk.end()
    assert desk.restart() == []
    assert desk.reconsider() == []
    assert len(desk.of(ApprovalRequested)) == 1


def test_another_plan_is_another_question() -> None:
    """What was approved is not what would be done: people are asked anew, and the first approval is spent."""
    desk = Desk(policy(**APPROVE), groups=SRE)
    desk.answer(asked(desk))
    desk.end(Outcome.SUPERSEDED, Reason.PLAN_CHANGED)
    assert desk.tasks[-1].errand is Errand.PLAN
    desk.planned("h2")
    first, second = desk.of(ApprovalRequested)
    assert first.approval_id != second.approval_id
    assert [closed.outcome for closed in desk.of(ApprovalClosed)] == [ApprovalEnd.APPROVED]


def test_a_question_is_taken_back_when_the_alert_is_over() -> None:
    """Nobody approves what is no more."""
    desk = Desk(policy(**APPROVE), groups=SRE)
    id = asked(desk)
    (closed,) = desk.resolve()
    assert closed.outcome is ApprovalEnd.SUPERSEDED
    assert desk.answer(id)[0].why is RefusedAnswer.UNKNOWN


def test_a_condition_that_breaks_asks() -> None:
    """An error in `approve.if` never means that nobody is asked."""
    for condition, errand in (("event.labels.nope == 'x'", Errand.PLAN), ("event.env == 'prod'", Errand.DO)):
        desk = Desk(policy(approve={"if": condition}))
        desk.fire()
        assert desk.tasks[-1].errand is errand


def test_a_dry_run_plans_and_touches_nothing() -> None:
    """The decision carries the plan, once."""
    desk = Desk(policy(mode="dry-run"))
    desk.fire()
    assert desk.tasks[-1].errand is Errand.PLAN
    (told,) = desk.planned()
    assert (told.verdict, told.mode, told.message) == (Verdict.OBSERVE, Mode.DRY_RUN, "diff")
    desk.give(Due())
    assert len(desk.tasks) == 1


def test_what_is_only_for_a_time_is_taken_back_also_after_the_alert_and_a_crash() -> None:
    """And tried again where that fails; the kill switch puts it off."""
    desk = Desk(policy(do=[{"isolate": {"for": "1h"}}]))
    desk.fire()
    desk.end(before={"policy": "x"}, lift_after=3600.0)
    desk.resolve()
    desk.restart()
    stop = ControlSet(name="k", kind=ControlKind.KILL_SWITCH, scope=Scope(cluster="c1"), by="op")
    desk.controls = (stop,)
    assert desk.pass_time(hours=1) == []
    desk.controls = ()
    (started,) = desk.pass_time(seconds=5)
    assert (started.action, started.undoes) == ("isolate", desk.of(ActionStarted)[0].action_id)
    (again,) = desk.restart()
    assert (again.errand, again.resumed) == (Errand.UNDO, True)
    desk.end(Outcome.FAILED, Reason.UNAVAILABLE)
    desk.pass_time(seconds=5)
    (finished,) = desk.end(Outcome.SUCCEEDED, Reason.LIFTED)
    assert finished.undoes == started.undoes
    assert desk.book.rows[POD.subject].lifts == ()


def test_a_crash_takes_up_what_was_under_way() -> None:
    """With the parameters that the guards passed, and the same id."""
    desk = Desk(policy())
    desk.fire()
    (task,) = desk.restart()
    assert task.flight == desk.tasks[0].flight
    assert task.resumed
    (finished,) = desk.end()
    assert finished.outcome is Outcome.SUCCEEDED


def test_steps_follow_each_other_and_stop_at_the_first_failure() -> None:
    """Unless a step says that the next ones follow anyway."""
    for follows, expected in (("stop", ["label"]), ("continue", ["label", "restart"])):
        steps = [{"label": {"object": "${event.pod}", "set": {"a": "b"}}, "onFailure": follows}, {"restart": {}}]
        desk = Desk(policy(do=steps))
        desk.fire()
        desk.end(Outcome.FAILED, Reason.FORBIDDEN)
        assert [started.action for started in desk.of(ActionStarted)] == expected


def test_a_failure_is_tried_again_ever_more_rarely() -> None:
    """Each time later than the last, until the policy gives up."""
    desk = Desk(policy(limits={"ineffective": 4}))
    times: list[datetime] = []
    desk.fire()
    for _ in range(3000):
        if desk.book.rows[POD.subject].cases[0].flight:
            times.append(desk.now)
            desk.end(Outcome.FAILED, Reason.WEBHOOK_FAILED)
        desk.pass_time(seconds=1)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    assert len(times) == 4
    assert gaps == sorted(gaps)
