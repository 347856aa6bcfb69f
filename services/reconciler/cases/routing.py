"""Which case or lift of a row an input is for: answers by question, ends by task, deadlines by time."""

from collections.abc import Iterator
from datetime import datetime

from schemas.approvals import RefusedAnswer
from schemas.events import Mode, Reason, Verdict
from schemas.ledger import Case, Place, TargetState
from services.reconciler.cases import ask, end, lift
from services.reconciler.cases.decide import evaluate, gave_up
from services.reconciler.cases.rows import and_then, case_of, steps_of, updated
from services.reconciler.inputs import Answered, Ended, Errand, Step, Task, World


def answered(state: TargetState, given: Answered, world: World) -> Step:
    """A person's answer to a question of this row, and what follows from it."""
    answer = given.data
    case = next((one for one in state.cases if one.question and one.question.approval_id == answer.approval_id), None)
    if case is None:
        refused = ask.refused(state.target, answer, RefusedAnswer.UNKNOWN, answer.approval_id, given.event_id)
        return Step(state, (refused,))
    first = ask.answered(state, case, answer, given.event_id, world)
    assert first.state is not None
    now = case_of(first.state, case.alert.alert_id)
    if now is None or now.question is not None:
        return first
    if now.approved is None:
        words = f"{answer.by} said no" + (f": {answer.note}" if answer.note else "")
        return and_then(first, gave_up(first.state, now, world, Reason.DENIED, words))
    return and_then(first, evaluate(first.state, now, world, given.event_id))


def task_ended(state: TargetState, given: Ended, world: World) -> Step:
    """A task has ended; one that nobody waits for any more changes nothing."""
    taken_back = lift.lift_of(state, given.action_id)
    if taken_back is not None:
        return lift.ended(state, taken_back, given, world)
    case = next((one for one in state.cases if one.flight and one.flight.action_id == given.action_id), None)
    return end.ended(state, case, given, world) if case else Step(state)


def look_at_cases(state: TargetState, world: World, cause: str | None) -> Step:
    """Everything of the row's cases and lifts whose time has come, or that may be answered otherwise by now."""
    step = Step(state)
    for alert_id in [case.alert.alert_id for case in state.cases]:
        assert step.state is not None
        case = case_of(step.state, alert_id)
        if case is not None:
            step = and_then(step, _look_at(step.state, case, world, cause))
    for one in state.lifts:
        assert step.state is not None
        step = and_then(step, lift.due(step.state, one, world))
    return step


def case_deadlines(state: TargetState) -> Iterator[datetime]:
    """When any of the row's cases or lifts wants to be looked at."""
    for case in state.cases:
        if case.flight is not None:
            if case.flight.waits_until is not None:
                yield case.flight.waits_until
        elif case.question is not None:
            yield case.question.ends_at
        elif case.retry_at is not None:
            yield case.retry_at
    yield from (one.at for one in state.lifts if not one.under_way)


def start_over(case: Case, now: datetime, by: str) -> Case:
    """A person wants it tried again: what was counted against the case is forgotten. Whoever overturns a refusal is who
    asks for what follows; whoever only lifts a pause is not."""
    if case.flight is not None:
        return case
    refused = case.gave_up or (case.said is not None and case.said.verdict is Verdict.DENY)
    return updated(
        case, step=0, policy=None, gave_up=False, approved=None, tries=0, retries=0, hold=None, said=None,
        resumed_at=now, resumed_by=by if by and refused else case.resumed_by, rests_until=None,
    )  # fmt: skip


def _look_at(state: TargetState, case: Case, world: World, cause: str | None) -> Step:
    flight = case.flight
    if flight is not None:
        waited = flight.waits_until is not None and flight.waits_until <= world.now
        return end.unhelped(state, case, world) if waited else Step(state)
    return evaluate(state, case, world, cause)


def resumed_task(row: TargetState, case: Case, world: World) -> Task | None:
    """What a case had under way when the process ended, if it was more than waiting."""
    flight = case.flight
    if flight is None or flight.waits_until is not None:
        return None
    policy = world.policy_named(flight.policy)
    steps = steps_of(policy) if policy else ()
    step = steps[flight.step] if flight.step < len(steps) else None
    errand = Errand.UNDO if flight.undoing else Errand.DO if flight.mode is Mode.ENFORCE else Errand.PLAN
    return Task(errand, row.target, case.alert, case.place or Place(), flight, step, resumed=True)
