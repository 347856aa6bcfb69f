"""Carry out one task on an alert: find its target, make a plan, do a step and see whether it helped, take one back.

Every way out is a `Found` or an `Ended`, a crash of ours included. Right before the write the plan is made (anew), and
what only the cluster knows is asked: is it within bounds, is it what was approved, does enough stay in service; and
once more what a person may have said meanwhile. A step that is taken up after a crash is planned anew, too: what it has
done already is skipped, and verified.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from schemas.actions import ACTIONS
from schemas.events import FieldChange, Outcome, Reason
from schemas.ledger import Flight, Place
from schemas.policy import BlastRadius, Verify
from schemas.target import Target
from schemas.template import FILLED
from services.kube.api.errors import ApiError, Conflict, Unavailable
from services.kube.api.operate import Operate
from services.reconciler.acting.failures import Failure, failure_of
from services.reconciler.acting.lineage import Lines
from services.reconciler.acting.observing import observe
from services.reconciler.acting.resolving import resolve
from services.reconciler.acting.seeing import unmet
from services.reconciler.acting.turns import Turns
from services.reconciler.actions.operation import Applied, Operation, Outside, Plan, Scene
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.guards import Bounds, Denial, blast_radius, plan_unchanged, touches_only_own
from services.reconciler.inputs import Ended, Errand, Found, Task
from services.runtime.clock import Clock
from services.runtime.logging import Log

APPLY_TRIES = 3
FIND_S = 10.0
FIRST_LOOK_S, MOST_LOOK_S = 0.1, 2.0  # between two looks of a verification; each is half as long again
MOST_WORDS = 500
PLAN_CHARACTERS = 4000
PLAIN_VERIFY = Verify()


@dataclass(frozen=True)
class Desk:
    """What all carriers of a process share."""

    api: Operate
    outside: Outside
    clock: Clock
    turns: Turns
    log: Log
    mask_key: bytes
    bounds: Bounds
    lines: Lines = field(default_factory=Lines)


@dataclass(frozen=True)
class Asks:
    """What is known where decisions are made: whether a person has stopped it meanwhile, the policy's limits, and how
    many other workloads of a target's namespace were acted on within an hour."""

    gate: Callable[[Task], Denial | None]
    limits: Callable[[Task], BlastRadius | None]
    acted: Callable[[Target], int]


@dataclass
class Course:
    """How far one task has come."""

    task: Task
    flight: Flight
    operation: Operation[Any]
    scene: Scene[Any]
    clock: Clock
    phase: str = "plan"
    applied: bool = False
    spent_ms: dict[str, float] = field(default_factory=dict)

    @property
    def limit(self) -> float:
        """Seconds for planning and writing."""
        return float(self.scene.parameters.timeout.total_seconds())

    @property
    def target(self) -> Target:
        """What errors are about."""
        return self.flight.subject or self.task.alert.target

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Count the block's milliseconds towards a phase."""
        self.phase, start = phase, self.clock.monotonic()
        try:
            yield
        finally:
            self.spent_ms[phase] = self.spent_ms.get(phase, 0.0) + (self.clock.monotonic() - start) * 1000


async def carry(task: Task, asks: Asks, desk: Desk) -> Found | Ended:
    """Carry it out. Raises nothing but cancellation, which leaves it to the next owner."""
    if task.errand is Errand.FIND:
        return await find(task, desk)
    flight = task.flight
    assert flight is not None
    try:
        course = _course(task, flight, desk)
    except (KeyError, ValidationError) as error:
        why = f"its parameters cannot be read any more: {type(error).__name__}"
        return _end(task, flight, Outcome.SUPERSEDED, Reason.PARAMETERS, why)
    try:
        ending = await _run(course, asks, desk)
    except Exception as error:  # noqa: BLE001 - each way out is an end; a defect's trace is in the log
        failure = _failure(error, course, desk)
        ending = _end(task, flight, Outcome.FAILED, failure.reason, failure.message)
        ending = replace(ending, temporary=failure.temporary, retry_after=failure.retry_after)
    spent = course.spent_ms
    return replace(
        ending, applied=course.applied, plan_ms=spent.get("plan", 0.0), apply_ms=spent.get("apply", 0.0),
        verify_ms=spent.get("verify", 0.0) + spent.get("undo", 0.0),
    )  # fmt: skip


def _failure(error: Exception, course: Course, desk: Desk) -> Failure:
    """What an error means; one that nobody has thought of is a defect, with its trace in the log."""
    if isinstance(error, ApiError | TimeoutError):
        return failure_of(error, course.target, course.phase, course.limit)
    flight = course.flight
    desk.log.error(
        "action crashed", action_id=flight.action_id, action=flight.action, phase=course.phase, exc_info=error
    )  # fmt: skip
    return Failure(Reason.INTERNAL, f"'{course.phase}' failed: {type(error).__name__}", temporary=False)


