"""Answer the next step of a case: look its target up, choose the policy, fill the step, ask guards and people, act.

The same answer is never recorded twice. What a policy gives up (denied, spent, without help) goes on with its `else`,
once; an alert that is told when it is over stays a case until then, one that is not ends with its last step.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.actions import Parameters
from schemas.events import ActionStarted, Mode, Reason, Verdict, stable_id
from schemas.ledger import Attempt, Case, Flight, Place, TargetState
from schemas.policy import Policy
from schemas.policy import Step as PolicyStep
from schemas.target import Target
from services.reconciler.cases.ask import expire, withdraw
from services.reconciler.cases.rows import (
    and_then,
    case_of,
    changed,
    decision,
    decision_id_of,
    fact,
    remembered,
    said_of,
    steps_of,
    tell,
    updated,
    with_case,
    without_case,
)
from services.reconciler.decide import Answer
from services.reconciler.guards import ALERT_CHAIN, ELSE_CHAIN, Request, first_denial
from services.reconciler.inputs import Errand, Step, Task, World
from services.reconciler.policies.choosing import choose
from services.reconciler.policies.eventview import View, view_of
from services.runtime.expr import Context, ExpressionError, compile_expression
from services.runtime.filling import NotFilled, fill

LOOK_AGAIN = timedelta(seconds=10)  # a look that was cut off by a crash
AWAY = timedelta(seconds=2)  # the cluster did not answer; doubled each time
MOST_AWAY = timedelta(seconds=60)
FREED = timedelta(milliseconds=500)  # what is acted on is busy: look again soon
GIVE_UP = frozenset({Reason.INEFFECTIVE_CHAIN, Reason.DENIED, Reason.EXPIRED})


@dataclass(frozen=True)
class Ready:
    """A step with its values filled in, and what it acts on. `course` tells the steps that follow from others, where
    people are asked about them."""

    policy: Policy
    step: PolicyStep
    parameters: Parameters
    subject: Target | None
    course: str


def evaluate(state: TargetState, case: Case, world: World, cause: str | None = None, away: str | None = None) -> Step:
    """Decide a case anew. `away` says that the cluster could not be asked, and why."""
    if case.flight is not None:
        return Step(with_case(state, case))
    if case.over_at is not None and not case.gave_up:
        withdrawn = withdraw(state, case, world, "the alert is over", cause)
        assert withdrawn.state is not None
        return and_then(withdrawn, Step(without_case(withdrawn.state, case, world.now)))
    if case.rests_until is not None and world.now < case.rests_until:
        return Step(with_case(state, case))
    if case.place is None and (case.policy or world.index.wanting(case.alert)):
        return _look(state, case, world, away)  # what nobody wants is not looked for
    if case.question is not None:
        if world.now < case.question.ends_at:
            return Step(with_case(state, case))
        ended = expire(state, case, world)
        assert ended.state is not None
        return and_then(ended, gave_up(ended.state, _same(ended.state, case), world, Reason.EXPIRED, "nobody answered"))
    return _decide(state, case, world, cause)


def _look(state: TargetState, case: Case, world: World, away: str | None) -> Step:
    """Have the target looked up, or say that it cannot be for now."""
    task = Task(Errand.FIND, state.target, case.alert, Place())
    if away is None:
        return Step(with_case(state, updated(case, retry_at=world.now + LOOK_AGAIN)), (), None, (task,))
    if case.retry_at is not None and case.retry_at <= world.now:
        return Step(with_case(state, updated(case, retry_at=world.now + LOOK_AGAIN)), (), None, (task,))
    again = world.now + min(MOST_AWAY, AWAY * 2 ** min(case.retries, 6))
    answer = Answer(Verdict.WAIT, Reason.UNRESOLVED, f"the target could not be looked up: {away}")
    return tell(with_case(state, case), case, None, answer, again)


def _decide(state: TargetState, case: Case, world: World, cause: str | None) -> Step:
    state = with_case(state, case)
    policy = world.policy_named(case.policy) if case.policy else _chosen(case, world)
    if policy is None:
        closing = tell(state, case, None, Answer(Verdict.OBSERVE, Reason.NO_POLICY, "no policy matches"), None)
        return _ends(closing, case, world)
    try:
        ready = make_ready(case, policy, world)
    except (NotFilled, ExpressionError) as error:
        told = tell(state, case, policy, Answer(Verdict.DENY, *_not_filled(case, error)), None, cause=cause)
        return told if told.state is None else _given_up(told, case, policy, world)
    if ready is None:
        return finished(state, case, policy, world)
    answer = answer_for(state, case, ready, world)
    if answer.verdict is Verdict.ACT and policy.spec.mode is Mode.DRY_RUN:
        return plan(state, case, ready, world)
    if answer.verdict is Verdict.ACT and asks(case, ready, world):
        return plan(state, case, ready, world)
    if answer.verdict is Verdict.ACT:
        return act(state, case, ready, answer, world, cause)
    retry_at = answer.until or (world.now + FREED if answer.reason is Reason.IN_FLIGHT else None)
    told = tell(state, case, policy, answer, retry_at, ready.step.action, ready.subject, cause)
    if answer.verdict is Verdict.DENY and _is_final(answer, policy):
        return _given_up(told, case, policy, world)
    return _ends(told, case, world) if answer.verdict is Verdict.OBSERVE else told


def make_ready(case: Case, policy: Policy, world: World) -> Ready | None:
    """The case's next step with its values from the event; None after the last one. Raises NotFilled."""
    steps = steps_of(policy) if case.gave_up else policy.spec.do
    if case.step >= len(steps):
        return None
    context = Context(_view(case, world))
    filled = [fill(step.parameters, context) for step in steps[case.step :]]
    reference = filled[0].subject()
    subject = with_uid(reference.in_cluster(case.alert.target.cluster), case.place) if reference else None
    course = stable_id(policy.name, *(one.model_dump_json() for one in filled)) if policy.spec.approve else ""
    return Ready(policy, steps[case.step], filled[0], subject, course)


