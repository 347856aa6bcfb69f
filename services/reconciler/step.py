"""The state machine of one target: `step(row, input, world)` is pure, and everything the reconciler decides is here.

Second deliveries and stale events change nothing. An event is stale where its resourceVersion is below one that the
row has heard of already; after ten minutes that no longer counts, since a cluster restored from a backup starts lower.
"""

from datetime import datetime, timedelta

from schemas.events import DriftDetected, Reason, Verdict
from schemas.ledger import TargetState
from services.reconciler.cases.open import fired, found, over
from services.reconciler.cases.routing import answered, case_deadlines, look_at_cases, start_over, task_ended
from services.reconciler.cases.rows import and_then
from services.reconciler.decide import evaluate
from services.reconciler.ended import ended
from services.reconciler.guards.fight import peace
from services.reconciler.inputs import (
    Answered,
    Armed,
    Cleared,
    Detected,
    Due,
    Ended,
    Fired,
    Found,
    Input,
    Over,
    Result,
    Resumed,
    Step,
    World,
)

STALE_FOR = timedelta(minutes=10)


def step(state: TargetState, given: Input, world: World) -> Step:
    """What `given` makes of the row. The world's `now` is UTC and never goes back between two steps of a row."""
    match given:
        case Detected():
            return detected(state, given, world)
        case Cleared():
            return cleared(state, given, world)
        case Result():
            return ended(state, given, world)
        case Resumed():
            return resumed(state, given, world)
        case Due():
            return due(state, given, world)
        case Fired():
            return fired(state, given, world)
        case Armed():
            return Step(_copy(state, scheduled_at=state.scheduled_at or given.at, idle_since=world.now))
        case Over():
            return over(state, given, world)
        case Found():
            return found(state, given, world)
        case Answered():
            return answered(state, given, world)
        case Ended():
            return task_ended(state, given, world)


def detected(state: TargetState, given: Detected, world: World) -> Step:
    """A drift has begun, or an open one looks otherwise now."""
    if _known(state, given) or _late(state, given.data, world.now):
        return Step(state)
    state = _heard(state, given.data.resource_version, world.now)
    if given.digest and state.digest != given.digest:
        state = _copy(state, digest=given.digest, ineffective=0, hold=None)
    before = state.drift
    if before is None or before.drift_id != given.data.drift_id:
        state = _unanswered(_copy(state, tries=0, correlation_id=given.correlation_id))
    elif state.said and state.said.reason is Reason.DRY_RUN_MODE:
        state = _copy(state, said=None)  # another drift, another plan
    elif _essence(before) != _essence(given.data):
        state = _unanswered(state) if _waits_for_people(state) else state
    state = _copy(
        state, target=given.data.target, drift=given.data, trigger_id=given.event_id, evaluation=0, idle_since=None
    )
    return evaluate(state, world)


def cleared(state: TargetState, given: Cleared, world: World) -> Step:
    """The object is right again, or nobody declares it any more. An action under way ends by itself."""
    if state.drift is None:
        return Step(state)
    version = _number(given.data.resource_version)
    newer = version > _number(state.drift.resource_version) and version >= state.seen_version
    if state.drift.drift_id != given.data.drift_id and not newer:
        return Step(state)
    closed = _copy(
        _heard(state, given.data.resource_version, world.now),
        drift=None,
        closed_drift=state.drift.drift_id,
        closed_at=given.data.cleared_at,
        said=None,
        hold=None,
        retry_at=None,
        retries=0,
        tries=0,
        idle_since=world.now,
    )
    return Step(closed)


def resumed(state: TargetState, given: Resumed, world: World) -> Step:
    """A person wants it tried again: what was counted against the target is forgotten, budgets in time are not."""
    cases = tuple(start_over(case, world.now, given.by) for case in state.cases)
    state = _copy(peace(state), ineffective=0, retries=0, hold=None, cases=cases)
    return due(state, Due(given.event_id), world)


def due(state: TargetState, given: Due, world: World) -> Step:
    """Decide what is open again, or forget a row that nothing depends on any more."""
    if state.cases or state.lifts:
        first = look_at_cases(state, world, given.event_id)
        assert first.state is not None
        return and_then(first, _drift_due(first.state, given, world)) if state.drift else first
    return _drift_due(state, given, world)


def _drift_due(state: TargetState, given: Due, world: World) -> Step:
    if state.in_flight is not None:
        return Step(state)
    if state.drift is not None:
        return Step(state) if _settling(state, world.now) else evaluate(state, world, given.event_id)
    ends = forget_at(state, world)
    return Step(None if ends is not None and ends <= world.now else state)


def deadline(state: TargetState, world: World) -> datetime | None:
    """When this row wants a `Due`; None where only an event can change it."""
    times = [*case_deadlines(state)]
    if state.in_flight is None:
        own = state.retry_at if state.drift is not None else forget_at(state, world)
        times += [own] if own is not None else []
    return min(times, default=None)


def forget_at(state: TargetState, world: World) -> datetime | None:
    """When an idle row says nothing any more; None while a chain of failures waits for a person."""
    if state.ineffective or state.in_flight or state.drift or state.cases or state.lifts:
        return None
    if state.scheduled_at is not None and state.target.name in world.index.scheduled:
        return None
    since = state.idle_since or world.now
    return since + (world.memory() if state.attempts else STALE_FOR)


def _known(state: TargetState, given: Detected) -> bool:
    """Whether this is a copy of something that the row has heard."""
    data = given.data
    if given.event_id == state.trigger_id and state.drift is not None:
        return True
    if data.drift_id == state.closed_drift and state.closed_at is not None and data.detected_at <= state.closed_at:
        return True
    if state.drift is None or state.drift.drift_id != data.drift_id:
        return False
    return data.update <= state.drift.update and _number(data.resource_version) <= state.seen_version


def _late(state: TargetState, data: DriftDetected, now: datetime) -> bool:
    """Whether an object was seen that the row has heard newer things of. A deletion has no version of its own."""
    return data.state != "missing" and _stale(state, data.resource_version, now)


def _stale(state: TargetState, version: str, now: datetime) -> bool:
    fresh = state.seen_at is not None and now - state.seen_at < STALE_FOR
    return fresh and version.isdigit() and int(version) < state.seen_version


def _heard(state: TargetState, version: str, now: datetime) -> TargetState:
    if not version.isdigit() or _stale(state, version, now):
        return state
    return _copy(state, seen_version=int(version), seen_at=now)


def _settling(state: TargetState, now: datetime) -> bool:
    """Whether an action has just succeeded and the watcher has not said so yet."""
    acted = state.said is not None and state.said.verdict is Verdict.ACT
    return acted and state.retry_at is not None and now < state.retry_at


def _essence(drift: DriftDetected) -> object:
    """What a question about the drift is about: said again, it is the same question."""
    fields = [(field.path, field.kind, field.desired, field.live) for field in drift.fields]
    return drift.state, drift.reason, drift.prune, fields


def _waits_for_people(state: TargetState) -> bool:
    """Whether the last answer was a question, or an attempt has shown that it must be one."""
    asked = state.said is not None and state.said.verdict is Verdict.ASK
    return asked or (state.hold is not None and state.hold.until is None)


def _unanswered(state: TargetState) -> TargetState:
    """Nothing has been said of the drift as it is now, and what has been found of the last one counts no more."""
    hold = state.hold if state.hold and state.hold.until is not None else None
    return _copy(state, said=None, hold=hold)


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0


def _copy(state: TargetState, **changes: object) -> TargetState:
    return state.model_copy(update=changes)
