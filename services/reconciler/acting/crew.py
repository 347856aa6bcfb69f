"""The workers of one partition: a task for each job on drift and each errand on an alert, and what they ask of it.

Nothing here waits for a worker: what it comes to is delivered, and taken into the next batch.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Any

from schemas.events import Reason
from schemas.policy import BlastRadius
from schemas.target import Target
from services.reconciler.acting.carrier import Asks, carry
from services.reconciler.acting.finder import Finder
from services.reconciler.acting.worker import run_action
from services.reconciler.book import Book
from services.reconciler.cases.decide import request_for
from services.reconciler.cases.lift import stopped
from services.reconciler.cases.rows import case_of
from services.reconciler.guards import LAST_MOMENT, Denial, Request, first_denial
from services.reconciler.inputs import Ended, Errand, Found, Job, Result, Task, World
from services.reconciler.records import key_of_target
from services.reconciler.shared import Shared
from services.reconciler.telling import tell_result

ACTED_WITHIN = timedelta(hours=1)  # what `maxInNamespace` counts
Delivered = Result | Found | Ended


class Crew:
    """Made anew for each life of a partition."""

    def __init__(
        self, shared: Shared, book: Book, world: Callable[[], World], deliver: Callable[[Delivered], None]
    ) -> None:
        self.shared, self.book, self.world, self.deliver = shared, book, world, deliver
        self.working: set[asyncio.Task[Any]] = set()
        self.finder = Finder(shared.desk, deliver) if shared.desk else None
        self.asks = Asks(self._may_go_on, self._limits, self._acted)

    def start(self, jobs: Iterable[Job], tasks: Iterable[Task] = ()) -> None:
        """Start them all."""
        for job in jobs:
            self._begin(self._work(job))
        for task in tasks:
            if task.errand is Errand.FIND and self.finder:
                self._keep(self.finder.start(task))
            elif task.errand is not Errand.FIND:
                self._begin(self._carry(task))
        self.shared.metrics.set("actions_in_flight", len(self.shared.workers))

    async def end(self) -> None:
        """Stop everybody; what was under way stands in the ledger."""
        for worker in self.working:
            worker.cancel()
        await asyncio.gather(*self.working, return_exceptions=True)
        if self.finder:
            await self.finder.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._keep(asyncio.create_task(work))

    def _keep(self, worker: "asyncio.Task[Any]") -> None:
        for group in (self.working, self.shared.workers):
            group.add(worker)
            worker.add_done_callback(group.discard)

    async def _work(self, job: Job) -> None:
        declared = self.shared.declared().get(key_of_target(job.target))
        result = await run_action(job, declared, self._gate, self.shared.bench)
        tell_result(self.shared.metrics, result)
        self.deliver(result)

    async def _carry(self, task: Task) -> None:
        assert self.shared.desk is not None
        ended = await carry(task, self.asks, self.shared.desk)
        if isinstance(ended, Ended):
            tell_result(self.shared.metrics, ended)
        self.deliver(ended)

    def _gate(self, job: Job) -> Denial | None:
        """What a person may have said since the decision, and whether this process can know what is not declared."""
        if job.action.action == "prune" and not self._knows(job):
            return Denial(Reason.NOT_DECLARED, "this reconciler does not know the baseline that the object is not in")
        world = self.world()
        row, policy = self.book.rows.get(job.target.subject), world.policy_named(job.action.policy)
        if row is None or row.drift is None or policy is None:
            return None
        request = Request(
            row, row.drift, policy, world.controls, world.bounds, world.now, subject=job.target, windows=world.windows
        )
        return first_denial(LAST_MOMENT, request)

    def _knows(self, job: Job) -> bool:
        """Whether anything of the baseline is known here: without it every object would look undeclared."""
        name = job.drift.baseline if job.drift else None
        return any(declared.baseline == name for declared in self.shared.declared().values())

    def _may_go_on(self, task: Task) -> Denial | None:
        """The same for a step on an alert. What takes something back is stopped by a person's word alone."""
        world, flight = self.world(), task.flight
        assert flight is not None
        if task.errand is Errand.UNDO:
            return stopped(flight.subject or task.row, world)
        policy, row = world.policy_named(flight.policy), self.book.rows.get(task.row.subject)
        case = case_of(row, task.alert.alert_id) if row else None
        if policy is None or row is None or case is None:
            return Denial(Reason.NO_POLICY, "its policy or its alert is gone")
        return first_denial(LAST_MOMENT, request_for(row, case, policy, flight.subject, flight.action, world))

    def _limits(self, task: Task) -> BlastRadius | None:
        policy = self.world().policy_named(task.flight.policy if task.flight else None)
        return policy.spec.limits.blast_radius if policy else None

    def _acted(self, target: Target) -> int:
        """How many other objects of the target's namespace were acted on lately."""
        since = self.world().now - ACTED_WITHIN
        entries = (entry for entry in self.book.tally.since(since) if entry.namespace == target.namespace)
        return len({entry.subject for entry in entries} - {target.subject})
