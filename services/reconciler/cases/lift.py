"""Take back what was only for a time: an isolation, a suspension. Only the kill switch or a pause puts it off."""

from datetime import timedelta

from schemas.alerts import AlertFired, Severity
from schemas.events import ActionFinished, ActionStarted, ControlKind, Outcome, Reason, Verdict, stable_id
from schemas.ledger import Flight, Lift, Place, TargetState
from schemas.target import Target
from services.reconciler.cases.rows import changed
from services.reconciler.guards.base import Denial, words
from services.reconciler.inputs import Ended, Errand, Fact, Step, Task, World

AGAIN_S, MOST_AGAIN_S, MOST_TRIES = 5.0, 600.0, 20
WHILE_STOPPED = timedelta(seconds=5)
STOPS = {ControlKind.KILL_SWITCH: Reason.KILL_SWITCH, ControlKind.PAUSE: Reason.PAUSED}


def due(state: TargetState, lift: Lift, world: World) -> Step:
    """Its time is over: start to take it back."""
    if lift.under_way or lift.at > world.now:
        return Step(state)
    if stopped(lift.subject or state.target, world):
        return Step(_with(state, lift, at=world.now + WHILE_STOPPED))
    started = _with(state, lift, under_way=True)
    data = ActionStarted(
        action_id=lift_id(lift), decision_id=lift.action_id, target=state.target, alert_id=lift.alert_id,
        subject=lift.subject, action=lift.action, policy=lift.policy, attempt=lift.tries + 1, undoes=lift.action_id,
    )  # fmt: skip
    fact = Fact(data, stable_id(lift_id(lift), "started"), lift.action_id, lift.correlation_id)
    return Step(started, (fact,), None, (task_of(state, lift, world),))


def ended(state: TargetState, lift: Lift, given: Ended, world: World) -> Step:
    """It is taken back; or was not, and is tried again, ever more rarely."""
    left = given.outcome is Outcome.SUPERSEDED and given.reason is Reason.NO_LONGER_TRUE  # it is somebody else's by now
    gone = left or given.outcome in (Outcome.SUCCEEDED, Outcome.UNDONE) or lift.tries + 1 >= MOST_TRIES
    data = ActionFinished(
        action_id=lift_id(lift), target=state.target, alert_id=lift.alert_id, subject=lift.subject, action=lift.action,
        policy=lift.policy, attempt=lift.tries + 1, undoes=lift.action_id, outcome=given.outcome, reason=given.reason,
        message=given.message, started_at=lift.at, finished_at=max(world.now, lift.at), apply_ms=given.apply_ms,
        resumed=given.resumed,
    )  # fmt: skip
    fact = Fact(data, stable_id(lift_id(lift), "finished"), stable_id(lift_id(lift), "started"), lift.correlation_id)
    if gone:
        rest = tuple(one for one in state.lifts if one.action_id != lift.action_id)
        return Step(changed(state, lifts=rest, idle_since=state.idle_since or world.now), (fact,))
    seconds = min(MOST_AGAIN_S, AGAIN_S * 2.0 ** min(lift.tries, 10))
    again = world.now + timedelta(seconds=seconds)
    return Step(_with(state, lift, under_way=False, tries=lift.tries + 1, at=again), (fact,))


def lift_of(state: TargetState, action_id: str) -> Lift | None:
    """The lift that a task with this id is about."""
    return next((lift for lift in state.lifts if lift_id(lift) == action_id), None)


def lift_id(lift: Lift) -> str:
    """The id of this try to take it back."""
    return stable_id(lift.action_id, "lift", lift.tries)


def task_of(state: TargetState, lift: Lift, world: World, *, resumed: bool = False) -> Task:
    """The task that takes it back. The alert is long over: what is needed of it stands in `before`."""
    flight = Flight(
        action_id=lift_id(lift), decision_id=lift.action_id, policy=lift.policy, action=lift.action,
        attempt=lift.tries + 1, step=0, started_at=world.now, subject=lift.subject, parameters=lift.parameters,
        before=lift.before, undoing=True,
    )  # fmt: skip
    alert = AlertFired(
        alert_id=lift.alert_id, target=state.target, source="", sender="", name=lift.policy, severity=Severity.INFO,
        lasting=False, onset=lift.at, fired_at=lift.at,
    )  # fmt: skip
    return Task(Errand.UNDO, state.target, alert, Place(), flight, None, lift, resumed)


def stopped(target: Target, world: World) -> Denial | None:
    """Whether a person has stopped everything, or this."""
    for control in world.controls:
        lasts = control.until is None or control.until > world.now
        if lasts and control.kind in STOPS and control.scope.covers(target):
            return Denial(STOPS[control.kind], words(control), control.until, Verdict.WAIT)
    return None


def _with(state: TargetState, lift: Lift, **changes: object) -> TargetState:
    after = lift.model_copy(update=changes)
    return changed(state, lifts=tuple(after if one.action_id == lift.action_id else one for one in state.lifts))
