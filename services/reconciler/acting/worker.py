"""Run one action from plan to verdict and say how it ended: every way out is a `Result`, a crash of ours included.

Right before the write it asks what needs the live object (`still_true`) and once more what a person may have said
meanwhile (`gate`). An action that is taken up again after a crash is planned anew: what holds already is skipped, and
verified. Turns bound how many actions talk to the API server at once; waiting in a verification holds none.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from schemas.events import Outcome, Reason
from services.kube.api.errors import ApiError, Conflict, Unavailable
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, metadata_of
from services.reconciler.acting.failures import failure_of
from services.reconciler.acting.hands import Hands
from services.reconciler.acting.turns import Turns
from services.reconciler.actions import ACTIONS
from services.reconciler.actions.base import Action, Context, Plan
from services.reconciler.guards import Denial, still_true
from services.reconciler.inputs import Job, Result
from services.runtime.clock import Clock
from services.runtime.logging import Log

APPLY_TRIES = 3
PLAN_CHARACTERS = 2000

Gate = Callable[[Job], Denial | None]


@dataclass(frozen=True)
class Bench:
    """What all workers of a process share."""

    hands: Hands
    clock: Clock
    turns: Turns
    log: Log


@dataclass
class Course:
    """How far one action has come."""

    job: Job
    action: Action
    context: Context
    phase: str = "plan"
    plan: Plan | None = None
    stored: Object | None = None
    applied: bool = False
    spent_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Count the block's milliseconds towards a phase."""
        self.phase, clock, start = phase, self.context.clock, self.context.clock.monotonic()
        try:
            yield
        finally:
            self.spent_ms[phase] = self.spent_ms.get(phase, 0.0) + (clock.monotonic() - start) * 1000


async def run_action(job: Job, declared: Declared | None, gate: Gate, bench: Bench) -> Result:
    """Run it. Raises nothing but cancellation, which leaves the action to the next owner."""
    if job.target.cluster != bench.hands.name:
        return _result(job, Outcome.SUPERSEDED, Reason.OUT_OF_SCOPE, f"not a target of {bench.hands.name!r}")
    action = ACTIONS[job.action.action]
    if action.declared and declared is None:
        return _result(job, Outcome.SUPERSEDED, Reason.NOT_DECLARED, "no baseline declares it any more")
    if declared is not None and not action.declared:
        return _result(job, Outcome.SUPERSEDED, Reason.NO_LONGER_TRUE, f"declared by '{declared.baseline}' by now")
    context = Context(
        bench.hands, job.target, declared, job.step, bench.clock, job.drift, job.plan_only, job.resumed
    )  # fmt: skip
    course, limit = Course(job, action, context), job.step.timeout.total_seconds()
    try:
        ending = await _plan_and_apply(course, gate, bench, limit) or await _verify(course, bench, limit)
    except (ApiError, TimeoutError) as error:
        failure = failure_of(error, job.target, course.phase, limit)
        ending = _result(job, Outcome.FAILED, failure.reason, failure.message)
        ending = replace(ending, temporary=failure.temporary, retry_after=failure.retry_after)
    except Exception as error:
        bench.log.exception("action crashed", action_id=job.action.action_id, phase=course.phase)
        ending = _result(job, Outcome.FAILED, Reason.INTERNAL, f"'{course.phase}' failed: {type(error).__name__}")
    spent = course.spent_ms
    return replace(
        ending,
        applied=course.applied,
        plan_ms=spent.get("plan", 0.0),
        apply_ms=spent.get("apply", 0.0),
        verify_ms=spent.get("verify", 0.0) + spent.get("undo", 0.0),
    )


async def _plan_and_apply(course: Course, gate: Gate, bench: Bench, limit: float) -> Result | None:
    """Plan and write; None where the write is done (or was done before a crash) and wants verifying."""
    async with bench.turns.turn(), asyncio.timeout(limit):
        for left in reversed(range(APPLY_TRIES)):
            plan = await _plan(course)
            if course.job.plan_only:
                return _plan_result(course.job, plan)
            denial = still_true(plan.finding)
            done = denial is not None and denial.reason is Reason.NO_LONGER_TRUE and not plan.spared
            if done and (course.job.resumed or course.applied):
                course.stored = plan.live
                return None
            denial = denial or gate(course.job)
            if denial:
                return _superseded(course.job, denial, plan)
            try:
                await _apply(course, plan)
                return None
            except Conflict:
                if not left:
                    raise
    return None


