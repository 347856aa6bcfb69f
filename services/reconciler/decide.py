"""Decide an open drift: the policy's mode, then the guards, then act. The same answer is never recorded twice."""

from dataclasses import dataclass
from datetime import datetime

from schemas.events import (
    TYPES,
    ActionStarted,
    DecisionMade,
    DriftDetected,
    DriftState,
    Mode,
    Reason,
    TriggerRef,
    Verdict,
    stable_id,
)
from schemas.ledger import Attempt, InFlight, Said, TargetState
from schemas.policy import Policy
from schemas.policy import Step as PolicyStep
from services.reconciler.guards import CHAIN, Request, first_denial
from services.reconciler.guards.fight import author_of
from services.reconciler.inputs import Fact, Job, Step, World


@dataclass(frozen=True)
class Answer:
    """A decision before it has an id."""

    verdict: Verdict
    reason: Reason
    message: str = ""
    until: datetime | None = None


def evaluate(state: TargetState, world: World, cause: str | None = None) -> Step:
    """Decide the open drift of `state`. `cause` is the event that led here, the trigger itself by default."""
    assert state.drift is not None
    policy = world.policy_for(state.drift)
    answer = answer_for(state, state.drift, policy, world)
    if policy and answer.reason is Reason.DRY_RUN_MODE and _said(policy, answer) != state.said:
        return plan_only(state, policy, world)
    if policy and answer.verdict is Verdict.ACT:
        return act(state, state.drift, policy, world, answer, cause)
    return tell(state, policy, answer, cause)


def answer_for(state: TargetState, drift: DriftDetected, policy: Policy | None, world: World) -> Answer:
    """What is to be done about the drift now."""
    if drift.state is DriftState.UNWANTED and drift.prune in (None, "report"):
        return Answer(Verdict.OBSERVE, Reason.UNWANTED, f"its baseline only reports: {summary(drift)}")
    if policy is None:
        return Answer(Verdict.OBSERVE, Reason.NO_POLICY, "no policy matches")
    if policy.spec.mode is Mode.OBSERVE:
        return Answer(Verdict.OBSERVE, Reason.OBSERVE_MODE, f"the policy only observes: {summary(drift)}")
    if drift.observe:
        return Answer(Verdict.OBSERVE, Reason.OBSERVE_MODE, f"only observed: {drift.observe}")
    denial = first_denial(CHAIN, request_of(state, drift, policy, world))
    dry = policy.spec.mode is Mode.DRY_RUN
    if denial and denial.verdict is Verdict.ASK and dry:
        return Answer(Verdict.OBSERVE, denial.reason, f"would be asked for: {denial.message}")
    if denial:
        return Answer(denial.verdict, denial.reason, denial.message, denial.until)
    if dry:
        return Answer(Verdict.OBSERVE, Reason.DRY_RUN_MODE)
    return Answer(Verdict.ACT, Reason.POLICY, summary(drift))


def request_of(state: TargetState, drift: DriftDetected, policy: Policy, world: World) -> Request:
    """What the guards are asked about an open drift."""
    return Request(
        state, drift, policy, world.controls, world.bounds, world.now, subject=drift.target,
        attempts=state.attempts, tally=world.tally, windows=world.windows,
    )  # fmt: skip


def tell(state: TargetState, policy: Policy | None, answer: Answer, cause: str | None) -> Step:
    """Record an answer that starts nothing, unless it is the one that was given last."""
    said = _said(policy, answer)
    if said == state.said:
        return Step(state if state.retry_at == answer.until else _copy(state, retry_at=answer.until))
    decision = _decision(state, policy, answer)
    after = _copy(state, said=said, retry_at=answer.until, evaluation=state.evaluation + 1)
    return Step(after, (_fact(state, decision, decision.decision_id, cause),))


