"""One owned partition from assignment to revocation: load, take up what was under way, then batch after batch.

A batch is everything that has come in meanwhile: controls first, then results of workers, drift, and deadlines. It
goes through the book, is committed as one transaction, and only then are its jobs started. There is one way back from
every failure: cancel the workers, drop the book, open the journal anew (which fences whoever else writes here) and
load. A worker that is cancelled leaves its action `in flight` in the ledger, so the next life takes it up again.
"""

import asyncio
from collections import deque
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from schemas.ledger import Place
from schemas.topics import TopicName
from services.reconciler.acting.crew import Crew, Delivered
from services.reconciler.book import Book, Outcome
from services.reconciler.inputs import Job, Task, World
from services.reconciler.intake import Read, read, take_in, unplaced
from services.reconciler.journal import Journal, fenced, open_journal
from services.reconciler.load import load
from services.reconciler.policies.rulebook import Rulebook
from services.reconciler.policies.schedules import Schedules
from services.reconciler.records import Reader, Record, fact_records, row_records
from services.reconciler.shared import Shared
from services.reconciler.telling import tell_failure, tell_outcome
from services.runtime.backoff import Backoff
from services.runtime.errors import Temporary
from services.runtime.kafka import cluster_partition

MOST_WAITING = 5000  # records read and not yet taken in; the reader waits beyond that
BUSY = 16  # actions under way from which on a batch waits for company
GATHER_S = 0.1
FENCED_WAIT_S = 3.0  # after being fenced: as a rule the group gives the partition to somebody else within that time
EVENTS = (TopicName.DRIFT, TopicName.ALERTS, TopicName.APPROVALS)
"""The inputs that are read on from where the last committed batch ended."""


