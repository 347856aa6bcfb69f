"""Take alerts in: open a case, count what is told again, and close what is over.

An alert may be told many times, in any order, also as resolved before it was ever told as fired: one life is one case.
"""

from schemas.alerts import AlertFired
from schemas.ledger import Case, TargetState
from services.reconciler.cases.ask import withdraw
from services.reconciler.cases.decide import evaluate
from services.reconciler.cases.end import helped
from services.reconciler.cases.rows import MOST_CASES, and_then, case_of, changed, updated, with_case, without_case
from services.reconciler.inputs import Fired, Found, Over, Step, World
from services.reconciler.policies.choosing import SCHEDULE


def fired(state: TargetState, given: Fired, world: World) -> Step:
    """An alert fires, or is told again: then what was measured is taken over, and nothing is decided anew, unless no
    policy is at work on it and one may want it by now."""
    alert = given.data
    if alert.alert_id in state.closed_cases:
        return Step(state)
    if alert.source == SCHEDULE:
        state = changed(state, scheduled_at=max(state.scheduled_at or alert.onset, alert.onset))
    case = case_of(state, alert.alert_id)
    if case is not None:
        again = updated(case, repeats=case.repeats + 1, alert=alert.model_copy(update={"onset": case.alert.onset}))
        state = with_case(state, again)
        return evaluate(state, again, world, given.event_id) if _unanswered(case, alert) else Step(state)
    if len(state.cases) >= MOST_CASES:
        state = _without_oldest(state, world)
    opened = Case(alert=alert, event_id=given.event_id, correlation_id=given.correlation_id, place=given.place)
    state = with_case(changed(state, target=alert.target if not state.cases else state.target), opened)
    return evaluate(state, opened, world)


def _unanswered(case: Case, told: AlertFired) -> bool:
    """Whether no policy has taken it up, and what policies look at is another."""
    another = (case.alert.values, case.alert.labels, case.alert.severity) != (told.values, told.labels, told.severity)
    return another and case.policy is None and case.flight is None and case.place is not None


def over(state: TargetState, given: Over, world: World) -> Step:
    """An alert is resolved. A step that is under way ends by itself; what waits for this end has it now."""
    alert_id = given.data.alert_id
    case = case_of(state, alert_id)
    if case is None:
        known = alert_id in state.closed_cases
        return Step(state if known else changed(state, closed_cases=(*state.closed_cases, alert_id)[-50:]))
    case = updated(case, over_at=given.data.resolved_at)
    state = with_case(state, case)
    if case.flight is not None and case.flight.waits_until is None:
        return Step(state)
    if case.flight is not None:
        return helped(state, case, world, given.event_id)
    return close(state, case, world, given.event_id)


def found(state: TargetState, given: Found, world: World) -> Step:
    """The target was looked up, or could not be for now."""
    case = case_of(state, given.alert_id)
    if case is None or case.place is not None:
        return Step(state)
    if given.place is None:
        return evaluate(state, updated(case, retries=case.retries + 1), world, away=given.message)
    case = updated(case, place=given.place, retries=0, retry_at=None)
    return evaluate(with_case(state, case), case, world)


def close(state: TargetState, case: Case, world: World, cause: str | None = None) -> Step:
    """The case is over: a question that is still open is taken back, and a late copy opens nothing."""
    taken_back = withdraw(state, case, world, "the alert is over", cause)
    assert taken_back.state is not None
    case = case_of(taken_back.state, case.alert.alert_id) or case
    return and_then(taken_back, Step(without_case(taken_back.state, case, world.now)))


def _without_oldest(state: TargetState, world: World) -> TargetState:
    """Room for a new case: the oldest that nothing is under way for is dropped."""
    idle = next((case for case in state.cases if case.flight is None and case.question is None), None)
    return without_case(state, idle, world.now) if idle else state
