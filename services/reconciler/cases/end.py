"""Take in how a task on an alert ended: one `action.finished`, the attempt's outcome, and the next answer."""

from datetime import timedelta

from schemas.events import ActionFinished, Mode, Outcome, Reason, Verdict, stable_id
from schemas.ledger import Attempt, Case, Flight, Hold, Lift, TargetState
from schemas.policy import Policy, Until
from schemas.policy import Step as PolicyStep
from services.reconciler.cases.ask import ask
from services.reconciler.cases.decide import evaluate, make_ready
from services.reconciler.cases.rows import (
    and_then,
    case_of,
    changed,
    fact,
    steps_of,
    tell,
    updated,
    with_case,
    without_case,
)
from services.reconciler.decide import Answer
from services.reconciler.ended import FIRST_HOLD_S, FIRST_TEMPORARY_HOLD_S, MOST_HOLD_S, MOST_TEMPORARY_HOLD_S
from services.reconciler.inputs import Ended, Errand, Fact, Step, Task, World

MOST_ON_PURPOSE_S = 60.0
AGAIN = {Reason.LATER: 10.0, Reason.DISRUPTION_BUDGET: 5.0, Reason.BLAST_RADIUS: 15.0, Reason.PLAN_CHANGED: 0.0}
"""Seconds until a step is tried again that the cluster itself put off."""
FINAL = frozenset(
    {
        Reason.TARGET_GONE, Reason.TARGET_UNKNOWN, Reason.TARGET_AMBIGUOUS, Reason.PARAMETERS, Reason.NOT_SERVED,
        Reason.OUT_OF_SCOPE, Reason.PROTECTED_NAMESPACE, Reason.HOLDS_DATA,
    }
)  # fmt: skip
"""Why a plan cannot be carried out, however often it is made."""


def ended(state: TargetState, case: Case, given: Ended, world: World) -> Step:
    """A task of this case has ended; one that is not under way any more changes nothing."""
    flight = case.flight
    if flight is None or flight.action_id != given.action_id:
        return Step(state)
    if flight.mode is not Mode.ENFORCE:
        return _planned(state, updated(case, flight=None), flight, given, world)
    policy = world.policy_named(flight.policy)
    if given.outcome is Outcome.SUCCEEDED and _waits(case, flight, policy):
        step = _step(policy, flight)
        within = step.verify.within if step else timedelta(0)
        waiting = flight.model_copy(update={"waits_until": world.now + within, "before": dict(given.before)})
        after = updated(case, flight=waiting)
        lifts = _lifts(state, case, flight, given, world)
        return Step(with_case(changed(state, lifts=lifts), after), _facts(case, flight, given))
    return _close(state, case, flight, given, world, policy)


def helped(state: TargetState, case: Case, world: World, cause: str | None = None) -> Step:
    """The alert's end came while it was waited for: the step has succeeded."""
    flight = case.flight
    assert flight is not None
    given = Ended(flight.action_id, state.target.subject, Outcome.SUCCEEDED, Reason.VERIFIED, "the alert is over")
    return _close(state, case, flight, given, world, world.policy_named(flight.policy))


def unhelped(state: TargetState, case: Case, world: World) -> Step:
    """The alert still fires at the end of the time that its end was waited for: undo the step, or say that it was no
    help."""
    flight = case.flight
    assert flight is not None
    assert case.place is not None
    policy = world.policy_named(flight.policy)
    step = _step(policy, flight)
    if step is not None and step.undo == "auto" and flight.before:
        undoing = flight.model_copy(update={"waits_until": None, "undoing": True})
        after = updated(case, flight=undoing)
        task = Task(Errand.UNDO, state.target, case.alert, case.place, undoing, step)
        return Step(with_case(state, after), (), None, (task,))
    given = Ended(
        flight.action_id, state.target.subject, Outcome.INEFFECTIVE, Reason.NOT_VERIFIED, "the alert still fires"
    )  # fmt: skip
    return _close(state, case, flight, given, world, policy)


def _waits(case: Case, flight: Flight, policy: Policy | None) -> bool:
    """Whether the alert's end belongs to the step's verification, and has not come yet."""
    step = _step(policy, flight)
    wanted = step is not None and Until.ALERT_RESOLVED in step.until
    return wanted and case.alert.lasting and case.over_at is None and not flight.undoing


def _close(
    state: TargetState, case: Case, flight: Flight, given: Ended, world: World, policy: Policy | None
) -> Step:  # fmt: skip
    facts = (*_facts(case, flight, given), _finished(state, case, flight, given, world))
    after = changed(
        state, attempts=_attempts(state, flight, given), lifts=_lifts(state, case, flight, given, world)
    )  # fmt: skip
    following = _after(after, updated(case, flight=None), flight, given, world, policy)
    return Step(following.state, (*facts, *following.facts), following.job, following.tasks)


def _after(
    state: TargetState, case: Case, flight: Flight, given: Ended, world: World, policy: Policy | None
) -> Step:  # fmt: skip
    """What follows a step's end."""
    step = _step(policy, flight)
    goes_on = step is not None and step.on_failure == "continue" and not given.temporary
    if given.outcome is Outcome.SUCCEEDED or goes_on or case.gave_up:
        case = updated(case, step=case.step + 1, tries=0, retries=0, hold=None)
        return evaluate(with_case(state, case), case, world, _finished_id(flight))
    if given.reason is Reason.PLAN_CHANGED:
        case = updated(case, approved=None)
    put_off = given.reason in AGAIN and given.outcome is Outcome.SUPERSEDED
    tries = max(0, case.tries - 1) if given.outcome is Outcome.SUPERSEDED else case.tries
    hold = _hold(state, case, given, world, put_off)
    case = updated(case, hold=hold, retries=case.retries + 1, tries=tries)
    return evaluate(with_case(state, case), case, world, _finished_id(flight))