async def find(task: Task, desk: Desk) -> Found:
    """Look the alert's target up."""
    place: Place | None = None
    message = ""
    try:
        async with desk.turns.turn(), asyncio.timeout(FIND_S):
            place = await resolve(desk.api, task.alert, desk.lines)
    except TimeoutError:
        message = f"no answer within {FIND_S:g} s"
    except ApiError as error:
        message = error.message
    except Exception as error:
        desk.log.exception("a target could not be looked up", alert_id=task.alert.alert_id)
        place = Place(reason=Reason.INTERNAL, message=f"looking it up failed: {type(error).__name__}")
    return Found(task.row.subject, task.alert.alert_id, place, message)


async def _run(course: Course, asks: Asks, desk: Desk) -> Ended:
    if course.task.errand is Errand.UNDO:
        return await _take_back(course, asks, desk)
    if course.task.errand is Errand.PLAN:
        return await _only_plan(course, asks, desk)
    return await _do(course, asks, desk)


async def _only_plan(course: Course, asks: Asks, desk: Desk) -> Ended:
    """Make the plan for people to read."""
    async with desk.turns.turn(), asyncio.timeout(course.limit):
        plan = await _plan(course)
        denial = plan.denial or touches_only_own(plan.touches, desk.bounds)
    if denial:
        return _put_off(course, denial)
    if plan.so:
        return _ended(course, Outcome.SUPERSEDED, Reason.ALREADY_SO, plan.words[:MOST_WORDS])
    made = _ended(course, Outcome.SUPERSEDED, Reason.DRY_RUN_MODE, plan.words[:MOST_WORDS])
    return replace(made, words=plan.words[:MOST_WORDS], plan=told(plan), plan_hash=plan.hash)


async def _do(course: Course, asks: Asks, desk: Desk) -> Ended:
    done = await _plan_and_apply(course, asks, desk)
    if isinstance(done, Ended):
        return done
    plan, applied = done
    ending = await _checked(course, plan, applied, desk)
    return replace(ending, before=plan.before, facts=applied.facts)


async def _checked(course: Course, plan: Plan, applied: Applied, desk: Desk) -> Ended:
    """What came of the write. Where that cannot be seen it is no success, and undone as one that did not help."""
    try:
        missing = await _verify(course, plan, applied)
    except Exception as error:  # noqa: BLE001 - each way out is an end; a defect's trace is in the log
        failure = _failure(error, course, desk)
        if _undoes(course):
            return await _undo(course, plan.before, failure.message, desk)
        ending = _ended(course, Outcome.FAILED, failure.reason, failure.message)
        return replace(ending, temporary=failure.temporary, retry_after=failure.retry_after)
    if missing is None:
        ending = _ended(course, Outcome.SUCCEEDED, Reason.VERIFIED, (applied.words or plan.words)[:MOST_WORDS])
        return replace(ending, lift_after=course.operation.lift_after(course.scene.parameters))
    if _undoes(course):
        return await _undo(course, plan.before, missing, desk)
    return _ended(course, Outcome.INEFFECTIVE, Reason.NOT_VERIFIED, missing)


async def _plan_and_apply(course: Course, asks: Asks, desk: Desk) -> Ended | tuple[Plan, Applied]:
    """Plan and write; the end where nothing may or need be written."""
    async with desk.turns.turn(), asyncio.timeout(course.limit):
        for left in reversed(range(APPLY_TRIES)):
            plan = await _plan(course)
            if plan.ours or (plan.so and course.applied):
                course.applied = True
                return plan, await _apply(course, plan)  # it writes nothing then, and knows what to look for
            if plan.so:
                return _ended(course, Outcome.SUCCEEDED, Reason.ALREADY_SO, plan.words[:MOST_WORDS])
            denial = plan.denial or await _may(course, plan, asks, desk)
            if denial:
                return _put_off(course, denial)
            try:
                return plan, await _apply(course, plan)
            except Conflict:
                if not left:
                    raise
    raise AssertionError


async def _plan(course: Course) -> Plan:
    with course.timed("plan"):
        return await course.operation.plan(course.scene)


async def _may(course: Course, plan: Plan, asks: Asks, desk: Desk) -> Denial | None:
    """What is asked on the plan, as it will be carried out in a moment."""
    task, flight = course.task, course.flight
    denial = touches_only_own(plan.touches, desk.bounds) or plan_unchanged(flight.expects, plan.hash)
    limits = asks.limits(task)
    if denial is None and limits is not None and plan.target is not None:
        with course.timed("plan"):
            seen = await observe(
                desk.api, plan.target, task.place, action=flight.action, limits=limits, takes=_takes(plan),
                acted=asks.acted(plan.target),
            )  # fmt: skip
        denial = blast_radius(seen, limits, flight.action)
    return denial or asks.gate(task)


