"""What an action's end makes of the row: one `action.finished`, the counts, and the next decision on the drift.

A success waits for the watcher to say so (`drift.cleared`); a failure is held for a while, and that is recorded as a
decision, so that no drift stays open without a reason.
"""

from datetime import datetime, timedelta

from schemas.events import ActionFinished, DriftDetected, Mode, Outcome, Reason, Verdict, stable_id
from schemas.ledger import Attempt, Hold, InFlight, Said, TargetState
from services.reconciler.decide import Answer, evaluate, tell
from services.reconciler.guards.fight import corrected
from services.reconciler.inputs import Fact, Result, Step, World, step_of

SETTLE = timedelta(seconds=15)  # how long the watcher may take to report what the action did
MOST_HOLD_S = 600.0
FIRST_HOLD_S = {
    Reason.NO_LONGER_TRUE: 15.0,
    Reason.NOT_DECLARED: 60.0,
    Reason.FORBIDDEN: 30.0,
    Reason.INVALID: 60.0,
    Reason.IMMUTABLE: 60.0,
    Reason.HOLDS_DATA: 60.0,
    Reason.UNKNOWN_FIELD: 60.0,
    Reason.NOT_SERVED: 60.0,
    Reason.ADMISSION_DENIED: 60.0,
    Reason.WEBHOOK_REFUSED: 60.0,
    Reason.WEBHOOK_FAILED: 5.0,
    Reason.QUOTA: 15.0,
    Reason.TERMINATING: 5.0,
    Reason.CLAIMED_TWICE: 60.0,
    Reason.FOREIGN_OWNED: 60.0,
    Reason.NOT_VERIFIED: 1.0,
    Reason.UNDO_FAILED: 5.0,
    Reason.INTERNAL: 30.0,
}
FIRST_TEMPORARY_HOLD_S, MOST_TEMPORARY_HOLD_S = 0.25, 20.0
UNHELPFUL = frozenset({Outcome.INEFFECTIVE, Outcome.UNDONE, Outcome.FAILED})
WITHDRAWN = frozenset({Reason.PAUSED, Reason.KILL_SWITCH, Reason.OUT_OF_SCOPE})


def ended(state: TargetState, result: Result, world: World) -> Step:
    """Close the action under way; a result of any other action is stale and changes nothing."""
    flight = state.in_flight
    if flight is None or flight.action_id != result.action_id:
        return Step(state)
    if flight.mode is not Mode.ENFORCE:
        return _planned(state, flight, result, world)
    finished = _finished(state, flight, result, world.now)
    after = _counted(state, flight, result, world)
    return _and_then(after, flight, result, world, finished)


def _and_then(state: TargetState, flight: InFlight, result: Result, world: World, finished: Fact) -> Step:
    if state.drift is None:
        return Step(state.model_copy(update={"idle_since": world.now, "hold": None, "retry_at": None}), (finished,))
    if result.outcome is Outcome.SUCCEEDED and _covers(result, flight, state.drift):
        said = Said(policy=flight.policy, verdict=Verdict.ACT, reason=Reason.POLICY)
        return Step(state.model_copy(update={"retry_at": world.now + SETTLE, "said": said}), (finished,))
    following = evaluate(state, world, finished.id)
    return Step(following.state, (finished, *following.facts), following.job)


def _counted(state: TargetState, flight: InFlight, result: Result, world: World) -> TargetState:
    now = world.now
    changes: dict[str, object] = {"in_flight": None, "attempts": _attempts(state, flight, result)}
    if result.resource_version > state.seen_version:
        changes |= {"seen_version": result.resource_version, "seen_at": now}
    if result.outcome is Outcome.SUCCEEDED:
        changes |= {"ineffective": 0, "retries": 0, "hold": None}
    elif result.reason in WITHDRAWN:
        changes |= {"tries": max(0, state.tries - 1)}
    else:
        changes |= {"retries": state.retries + 1, "hold": _hold(state, flight, result, world)}
        if result.outcome in UNHELPFUL and not result.temporary and result.reason is not Reason.FORBIDDEN:
            changes["ineffective"] = state.ineffective + 1
    after = state.model_copy(update=changes)
    return corrected(after, now, flight.manager) if result.applied else after