def answer_for(state: TargetState, case: Case, ready: Ready, world: World) -> Answer:
    """What is to be done about the next step now."""
    request = request_for(state, case, ready.policy, ready.subject, ready.step.action, world)
    spec, denial = ready.policy.spec, first_denial(ELSE_CHAIN if case.gave_up else ALERT_CHAIN, request)
    what = f"{ready.step.action}" + (f" {ready.subject.subject}" if ready.subject else "")
    if spec.mode is Mode.OBSERVE:
        would = f"would be held back by {denial.reason}: {denial.message}" if denial else f"would {what}"
        return Answer(Verdict.OBSERVE, Reason.OBSERVE_MODE, f"the policy only observes: {would}")
    if denial:
        return Answer(denial.verdict, denial.reason, denial.message, denial.until)
    approved = case.approved is not None
    return Answer(Verdict.ACT, Reason.APPROVED if approved else Reason.POLICY, what)


def request_for(
    state: TargetState, case: Case, policy: Policy, subject: Target | None, action: str, world: World
) -> Request:  # fmt: skip
    """What the guards are asked about a step."""
    about = subject or case.alert.target
    return Request(
        state, None, policy, world.controls, world.bounds, world.now, case=case, subject=subject, action=action,
        attempts=world.tally.on(policy.name, about.subject, state), tally=world.tally, windows=world.windows,
    )  # fmt: skip


def asks(case: Case, ready: Ready, world: World) -> bool:
    """Whether people must be asked before this step: an error in the condition means that they are."""
    approve = ready.policy.spec.approve
    if approve is None or case.gave_up:
        return False
    if case.approved is not None and (case.step > 0 or case.approved.endswith(f" {ready.course}")):
        return False
    if isinstance(approve.condition, bool):
        return approve.condition
    try:
        return compile_expression(approve.condition).evaluate(Context(_view(case, world))) is not False
    except ExpressionError:
        return True


def plan(state: TargetState, case: Case, ready: Ready, world: World) -> Step:
    """Have the plan made and touch nothing: for people to read, or to record what would be done."""
    dry = ready.policy.spec.mode is Mode.DRY_RUN
    if dry and case.said and case.said.reason is Reason.DRY_RUN_MODE and case.said.policy == ready.policy.name:
        return Step(state)
    decision_id = decision_id_of(case, ready.policy)
    action_id = stable_id(decision_id, "plan", case.tries)
    flight = _flight(case, ready, decision_id, action_id, world.now).model_copy(update={"mode": Mode.DRY_RUN})
    after = updated(case, flight=flight, policy=None if dry else ready.policy.name, retry_at=None)
    return _start(with_case(state, after), after, ready, Errand.PLAN)


def act(state: TargetState, case: Case, ready: Ready, answer: Answer, world: World, cause: str | None) -> Step:
    """Record the decision and the start of its action, and hand out the task."""
    made = decision(state, case, ready.policy, answer, ready.step.action, ready.subject)
    action_id = stable_id(made.decision_id, ready.step.action, case.step)
    made = made.model_copy(update={"action_id": action_id})
    flight = _flight(case, ready, made.decision_id, action_id, world.now)
    started = ActionStarted(
        action_id=action_id, decision_id=made.decision_id, target=state.target, alert_id=case.alert.alert_id,
        subject=made.subject, action=flight.action, policy=ready.policy.name, attempt=flight.attempt, step=flight.step,
    )  # fmt: skip
    acted_on = ready.subject or case.alert.target
    attempt = Attempt(
        policy=ready.policy.name, at=world.now, action=flight.action, step=flight.step, onset=case.alert.onset,
        subject=acted_on.subject if acted_on.subject != state.target.subject else None,
    )  # fmt: skip
    after = updated(
        case, said=said_of(ready.policy, answer), evaluation=case.evaluation + 1, retry_at=None, hold=None,
        tries=flight.attempt, flight=flight, policy=ready.policy.name,
    )  # fmt: skip
    counted = changed(state, attempts=remembered(state, world, attempt))
    facts = (
        fact(case, made, made.decision_id, cause),
        fact(case, started, stable_id(action_id, "started"), made.decision_id),
    )
    first = Step(with_case(counted, after), facts)
    assert first.state is not None
    return and_then(first, _start(first.state, after, ready, Errand.DO))