async def _plan(course: Course) -> Plan:
    with course.timed("plan"):
        course.plan = await course.action.plan(course.context)
    return course.plan


async def _apply(course: Course, plan: Plan) -> None:
    with course.timed("apply"):
        try:
            course.stored = await course.action.apply(plan, course.context)
        except (Unavailable, TimeoutError, asyncio.CancelledError):
            course.applied = True  # an answer that never came may stand for a write that did
            raise
    course.applied = True


async def _verify(course: Course, bench: Bench, limit: float) -> Result:
    """Look whether it helped, and undo it where it did not and the policy says so."""
    step, job = course.job.step, course.job
    with course.timed("verify"):
        async with asyncio.timeout(step.verify.within.total_seconds() + limit):
            verdict = await course.action.verify(course.stored, course.context, step.verify.within)
    if verdict.unmet is None:
        done = _result(job, Outcome.SUCCEEDED, Reason.VERIFIED)
        return replace(done, resource_version=_version(verdict.live))
    if step.undo != "auto" or course.stored is None:
        return _result(job, Outcome.INEFFECTIVE, Reason.NOT_VERIFIED, verdict.unmet)
    return await _undo(course, bench, course.stored, verdict.unmet, limit)


async def _undo(course: Course, bench: Bench, stored: Object, unmet: str, limit: float) -> Result:
    """Let stand what stood before. What that was is only known to the run that wrote: it is kept nowhere else."""
    job = course.job
    if not course.applied or course.plan is None:
        return _result(job, Outcome.INEFFECTIVE, Reason.UNDO_FAILED, f"{unmet}; what stood before a crash is not known")
    try:
        with course.timed("undo"):
            async with bench.turns.turn(), asyncio.timeout(limit):
                left = await course.action.undo(course.plan, stored, course.context)
    except (ApiError, TimeoutError) as error:
        why = failure_of(error, job.target, "undo", limit).message
        return _result(job, Outcome.FAILED, Reason.UNDO_FAILED, f"{unmet}; undo: {why}")
    if left:
        return _result(job, Outcome.INEFFECTIVE, Reason.NOT_VERIFIED, f"{unmet}; not undone: {left}")
    return _result(job, Outcome.UNDONE, Reason.NOT_VERIFIED, unmet)


def _superseded(job: Job, denial: Denial, plan: Plan) -> Result:
    seen = _version(plan.live) if denial.reason is Reason.NO_LONGER_TRUE else 0
    return replace(_result(job, Outcome.SUPERSEDED, denial.reason, denial.message), resource_version=seen)


def _plan_result(job: Job, plan: Plan) -> Result:
    denial = still_true(plan.finding)
    if denial:
        return _result(job, Outcome.SUPERSEDED, denial.reason, denial.message)
    return _result(job, Outcome.SUPERSEDED, Reason.DRY_RUN_MODE, told(job, plan)[:PLAN_CHARACTERS])


def told(job: Job, plan: Plan) -> str:
    """A plan in words: what would be made, changed and removed. Of Secrets only the paths."""
    if job.action.action == "prune":
        return "would delete the object"
    if plan.live is None:
        return "would create the object"
    hidden = job.target.kind == "Secret" and not job.target.group
    lines = [diff.path if hidden else f"{diff.path}: {diff.live!r} → {diff.desired!r}" for diff in plan.finding.fields]
    return f"would change, judged by {plan.finding.engine}: " + "; ".join(lines)


def _result(job: Job, outcome: Outcome, reason: Reason, message: str = "") -> Result:
    return Result(job.action.action_id, job.target.subject, outcome, reason, message, resumed=job.resumed)


def _version(live: Object | None) -> int:
    text = str(metadata_of(live).get("resourceVersion") or "") if live else ""
    return int(text) if text.isdigit() else 0
