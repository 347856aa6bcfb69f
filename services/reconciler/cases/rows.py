"""A row with its cases: put one back changed, take one out, and the facts that are told of it."""

from datetime import datetime

from schemas.alerts import AlertFired
from schemas.base import EventModel
from schemas.events import (
    TYPES,
    DecisionMade,
    Mode,
    TriggerRef,
    stable_id,
)
from schemas.ledger import Attempt, Case, Said, TargetState
from schemas.policy import Policy
from schemas.policy import Step as PolicyStep
from schemas.target import Target
from services.reconciler.decide import Answer
from services.reconciler.inputs import Fact, Step, World

MOST_CLOSED = 50
MOST_CASES = 100


def changed(state: TargetState, **changes: object) -> TargetState:
    """A copy of a row."""
    return state.model_copy(update=changes)


def case_of(state: TargetState, alert_id: str) -> Case | None:
    """The open case of an alert."""
    for case in state.cases:
        if case.alert.alert_id == alert_id:
            return case
    return None


def with_case(state: TargetState, case: Case) -> TargetState:
    """The row with this case in the place of its earlier self, or as its newest."""
    before = case_of(state, case.alert.alert_id)
    if before is case:
        return state
    if before is None:
        return changed(state, cases=(*state.cases, case), idle_since=None)
    cases = tuple(case if one.alert.alert_id == case.alert.alert_id else one for one in state.cases)
    return changed(state, cases=cases)


def without_case(state: TargetState, case: Case, now: datetime) -> TargetState:
    """The row without a case that is over; a late copy of its alert does not open it again."""
    cases = tuple(one for one in state.cases if one.alert.alert_id != case.alert.alert_id)
    closed = (*(one for one in state.closed_cases if one != case.alert.alert_id), case.alert.alert_id)
    return changed(state, cases=cases, closed_cases=closed[-MOST_CLOSED:], idle_since=state.idle_since or now)


def updated(case: Case, **changes: object) -> Case:
    """A copy of a case."""
    return case.model_copy(update=changes)


def steps_of(policy: Policy) -> tuple[PolicyStep, ...]:
    """A policy's steps, those of its `else` after those of its `do`."""
    return (*policy.spec.do, *policy.spec.otherwise)


def decision_id_of(case: Case, policy: Policy | None) -> str:
    """The same for the same alert, policy and evaluation, in whatever process it is made."""
    return stable_id(case.event_id, policy.name if policy else "", case.evaluation)


def decision(
    state: TargetState, case: Case, policy: Policy | None, answer: Answer, action: str | None, subject: Target | None
) -> DecisionMade:
    """The decision that an answer is."""
    return DecisionMade(
        decision_id=decision_id_of(case, policy),
        target=state.target,
        trigger=TriggerRef(type=TYPES[AlertFired], id=case.event_id),
        alert_id=case.alert.alert_id,
        policy=policy.name if policy else "",
        mode=policy.spec.mode if policy else Mode.OBSERVE,
        verdict=answer.verdict,
        reason=answer.reason,
        message=answer.message,
        until=answer.until,
        action=action,
        subject=subject if subject and subject.subject != state.target.subject else None,
        evaluation=case.evaluation,
    )


def fact(case: Case, data: EventModel, id: str, cause: str | None = None) -> Fact:
    """An event of a case."""
    return Fact(data, id, cause or case.event_id, case.correlation_id)


def said_of(policy: Policy | None, answer: Answer) -> Said:
    """An answer, as it is remembered."""
    return Said(policy=policy.name if policy else "", verdict=answer.verdict, reason=answer.reason, until=answer.until)


def tell(
    state: TargetState, case: Case, policy: Policy | None, answer: Answer, retry_at: datetime | None,
    action: str | None = None, subject: Target | None = None, cause: str | None = None,
) -> Step:  # fmt: skip
    """Record an answer that starts nothing, unless it is the one that was given last."""
    said = said_of(policy, answer)
    if said == case.said:
        return Step(with_case(state, updated(case, retry_at=retry_at)) if case.retry_at != retry_at else state)
    made = decision(state, case, policy, answer, action, subject)
    after = updated(case, said=said, retry_at=retry_at, evaluation=case.evaluation + 1)
    return Step(with_case(state, after), (fact(case, made, made.decision_id, cause),))


def remembered(state: TargetState, world: World, attempt: Attempt) -> tuple[Attempt, ...]:
    """The row's attempts that any policy may still count, and a new one."""
    since = world.now - world.memory()
    recent = [entry for entry in state.attempts if entry.at > since]
    return (*recent[-world.most_attempts() :], attempt)


def and_then(first: Step, second: Step) -> Step:
    """Two steps on one row, the second made on what the first left."""
    return Step(second.state, (*first.facts, *second.facts), second.job or first.job, (*first.tasks, *second.tasks))
