"""Play triggers through the real decisions without any cluster: the book, the guards and the time of a partition.

For `policy test`, `policy explain` and `policy backtest`. Nothing is written anywhere. What a cluster would say is
supposed: every plan can be made, every action works at once, and a corrected drift is over. An alert ends when its
source said so, unless `helped`, which supposes that a policy's steps end it. Nobody answers questions, unless
`approved`, which supposes that those who may say yes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.actions import ACTIONS
from schemas.alerts import AlertResolved
from schemas.approvals import AnswerKind, ApprovalAnswered, ApprovalRequested
from schemas.base import EventModel
from schemas.events import ClearedReason, ControlRemoved, ControlSet, DriftCleared, Event, Mode, Outcome, Reason
from schemas.ledger import Place
from schemas.policy import Policy
from schemas.template import FILLED
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.book import Book
from services.reconciler.book import Outcome as Batch
from services.reconciler.cases.ask import GROUP
from services.reconciler.cases.rows import case_of
from services.reconciler.guards import Bounds
from services.reconciler.inputs import (
    Answered,
    Cleared,
    Detected,
    Ended,
    Errand,
    Fired,
    Found,
    Input,
    Job,
    Over,
    Result,
    Task,
    World,
)
from services.reconciler.policies.choosing import PolicyIndex
from services.reconciler.policies.rulebook import Rulebook
from services.reconciler.policies.schedules import Schedules
from services.reconciler.policies.supposing import suppose
from services.reconciler.records import alert_input, drift_input
from services.runtime.errors import Permanent

MOST_AT_ONCE = 10_000
"""Looks at one and the same moment, after which something does not move on."""
SOMEBODY = "somebody"


@dataclass(frozen=True)
class Told:
    """One event that the reconciler would have written."""

    at: datetime
    data: EventModel


@dataclass(frozen=True)
class Supposed:
    """What is supposed of the world. See the module."""

    helped: bool = False
    approved: bool = False
    environment: str = ""


AS_RECORDED = Supposed()


class Rehearsal:
    """One cluster's reconciler, from `since` on. `told` is everything that it said, in order."""

    def __init__(self, rules: Rulebook, bounds: Bounds, since: datetime, supposed: Supposed = AS_RECORDED) -> None:
        self.rules, self.bounds, self.now, self.supposed = rules, bounds, since, supposed
        self.book, self.schedules = Book(), Schedules(bounds.cluster)
        self.told: list[Told] = []
        self.fixed: set[str] = set()
        self.world: World | None = None
        self._hours()

    def control(self, key: bytes, event: Event[Any], at: datetime) -> None:
        """A pause or the kill switch was set, or removed."""
        self.advance(at)
        if isinstance(event.data, ControlSet | ControlRemoved):
            out = Batch()
            self.book.control(key, event, self._world(), out)
            self.world = None
            self._settle(out)

    def take(self, event: Event[Any], at: datetime, place: Place | None = None) -> None:
        """A trigger came in. `place` is what the cluster says of an alert's target; supposed where it is not given."""
        self.advance(at)
        given = alert_input(event) or drift_input(event, lambda _: None)
        if isinstance(given, Fired):
            given = Fired(given.event_id, given.correlation_id, given.data, place or suppose(given.data)[0])
        if isinstance(given, Detected | Cleared) and given.data.drift_id in self.fixed:
            return  # in this world that drift is over
        if given is not None:
            self._settle(self._give(given.data.target.subject, given))

    def advance(self, until: datetime) -> None:
        """Let time pass, and everything happen whose time comes."""
        looks = 0
        while (due := self._next_due()) is not None and due <= until:
            looks = looks + 1 if due <= self.now else 0
            if looks > MOST_AT_ONCE:
                raise Permanent(f"the rehearsal does not get beyond {self.now}", "This is a defect: please report it")
            self.now = max(self.now, due)
            self._hours()
            out = Batch()
            self.book.due(self._world(), out)
            self._settle(out)
        self.now = max(self.now, until)

    def _hours(self) -> None:
        for subject, hour in list(self.schedules.due(self._world(), self.book.rows)):
            self._settle(self._give(subject, hour))

    def _next_due(self) -> datetime | None:
        times = (self.book.next_due(), self.schedules.next_due())
        return min((time for time in times if time is not None), default=None)

    def _give(self, subject: str, given: Input) -> Batch:
        out = Batch()
        self.book.take(subject, given, self._world(), out)
        return out

    def _settle(self, out: Batch) -> None:
        """Note what was told, and let everything that was started end as supposed."""
        waiting = deque([out])
        while waiting:
            out = waiting.popleft()
            self.told += [Told(self.now, fact.data) for fact in out.facts]
            for job in out.jobs:
                waiting += [self._give(job.target.subject, given) for given in self._job_done(job)]
            for task in out.tasks:
                waiting += [self._give(task.row.subject, given) for given in self._task_done(task)]
            if self.supposed.approved:
                asked = [fact.data for fact in out.facts if isinstance(fact.data, ApprovalRequested)]
                waiting += [self._give(one.target.subject, given) for one in asked for given in self._yes(one)]

    def _job_done(self, job: Job) -> Iterator[Input]:
        subject, action_id = job.target.subject, job.action.action_id
        if job.plan_only:
            yield Result(action_id, subject, Outcome.SUPERSEDED, Reason.DRY_RUN_MODE, f"would {job.action.action}")
            return
        seen = job.drift.resource_version if job.drift else ""
        version = int(seen) if seen.isdigit() else 0
        yield Result(
            action_id, subject, Outcome.SUCCEEDED, Reason.VERIFIED, applied=True, resource_version=version
        )  # fmt: skip
        if job.drift is not None:
            self.fixed.add(job.drift.drift_id)
            cleared = DriftCleared(
                target=job.target, drift_id=job.drift.drift_id, baseline=job.drift.baseline, onset=job.drift.onset,
                cleared_at=self.now, reason=ClearedReason.IN_SYNC, resource_version=job.drift.resource_version,
            )  # fmt: skip
            yield Cleared(f"{action_id}-cleared", cleared)

    def _task_done(self, task: Task) -> Iterator[Input]:
        subject, flight = task.row.subject, task.flight
        if flight is None:
            yield Found(subject, task.alert.alert_id, suppose(task.alert)[0])
        elif task.errand is Errand.PLAN:
            words = f"would {flight.action}"
            yield Ended(
                flight.action_id, subject, Outcome.SUPERSEDED, Reason.DRY_RUN_MODE, words, words=words, plan=words,
                plan_hash=flight.decision_id,
            )  # fmt: skip
        elif task.lift is not None:
            yield Ended(flight.action_id, subject, Outcome.SUCCEEDED, Reason.LIFTED)
        elif task.errand is Errand.UNDO:
            yield Ended(flight.action_id, subject, Outcome.UNDONE, Reason.NOT_VERIFIED, "the alert still fires")
        else:
            yield from self._done(task)

    def _done(self, task: Task) -> Iterator[Input]:
        flight = task.flight
        assert flight is not None
        operation = OPERATIONS[flight.action]
        parameters = ACTIONS[flight.action].model_validate(flight.parameters, context=FILLED)
        yield Ended(
            flight.action_id, task.row.subject, Outcome.SUCCEEDED, Reason.VERIFIED,
            applied=True, before={"supposed": True} if operation.reversible else {},
            lift_after=operation.lift_after(parameters),
        )  # fmt: skip
        row = self.book.rows.get(task.row.subject)
        case = case_of(row, task.alert.alert_id) if row else None
        if self.supposed.helped and case is not None and not case.gave_up and task.alert.lasting:
            yield Over(f"{flight.action_id}-over", self._over(task))

    def _over(self, task: Task) -> AlertResolved:
        alert = task.alert
        return AlertResolved(
            alert_id=alert.alert_id, target=alert.target, source=alert.source, sender=alert.sender, name=alert.name,
            onset=alert.onset, resolved_at=self.now,
        )  # fmt: skip

    def _yes(self, asked: ApprovalRequested) -> Iterator[Answered]:
        people = self._people(asked.by) or [f"{SOMEBODY}-{number}" for number in range(asked.count)]
        for by in people[: asked.count]:
            answer = ApprovalAnswered(
                approval_id=asked.approval_id, cluster=asked.target.cluster, answer=AnswerKind.APPROVE, by=by,
                via="rehearsal", at=self.now,
            )  # fmt: skip
            yield Answered(f"{asked.approval_id}-{by}", answer)

    def _people(self, names: tuple[str, ...]) -> list[str]:
        found = [user for name in names for user in self._meant(name)]
        return sorted(dict.fromkeys(found))

    def _meant(self, name: str) -> frozenset[str]:
        if not name.startswith(GROUP):
            return frozenset({name})
        return self.rules.groups.get(name.removeprefix(GROUP), frozenset())

    def _world(self) -> World:
        """The same object for as long as nothing of it is another: it remembers what is costly to find out."""
        if self.world is None or self.world.now != self.now:
            rules = self.rules
            self.world = World(
                self.now, rules.policies, self.book.controls.all(), self.bounds, rules.index, rules.windows,
                rules.groups, self.book.tally, self.supposed.environment,
            )  # fmt: skip
        return self.world


def enforced(rules: Rulebook) -> Rulebook:
    """The same rules as if every policy acted, so that limits count what would have been done."""
    policies = tuple(_enforced(policy) for policy in rules.policies)
    return Rulebook(policies, rules.windows, rules.groups, PolicyIndex(policies))


def _enforced(policy: Policy) -> Policy:
    return policy.model_copy(update={"spec": policy.spec.model_copy(update={"mode": Mode.ENFORCE})})
