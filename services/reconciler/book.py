"""The rows of one partition in memory: which input goes to which row, what is due when, and what must be written.

Called by the partition's loop only. The rows change before the transaction that writes them commits; a transaction
that fails drops the whole book, and the next owner (often this process again) reads it from the ledger.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from schemas.alerts import ALERT_GROUP
from schemas.approvals import RefusedAnswer
from schemas.events import ControlRemoved, ControlSet, Event
from schemas.ledger import TargetState
from schemas.target import Target
from services.reconciler.cases.ask import refused
from services.reconciler.cases.lift import task_of
from services.reconciler.cases.routing import resumed_task
from services.reconciler.controls import Controls, covered
from services.reconciler.inputs import Answered, Due, Fact, Input, Job, Resumed, Step, Task, World, step_of
from services.reconciler.step import deadline, step
from services.reconciler.tally import Tally


@dataclass
class Outcome:
    """What a batch of inputs came to: facts in order, rows to write (None is a tombstone), jobs to start."""

    facts: list[Fact] = field(default_factory=list)
    rows: dict[str, TargetState | None] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)


class Book:
    """Rows by subject, controls, and a heap of deadlines."""

    def __init__(self, rows: Iterable[TargetState] = (), controls: Controls | None = None) -> None:
        self.rows = {row.target.subject: row for row in rows}
        self.controls = controls or Controls()
        self.heap: list[tuple[datetime, str]] = []
        self.due_at: dict[str, datetime] = {}
        self.tally = Tally(self.rows.values())
        self.questions = {
            case.question.approval_id: subject
            for subject, row in self.rows.items()
            for case in row.cases
            if case.question
        }

    def answer(self, given: Answered, world: World, out: Outcome) -> None:
        """Give a person's answer to the row that asked; one that nobody asked for is refused."""
        subject = self.questions.get(given.data.approval_id)
        if subject is not None:
            self.take(subject, given, world, out)
            return
        nowhere = Target(
            cluster=given.data.cluster, group=ALERT_GROUP, kind="Approval", namespace="", name=given.data.approval_id
        )
        why = RefusedAnswer.UNKNOWN
        out.facts.append(refused(nowhere, given.data, why, given.data.approval_id, given.event_id))

    def take(self, subject: str, given: Input, world: World, out: Outcome) -> None:
        """Give one input to one row."""
        if world.tally is not self.tally:
            world = replace(world, tally=self.tally)
        before = self.rows.get(subject)
        state = before or TargetState(target=Target.from_subject(subject))
        self._put(subject, before, state, step(state, given, world), out)
        self._schedule(subject, world)

    def control(
        self, key: bytes, event: Event[ControlSet | ControlRemoved] | None, world: World, out: Outcome
    ) -> World:
        """Take a control in and decide again whom it concerns. Returns the world with the controls as they are now."""
        scope, by_person = self.controls.put(key, event)
        world = replace(world, controls=self.controls.all())
        if scope is not None:
            event_id = event.id if event else None
            by = event.data.by if event else ""
            given: Input = Resumed(event_id, by) if by_person and event_id else Due(event_id)
            for subject in covered([row.target for row in self.rows.values()], scope):
                self.take(subject, given, world, out)
        return world

    def reconsider(self, world: World, out: Outcome) -> None:
        """Decide all that is open again: the policies have changed."""
        for subject in [subject for subject, row in self.rows.items() if row.drift is not None or row.cases]:
            self.take(subject, Due(), world, out)

    def due(self, world: World, out: Outcome) -> None:
        """Give every row whose deadline has come its `Due`."""
        come = []
        while self.heap and self.heap[0][0] <= world.now:
            when, subject = heapq.heappop(self.heap)
            if self.due_at.get(subject) == when:
                del self.due_at[subject]
                come.append(subject)
        for subject in come:
            self.take(subject, Due(), world, out)

    def next_due(self) -> datetime | None:
        """The next deadline, if there is one."""
        while self.heap and self.due_at.get(self.heap[0][1]) != self.heap[0][0]:
            heapq.heappop(self.heap)
        return self.heap[0][0] if self.heap else None

    def resume_tasks(self, world: World) -> list[Task]:
        """After a load: what was under way on alerts, to be taken up again."""
        found = []
        for row in self.rows.values():
            found += [task for case in row.cases if (task := resumed_task(row, case, world))]
            found += [task_of(row, lift, world, resumed=True) for lift in row.lifts if lift.under_way]
        return found

    def start(self, world: World) -> list[Job]:
        """After a load: set every deadline, and the jobs to take up again."""
        for subject in self.rows:
            self._schedule(subject, world)
        flights = [(row, row.in_flight) for row in self.rows.values() if row.in_flight]
        return [
            Job(row.target, flight, step_of(flight, world.policies), row.drift, resumed=True) for row, flight in flights
        ]

    def _put(self, subject: str, before: TargetState | None, state: TargetState, made: Step, out: Outcome) -> None:
        out.facts.extend(made.facts)
        out.tasks.extend(made.tasks)
        if made.job:
            out.jobs.append(made.job)
        if made.state is None:
            self.rows.pop(subject, None)
            self.tally.forget(subject)
            if before is not None:
                out.rows[subject] = None
        elif made.state is not state:
            self.rows[subject] = made.state
            self.tally.put(made.state)
            self._index(subject, before, made.state)
            out.rows[subject] = made.state

    def _index(self, subject: str, before: TargetState | None, after: TargetState) -> None:
        """Where the answer to each open question goes."""
        for case in before.cases if before else ():
            if case.question:
                self.questions.pop(case.question.approval_id, None)
        for case in after.cases:
            if case.question:
                self.questions[case.question.approval_id] = subject

    def _schedule(self, subject: str, world: World) -> None:
        row = self.rows.get(subject)
        when = deadline(row, world) if row else None
        if when is None:
            self.due_at.pop(subject, None)
        elif self.due_at.get(subject) != when:
            self.due_at[subject] = when
            heapq.heappush(self.heap, (when, subject))
