"""Decide an open drift: the policy's mode, then the guards, then act. The same answer is never recorded twice."""

from dataclasses import dataclass
from datetime import datetime

from schemas.events import (
    TYPES,
    ActionStarted,
    DecisionMade,
    DriftDetected,
    Mode,
    Reason,
    TriggerRef,
    Verdict,
    stable_id,
)
from schemas.ledger import Attempt, InFlight, Said, TargetState
from schemas.policy import Policy
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
    if policy is None:
        return Answer(Verdict.OBSERVE, Reason.NO_POLICY, "no policy matches")
    if policy.spec.mode is Mode.OBSERVE:
        return Answer(Verdict.OBSERVE, Reason.OBSERVE_MODE, f"the policy only observes: {summary(drift)}")
    denial = first_denial(CHAIN, Request(state, drift, policy, world.controls, world.bounds, world.now))
    if denial:
        return Answer(denial.verdict, denial.reason, denial.message, denial.until)
    if policy.spec.mode is Mode.DRY_RUN:
        return Answer(Verdict.OBSERVE, Reason.DRY_RUN_MODE)
    return Answer(Verdict.ACT, Reason.POLICY, summary(drift))


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
    decision = _decision(state, policy, answer)
    action_id = stable_id(decision.decision_id, "revert")
    decision = decision.model_copy(update={"action_id": action_id})
    attempt = state.tries + 1
    flight = _flight(state, policy, world.now, action_id, decision.decision_id, attempt)
    started = ActionStarted(
        action_id=action_id,
        decision_id=decision.decision_id,
        target=drift.target,
        drift_id=drift.drift_id,
        action="revert",
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
        attempts=_remembered(state, world, Attempt(policy=policy.name, at=world.now)),
        in_flight=flight,
    )
    facts = (
        _fact(state, decision, decision.decision_id, cause),
        _fact(state, started, stable_id(action_id, "started"), decision.decision_id),
    )
    return Step(after, facts, Job(drift.target, flight, policy.spec.do[0]))


def plan_only(state: TargetState, policy: Policy, world: World) -> Step:
    """Hand out a job that makes the plan and touches nothing; its decision is recorded with the plan's diff."""
    decision_id = decision_id_of(state, policy)
    flight = _flight(state, policy, world.now, stable_id(decision_id, "plan"), decision_id, 0)
    flight = flight.model_copy(update={"mode": Mode.DRY_RUN})
    return Step(_copy(state, in_flight=flight, retry_at=None), (), Job(state.target, flight, policy.spec.do[0]))


def decision_id_of(state: TargetState, policy: Policy | None) -> str:
    """The same for the same trigger, policy and evaluation, in whatever process it is made."""
    return stable_id(state.trigger_id, policy.name if policy else "", state.evaluation)


def summary(drift: DriftDetected) -> str:
    """What differs and by whom, without any value."""
    if drift.state == "missing":
        return "the object is missing"
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


def _flight(
    state: TargetState, policy: Policy, now: datetime, action_id: str, decision_id: str, attempt: int
) -> InFlight:
    return InFlight(
        action_id=action_id,
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