def _planned(state: TargetState, case: Case, flight: Flight, given: Ended, world: World) -> Step:
    """A plan is there: ask people, or say what would be done."""
    state = with_case(state, case)
    policy = world.policy_named(flight.policy)
    if case.over_at is not None or policy is None:
        return evaluate(state, case, world)
    if given.reason is Reason.ALREADY_SO:
        answer = Answer(Verdict.OBSERVE, Reason.ALREADY_SO, given.message)
        told = tell(state, case, policy, answer, None, flight.action, flight.subject)
        assert told.state is not None
        following = updated(case_of(told.state, case.alert.alert_id) or case, step=case.step + 1)
        return and_then(told, evaluate(with_case(told.state, following), following, world))
    if given.reason is not Reason.DRY_RUN_MODE:
        held = updated(case, hold=_hold(state, case, given, world, given.reason in AGAIN), retries=case.retries + 1)
        return evaluate(with_case(state, held), held, world)
    ready = make_ready(case, policy, world)
    if ready is None or policy.spec.mode is Mode.OBSERVE:
        return evaluate(state, case, world)
    if policy.spec.mode is Mode.DRY_RUN:
        answer = Answer(Verdict.OBSERVE, Reason.DRY_RUN_MODE, given.plan)
        told = tell(state, case, policy, answer, None, flight.action, flight.subject)
        assert told.state is not None
        now = case_of(told.state, case.alert.alert_id) or case
        return told if case.alert.lasting else and_then(told, Step(without_case(told.state, now, world.now)))
    return ask(state, case, policy, given, ready.course, world)


def _attempts(state: TargetState, flight: Flight, given: Ended) -> tuple[Attempt, ...]:
    """The attempt with its outcome; one that never came to a write is none."""
    own = [entry for entry in state.attempts if entry.at == flight.started_at and entry.policy == flight.policy]
    others = tuple(entry for entry in state.attempts if entry not in own)
    if given.outcome is Outcome.SUPERSEDED or not own:
        return others
    closed = own[0].model_copy(update={"outcome": given.outcome, "reason": given.reason})
    return (*others, closed)


def _hold(state: TargetState, case: Case, given: Ended, world: World, put_off: bool) -> Hold | None:
    """Twice as long each time, spread by up to a quarter, the same for the same target."""
    if put_off and not AGAIN[given.reason]:
        return None
    if given.outcome is Outcome.SUPERSEDED and given.reason in FINAL:
        return Hold(reason=given.reason, until=None, message=given.message)
    first = AGAIN.get(given.reason) or FIRST_HOLD_S.get(given.reason, FIRST_TEMPORARY_HOLD_S)
    most = MOST_ON_PURPOSE_S if put_off else MOST_HOLD_S if given.reason in FIRST_HOLD_S else MOST_TEMPORARY_HOLD_S
    seconds = min(most, first * 2.0 ** min(case.retries, 20))
    seconds *= 1 + int(stable_id(state.target.subject)[:4], 16) / 0xFFFF / 4
    seconds = max(seconds, given.retry_after or 0.0)
    return Hold(reason=given.reason, until=world.now + timedelta(seconds=seconds), message=given.message)


def _lifts(state: TargetState, case: Case, flight: Flight, given: Ended, world: World) -> tuple[Lift, ...]:
    """What is only for a time is remembered with its end."""
    known = any(lift.action_id == flight.action_id for lift in state.lifts)
    if given.outcome is not Outcome.SUCCEEDED or given.lift_after is None or known:
        return state.lifts
    lift = Lift(
        action_id=flight.action_id, policy=flight.policy, action=flight.action, subject=flight.subject,
        alert_id=case.alert.alert_id, correlation_id=case.correlation_id, parameters=flight.parameters,
        before=dict(given.before), at=world.now + timedelta(seconds=given.lift_after),
    )  # fmt: skip
    return (*state.lifts, lift)


def _facts(case: Case, flight: Flight, given: Ended) -> tuple[Fact, ...]:
    started = stable_id(flight.action_id, "started")
    return tuple(
        fact(case, data, stable_id(flight.action_id, "fact", number), started)
        for number, data in enumerate(given.facts)
    )


def _finished(state: TargetState, case: Case, flight: Flight, given: Ended, world: World) -> Fact:
    subject = flight.subject
    data = ActionFinished(
        action_id=flight.action_id, target=state.target, alert_id=case.alert.alert_id,
        subject=subject if subject and subject.subject != state.target.subject else None, action=flight.action,
        policy=flight.policy, attempt=flight.attempt, step=flight.step, outcome=given.outcome, reason=given.reason,
        message=given.message, started_at=flight.started_at, finished_at=max(world.now, flight.started_at),
        plan_ms=given.plan_ms, apply_ms=given.apply_ms, verify_ms=given.verify_ms, resumed=given.resumed,
    )  # fmt: skip
    return fact(case, data, _finished_id(flight), stable_id(flight.action_id, "started"))


def _finished_id(flight: Flight) -> str:
    return stable_id(flight.action_id, "finished")


def _step(policy: Policy | None, flight: Flight) -> PolicyStep | None:
    """The policy's step that a flight carries out, as the policy says it now."""
    steps = steps_of(policy) if policy else ()
    step = steps[flight.step] if flight.step < len(steps) else None
    return step if step and step.action == flight.action else None
