"""The state machine of one target: `step(row, input, world)` is pure, and everything the reconciler decides is here.

Second deliveries and stale events change nothing. An event is stale where its resourceVersion is below one that the
row has heard of already; after ten minutes that no longer counts, since a cluster restored from a backup starts lower.
"""

from datetime import datetime, timedelta

from schemas.events import DriftDetected, Reason, Verdict
from schemas.ledger import TargetState
from services.reconciler.decide import evaluate
from services.reconciler.ended import ended
from services.reconciler.guards.fight import peace
from services.reconciler.inputs import Cleared, Detected, Due, Input, Result, Resumed, Step, World

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


def detected(state: TargetState, given: Detected, world: World) -> Step:
    """A drift has begun, or an open one looks otherwise now."""
    if _known(state, given) or _late(state, given.data, world.now):
        return Step(state)
    state = _heard(state, given.data.resource_version, world.now)
    if given.digest and state.digest != given.digest:
        state = _copy(state, digest=given.digest, ineffective=0, hold=None)
    if state.drift is None or state.drift.drift_id != given.data.drift_id:
        state = _copy(state, tries=0, said=None, correlation_id=given.correlation_id)
    elif state.said and state.said.reason is Reason.DRY_RUN_MODE:
        state = _copy(state, said=None)  # another drift, another plan
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
    state = _copy(peace(state), ineffective=0, retries=0, hold=None)
    return due(state, Due(given.event_id), world)


def due(state: TargetState, given: Due, world: World) -> Step:
    """Decide the open drift again, or forget a row that nothing depends on any more."""
    if state.in_flight is not None:
        return Step(state)
    if state.drift is not None:
        return Step(state) if _settling(state, world.now) else evaluate(state, world, given.event_id)
    ends = forget_at(state, world)
    return Step(None if ends is not None and ends <= world.now else state)


def deadline(state: TargetState, world: World) -> datetime | None:
    """When this row wants a `Due`; None where only an event can change it."""
    if state.in_flight is not None:
        return None
    return state.retry_at if state.drift is not None else forget_at(state, world)


def forget_at(state: TargetState, world: World) -> datetime | None:
    """When an idle row says nothing any more; None while a chain of failures waits for a person."""
    if state.ineffective or state.in_flight or state.drift:
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


def _number(version: str) -> int:
    return int(version) if version.isdigit() else 0


def _copy(state: TargetState, **changes: object) -> TargetState:
    return state.model_copy(update=changes)