def _takes(plan: Plan) -> int | None:
    """How many ready replicas the plan takes away, where it says so."""
    for change in plan.changes:
        if change.path == "/spec/replicas" and isinstance(change.live, int) and isinstance(change.desired, int):
            return max(0, change.live - change.desired)
    return None


async def _apply(course: Course, plan: Plan) -> Applied:
    with course.timed("apply"):
        try:
            applied = await course.operation.apply(plan, course.scene)
        except (Unavailable, TimeoutError, asyncio.CancelledError):
            course.applied = True  # an answer that never came may stand for a write that did
            raise
    course.applied = True
    return applied


async def _verify(course: Course, plan: Plan, applied: Applied) -> str | None:
    """Look until it holds, at most for as long as the step says; what is missing at the end."""
    step, clock = course.task.step, course.clock
    verify = step.verify if step else PLAIN_VERIFY
    ends, wait = clock.monotonic() + verify.within.total_seconds(), FIRST_LOOK_S
    with course.timed("verify"):
        while True:
            last = clock.monotonic() >= ends
            try:
                async with asyncio.timeout(course.limit):
                    missing = await course.operation.unmet(plan, applied, course.scene)
                    missing = missing or await unmet(step, plan.target, course.scene.api)
                if missing is None or last:
                    return missing
            except (Unavailable, TimeoutError):
                if last:
                    raise
            await clock.sleep(max(0.0, min(wait, ends - clock.monotonic())))
            wait = min(MOST_LOOK_S, wait * 1.5)


def _undoes(course: Course) -> bool:
    """Whether the policy wants it put back where it did not help."""
    return course.task.step is not None and course.task.step.undo == "auto"


async def _undo(course: Course, before: dict[str, Any], missing: str, desk: Desk) -> Ended:
    try:
        with course.timed("undo"):
            async with desk.turns.turn(), asyncio.timeout(course.limit):
                left = await course.operation.undo(before, course.scene)
    except (ApiError, TimeoutError) as error:
        why = failure_of(error, course.target, "undo", course.limit)
        return _ended(course, Outcome.FAILED, Reason.UNDO_FAILED, f"{missing}; undo: {why.message}")
    if left:
        return _ended(course, Outcome.INEFFECTIVE, Reason.NOT_VERIFIED, f"{missing}; not undone: {left}")
    return _ended(course, Outcome.UNDONE, Reason.NOT_VERIFIED, missing)


async def _take_back(course: Course, asks: Asks, desk: Desk) -> Ended:
    """Undo what was done before: its time is over, or the alert still fires."""
    denial = asks.gate(course.task)
    if denial:
        return _put_off(course, denial)
    before = course.flight.before or {}
    if course.task.lift is None:
        return await _undo(course, before, "the alert still fires", desk)
    with course.timed("undo"):
        async with desk.turns.turn(), asyncio.timeout(course.limit):
            left = await course.operation.undo(before, course.scene)
    course.applied = left is None
    if left:
        return _ended(course, Outcome.SUPERSEDED, Reason.NO_LONGER_TRUE, left)
    return _ended(course, Outcome.SUCCEEDED, Reason.LIFTED, "its time is over")


def told(plan: Plan) -> str:
    """A plan in words: one line, and one for each field that would change; values of Secrets are hashes already."""
    lines = [plan.words, *(_line(change) for change in plan.changes)]
    return "\n".join(lines)[:PLAN_CHARACTERS]


def _line(change: FieldChange) -> str:
    if change.live is None:
        return f"+ {change.path}: {change.desired!r}"
    if change.desired is None:
        return f"- {change.path}: {change.live!r}"
    return f"~ {change.path}: {change.live!r} → {change.desired!r}"


def _course(task: Task, flight: Flight, desk: Desk) -> Course:
    """Raises KeyError and ValidationError for a flight of another version."""
    parameters = ACTIONS[flight.action].model_validate(flight.parameters, context=FILLED)
    scene = Scene(
        desk.api, desk.outside, desk.clock, parameters, flight.action_id, flight.policy, task.alert, task.place,
        desk.mask_key, task.errand is Errand.PLAN, task.resumed,
    )  # fmt: skip
    return Course(task, flight, OPERATIONS[flight.action], scene, desk.clock)


def _put_off(course: Course, denial: Denial) -> Ended:
    ending = _ended(course, Outcome.SUPERSEDED, denial.reason, denial.message)
    if denial.until is None:
        return ending
    return replace(ending, retry_after=max(0.0, (denial.until - course.clock.now()).total_seconds()))


def _ended(course: Course, outcome: Outcome, reason: Reason, message: str = "") -> Ended:
    return _end(course.task, course.flight, outcome, reason, message)


def _end(task: Task, flight: Flight, outcome: Outcome, reason: Reason, message: str = "") -> Ended:
    return Ended(flight.action_id, task.row.subject, outcome, reason, message, resumed=task.resumed)