def act(
    state: TargetState, drift: DriftDetected, policy: Policy, world: World, answer: Answer, cause: str | None
) -> Step:
    """Record the decision and the start of its action, and hand out the job."""
    decision, todo = _decision(state, policy, answer), _step(policy, drift)
    action_id = stable_id(decision.decision_id, todo.action)
    decision = decision.model_copy(update={"action_id": action_id})
    attempt = state.tries + 1
    flight = _flight(state, policy, world.now, todo, action_id, decision.decision_id, attempt)
    started = ActionStarted(
        action_id=action_id,
        decision_id=decision.decision_id,
        target=drift.target,
        drift_id=drift.drift_id,
        action=todo.action,
        policy=policy.name,
        attempt=attempt,
    )
    after = _copy(
        state,
        said=_said(policy, answer),
        evaluation=state.evaluation + 1,
        retry_at=None,
        hold=None,
        tries=attempt,
        attempts=_remembered(state, world, Attempt(policy=policy.name, at=world.now, action=todo.action)),
        in_flight=flight,
    )
    facts = (
        _fact(state, decision, decision.decision_id, cause),
        _fact(state, started, stable_id(action_id, "started"), decision.decision_id),
    )
    return Step(after, facts, Job(drift.target, flight, todo, drift))


def plan_only(state: TargetState, policy: Policy, world: World) -> Step:
    """Hand out a job that makes the plan and touches nothing; its decision is recorded with the plan's diff."""
    assert state.drift is not None
    decision_id, todo = decision_id_of(state, policy), _step(policy, state.drift)
    flight = _flight(state, policy, world.now, todo, stable_id(decision_id, "plan"), decision_id, 0)
    flight = flight.model_copy(update={"mode": Mode.DRY_RUN})
    return Step(_copy(state, in_flight=flight, retry_at=None), (), Job(state.target, flight, todo, state.drift))


def decision_id_of(state: TargetState, policy: Policy | None) -> str:
    """The same for the same trigger, policy and evaluation, in whatever process it is made."""
    return stable_id(state.trigger_id, policy.name if policy else "", state.evaluation)


def summary(drift: DriftDetected) -> str:
    """What differs and by whom, without any value."""
    if drift.state is DriftState.MISSING:
        return "the object is missing"
    if drift.state is not DriftState.CHANGED or not drift.fields:
        return drift.message
    paths = [change.path for change in drift.fields]
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{', '.join(paths[:3])}{more} by {author_of(drift) or 'an unknown writer'}"


def _decision(state: TargetState, policy: Policy | None, answer: Answer) -> DecisionMade:
    return DecisionMade(
        decision_id=decision_id_of(state, policy),
        target=state.target,
        trigger=TriggerRef(type=TYPES[DriftDetected], id=state.trigger_id or ""),
        drift_id=state.drift.drift_id if state.drift else None,
        policy=policy.name if policy else "",
        mode=policy.spec.mode if policy else Mode.OBSERVE,
        verdict=answer.verdict,
        reason=answer.reason,
        message=answer.message,
        until=answer.until,
        evaluation=state.evaluation,
    )


def _step(policy: Policy, drift: DriftDetected) -> PolicyStep:
    """The step of a policy that was chosen because it has one."""
    step = policy.step_for(drift.state)
    assert step
    return step


def _flight(
    state: TargetState,
    policy: Policy,
    now: datetime,
    todo: PolicyStep,
    action_id: str,
    decision_id: str,
    attempt: int,
) -> InFlight:
    return InFlight(
        action_id=action_id,
        action=todo.action,
        decision_id=decision_id,
        policy=policy.name,
        attempt=attempt,
        started_at=now,
        drift_id=state.drift.drift_id if state.drift else None,
        correlation_id=state.correlation_id,
        manager=author_of(state.drift) if state.drift else None,
    )


def _remembered(state: TargetState, world: World, attempt: Attempt) -> tuple[Attempt, ...]:
    since = world.now - world.memory()
    recent = [entry for entry in state.attempts if entry.at > since]
    return (*recent[-world.most_attempts() :], attempt)


def _fact(state: TargetState, data: DecisionMade | ActionStarted, id: str, cause: str | None) -> Fact:
    return Fact(data, id, cause or state.trigger_id, state.correlation_id)


def _said(policy: Policy | None, answer: Answer) -> Said:
    return Said(policy=policy.name if policy else "", verdict=answer.verdict, reason=answer.reason, until=answer.until)


def _copy(state: TargetState, **changes: object) -> TargetState:
    return state.model_copy(update=changes)