class Partition:
    """Owned from the first step of `run` to its end; `ready` while its ledger is in memory and its journal open."""

    def __init__(self, number: int, consumer: AIOKafkaConsumer, shared: Shared) -> None:
        self.number, self.consumer, self.shared = number, consumer, shared
        self.control = TopicPartition(TopicName.CONTROL, number)
        self.events = tuple(TopicPartition(name, number) for name in EVENTS)
        self.places = (self.control, *self.events)
        self.ready = False
        self._reset()

    def _reset(self) -> None:
        self.book = Book()
        self.crew = Crew(self.shared, self.book, self._world, self._deliver)
        self.schedules: Schedules | None = None
        self.reader = Reader(self.shared.bounds.cluster)
        self.records: deque[Record[bytes, bytes]] = deque()
        self.results: deque[Delivered] = deque()
        self.wake, self.room = asyncio.Event(), asyncio.Event()
        self.room.set()
        self.rules: Rulebook | None = None

    async def run(self) -> None:
        """Own the partition until cancelled. Raises Permanent, and what is a defect of ours."""
        backoff = Backoff(first=0.2, most=10.0)
        while True:
            wait = 0.0
            try:
                await self._live(backoff)
            except (KafkaError, Temporary, OSError) as error:
                wait = FENCED_WAIT_S if fenced(error) else backoff.next()
                tell_failure(self.shared.metrics, self.shared.log, self.number, error, fenced(error))
            finally:
                await self._end()
            await self.shared.bench.clock.sleep(wait)

    def take(self, records: "list[Record[bytes, bytes]]") -> None:
        """Records of this partition, from the reader; those that come while it is not ready are read again later."""
        if self.ready:
            self.records.extend(records)
            self.wake.set()
            if len(self.records) > MOST_WAITING:
                self.room.clear()

    def look_again(self) -> None:
        """Policies, windows or groups may have changed."""
        if self.ready and self.shared.rules() is not self.rules:
            self.wake.set()

    async def _live(self, backoff: Backoff) -> None:
        shared = self.shared
        journal = await open_journal(shared.bootstrap, f"{shared.group}-{self.number}", shared.group)
        try:
            jobs, tasks = await self._load(journal)
            await self._batch(journal)  # controls that nobody has taken in yet hold for what is resumed, too
            backoff.reset()
            self.crew.start(jobs, tasks)
            while True:
                await self._something()
                await self._gather()
                await self._batch(journal)
        finally:
            closing = asyncio.create_task(journal.close())
            self.shared.closing.add(closing)
            closing.add_done_callback(self.shared.closing.discard)

    async def _load(self, journal: Journal) -> tuple[list[Job], list[Task]]:
        """Fill the book, start reading where the last committed batch ended, and say what was under way."""
        committed = await self.consumer.committed(self.control)
        memory = await load(self.shared.bootstrap, self.shared.bounds.cluster, self.number, committed or 0)
        self.book = Book(memory.rows.values(), memory.controls)
        self.crew = Crew(self.shared, self.book, self._world, self._deliver)
        if self.shared.desk and self.number == self._home():
            self.schedules = Schedules(self.shared.bounds.cluster)
        if memory.dead:
            await journal.commit([], memory.dead, {})
        self.records.extend(memory.pending)
        self.consumer.seek(self.control, memory.control_end)
        for place in self.events:
            self.consumer.seek(place, await self.consumer.committed(place) or 0)
        jobs, tasks = self.book.start(self._world()), self.book.resume_tasks(self._world())
        self.ready = True
        self.consumer.resume(*self.places)
        resumed = len(jobs) + len(tasks)
        self.shared.log.info("partition loaded", partition=self.number, rows=len(self.book.rows), resumed=resumed)
        return jobs, tasks

    def _home(self) -> int:
        """The partition that the cluster's own events are on."""
        count = len(self.consumer.partitions_for_topic(TopicName.ALERTS) or ())
        return cluster_partition(self.shared.bounds.cluster, count) if count else -1

    async def _batch(self, journal: Journal) -> None:
        """One transaction over everything that is there; nothing where nothing is."""
        metrics, clock = self.shared.metrics, self.shared.bench.clock
        given = read(self.records, self.reader)
        self.room.set()
        places = {}
        if self.crew.finder:
            places = await self.crew.finder.quickly(unplaced(given, self.book, self._world()))
        began = clock.monotonic()
        outcome = self._step(given, places)
        stepped = clock.monotonic()
        if not (outcome.facts or outcome.rows or given.dead or given.offsets or outcome.jobs or outcome.tasks):
            return
        records = [
            *fact_records(outcome.facts, self.number, clock.now()),
            *row_records(outcome.rows, self.number),
        ]
        await journal.commit(records, given.dead, given.offsets)
        metrics.observe("step_seconds", stepped - began)
        metrics.observe("transaction_seconds", clock.monotonic() - stepped)
        tell_outcome(metrics, self.shared.log, outcome, given.dead)
        self.crew.start(outcome.jobs, outcome.tasks)

    def _step(self, given: Read, places: dict[str, Place]) -> Outcome:
        rules = self.shared.rules()
        changed, self.rules = rules is not self.rules, rules
        declared = self.shared.declared().get
        return take_in(given, self.results, places, self.book, self._world(), declared, self.schedules, changed)

    def _world(self) -> World:
        shared, rules = self.shared, self.shared.rules()
        return World(
            shared.bench.clock.now(), rules.policies, self.book.controls.all(), shared.bounds, rules.index,
            rules.windows, rules.groups, self.book.tally, shared.environment,
        )  # fmt: skip

    def _deliver(self, result: Delivered) -> None:
        self.results.append(result)
        self.wake.set()

    async def _something(self) -> None:
        """Until there is something to do: a record, a result, or a deadline."""
        if self.records or self.results:
            return
        self.wake.clear()
        due = self._next_due()
        waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(self.wake.wait())]
        if due is not None:
            seconds = (due - self.shared.bench.clock.now()).total_seconds()
            waiting.append(asyncio.ensure_future(self.shared.bench.clock.sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in waiting:
                future.cancel()

    def _next_due(self) -> datetime | None:
        times = (self.book.next_due(), self.schedules.next_due() if self.schedules else None)
        return min((time for time in times if time is not None), default=None)

    async def _gather(self) -> None:
        """In a storm, let a batch grow for a moment: a transaction costs as much for one record as for many."""
        if len(self.crew.working) >= BUSY:
            await self.shared.bench.clock.sleep(GATHER_S)

    async def _end(self) -> None:
        """Stop reading and working; whatever is not committed is read or resumed by the next owner."""
        self.ready = False
        assigned = self.consumer.assignment()
        self.consumer.pause(*(place for place in self.places if place in assigned))
        await self.crew.end()
        self._reset()