def _attempts(state: TargetState, flight: InFlight, result: Result) -> tuple[Attempt, ...]:
    """The attempt with its outcome; one that never came to a write is none."""
    others = tuple(entry for entry in state.attempts if entry.outcome or entry.at != flight.started_at)
    if result.outcome is Outcome.SUPERSEDED:
        return others
    own = Attempt(
        policy=flight.policy, at=flight.started_at, action=flight.action, outcome=result.outcome, reason=result.reason
    )
    return (*others, own)


def _hold(state: TargetState, flight: InFlight, result: Result, world: World) -> Hold:
    """Twice as long each time; spread by up to a quarter, the same for the same target, so that no herd returns.

    What cannot change will not do so later either: where the policy does not allow to make the object anew, that is
    held until the drift looks otherwise or somebody answers.
    """
    if result.reason is Reason.IMMUTABLE and not step_of(flight, world.policies).recreates:
        return Hold(reason=result.reason, until=None, message=result.message)
    first = FIRST_HOLD_S.get(result.reason, FIRST_TEMPORARY_HOLD_S)
    most = MOST_HOLD_S if result.reason in FIRST_HOLD_S else MOST_TEMPORARY_HOLD_S
    seconds = min(most, first * 2.0 ** min(state.retries, 20))
    seconds *= 1 + int(stable_id(state.target.subject)[:4], 16) / 0xFFFF / 4
    seconds = max(seconds, result.retry_after or 0.0)
    return Hold(reason=result.reason, until=world.now + timedelta(seconds=seconds), message=result.message)


def _finished(state: TargetState, flight: InFlight, result: Result, now: datetime) -> Fact:
    data = ActionFinished(
        action_id=flight.action_id,
        target=state.target,
        drift_id=flight.drift_id,
        action=flight.action,
        policy=flight.policy,
        attempt=flight.attempt,
        outcome=result.outcome,
        reason=result.reason,
        message=result.message,
        started_at=flight.started_at,
        finished_at=max(now, flight.started_at),
        plan_ms=result.plan_ms,
        apply_ms=result.apply_ms,
        verify_ms=result.verify_ms,
        resumed=result.resumed,
    )
    id = stable_id(flight.action_id, "finished")
    return Fact(data, id, stable_id(flight.action_id, "started"), flight.correlation_id)


def _planned(state: TargetState, flight: InFlight, result: Result, world: World) -> Step:
    """A dry-run's plan is there: say what would be done, unless the drift is gone or has changed meanwhile."""
    after = state.model_copy(update={"in_flight": None})
    policy = world.policy_for(after.drift) if after.drift else None
    if after.drift is None:
        return Step(after.model_copy(update={"idle_since": world.now}))
    if policy is None or policy.name != flight.policy or policy.spec.mode is not Mode.DRY_RUN:
        return evaluate(after, world)
    if result.reason is Reason.DRY_RUN_MODE:
        return tell(after, policy, Answer(Verdict.OBSERVE, Reason.DRY_RUN_MODE, result.message), None)
    held = after.model_copy(update={"hold": _hold(after, flight, result, world), "retries": after.retries + 1})
    return evaluate(held, world)


def _covers(result: Result, flight: InFlight, drift: DriftDetected) -> bool:
    """Whether what was verified is newer than the drift. A deletion has the version of the object that it deleted."""
    if flight.action == "prune":
        return drift.drift_id == flight.drift_id
    if drift.state == "missing" and drift.drift_id != flight.drift_id:
        return False
    version = drift.resource_version
    return not version.isdigit() or int(version) <= result.resource_version