def finished(state: TargetState, case: Case, policy: Policy, world: World) -> Step:
    """The last step is done. An alert that lasts may need it all again, later; one that does not is dealt with."""
    if not case.alert.lasting or case.gave_up or case.over_at is not None:
        if case.alert.lasting and case.over_at is None:
            return Step(
                with_case(state, updated(case, retry_at=None))
            )  # given up: until it is over, or a person resumes
        return Step(without_case(state, case, world.now))
    limits = policy.spec.limits
    until = world.now + max(limits.once_per, limits.stays)
    again = updated(
        case, step=0, policy=None, approved=None, tries=0, retries=0, hold=None, retry_at=until, rests_until=until
    )
    return Step(with_case(state, again))


def gave_up(state: TargetState, case: Case, world: World, reason: Reason, message: str) -> Step:
    """People said no, or nothing helped: say so, and go on with the policy's `else`."""
    policy = world.policy_named(case.policy)
    told = tell(state, case, policy, Answer(Verdict.DENY, reason, message), None)
    return _given_up(told, case, policy, world, for_good=True)


def with_uid(target: Target, place: Place | None) -> Target:
    """The target with the uid that was found for it."""
    known = (place.object, place.pod, place.workload, place.node, place.application) if place else ()
    wanted = target.subject
    return next((one for one in known if one is not None and one.subject == wanted), target)


def _given_up(told: Step, case: Case, policy: Policy | None, world: World, *, for_good: bool = False) -> Step:
    """On with the `else`. Without one it is decided anew when policies change; not what is given up `for_good`."""
    state = told.state
    assert state is not None
    case = _same(state, case)
    if policy is not None and (policy.spec.otherwise or for_good) and not case.gave_up:
        after = updated(
            case, gave_up=True, step=len(policy.spec.do), policy=policy.name, tries=0, retries=0, hold=None,
            retry_at=None,
        )  # fmt: skip
        return and_then(told, evaluate(with_case(state, after), after, world))
    if case.alert.lasting and case.over_at is None:
        return told
    return and_then(told, Step(without_case(state, case, world.now)))


def _ends(told: Step, case: Case, world: World) -> Step:
    """What only happened once is over with its answer."""
    if case.alert.lasting or told.state is None:
        return told
    return and_then(told, Step(without_case(told.state, _same(told.state, case), world.now)))


def _is_final(answer: Answer, policy: Policy) -> bool:
    """Whether a denial means that the policy gives up."""
    attempts = policy.spec.limits.attempts
    spent = answer.reason is Reason.ATTEMPTS_SPENT and attempts is not None and attempts.then == "escalate"
    return spent or answer.until is None or answer.reason in GIVE_UP


def _chosen(case: Case, world: World) -> Policy | None:
    return choose(world.index, case.alert, case.place, environment=world.environment, now=world.now).policy


def _view(case: Case, world: World) -> View:
    return view_of(case.alert, case.place, environment=world.environment, now=world.now)


def _not_filled(case: Case, error: Exception) -> tuple[Reason, str]:
    """Why a value is missing: because the target is, where it is."""
    if case.place is not None and case.place.reason is not None:
        return case.place.reason, case.place.message
    return Reason.PARAMETERS, str(error)


def _flight(case: Case, ready: Ready, decision_id: str, action_id: str, now: datetime) -> Flight:
    expects = case.approved.partition(" ")[0] if case.approved and case.step == 0 else None
    return Flight(
        action_id=action_id, decision_id=decision_id, policy=ready.policy.name,
        action=ready.step.action, attempt=case.tries + 1, step=case.step, started_at=now, subject=ready.subject,
        parameters=ready.parameters.model_dump(mode="json", by_alias=True), expects=expects,
    )  # fmt: skip


def _start(state: TargetState, case: Case, ready: Ready, errand: Errand) -> Step:
    assert case.place is not None
    task = Task(errand, state.target, case.alert, case.place, case.flight, ready.step)
    return Step(state, (), None, (task,))


def _same(state: TargetState, case: Case) -> Case:
    return case_of(state, case.alert.alert_id) or case
