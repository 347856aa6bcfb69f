"""One owned partition from assignment to revocation: load, take up what was under way, then batch after batch.

A batch is everything that has come in meanwhile: controls first, then results of workers, drift, and deadlines. It
goes through the book, is committed as one transaction, and only then are its jobs started. There is one way back from
every failure: cancel the workers, drop the book, open the journal anew (which fences whoever else writes here) and
load. A worker that is cancelled leaves its action `in flight` in the ledger, so the next life takes it up again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from schemas.policy import Policy
from schemas.topics import TopicName
from services.kube.baselines import Declared
from services.kube.objects import ObjectKey
from services.reconciler.book import Book, Outcome
from services.reconciler.guards import LAST_MOMENT, Bounds, Denial, Request, first_denial
from services.reconciler.inputs import Job, Result, World
from services.reconciler.journal import Journal, Offsets, fenced, open_journal
from services.reconciler.load import load
from services.reconciler.records import (
    DeadLetter,
    Reader,
    Record,
    control_of,
    drift_input,
    fact_records,
    key_of_target,
    row_records,
)
from services.reconciler.telling import tell_failure, tell_outcome, tell_result
from services.reconciler.worker import Bench, run_action
from services.runtime.backoff import Backoff
from services.runtime.errors import Temporary
from services.runtime.logging import Log
from services.runtime.metrics import Metrics

MOST_RECORDS = 1000  # of one batch: bounds a transaction, and how long the next one waits
MOST_WAITING = 5000  # records read and not yet taken in; the reader waits beyond that
BUSY = 16  # actions under way from which on a batch waits for company
GATHER_S = 0.1
FENCED_WAIT_S = 3.0  # after being fenced: as a rule the group gives the partition to somebody else within that time


@dataclass(frozen=True)
class Shared:
    """What all partitions of a process share."""

    bootstrap: str
    group: str
    bounds: Bounds
    declared: Callable[[], Mapping[ObjectKey, Declared]]
    policies: Callable[[], tuple[Policy, ...]]
    bench: Bench
    metrics: Metrics
    log: Log
    workers: set["asyncio.Task[Any]"] = field(default_factory=set)
    closing: set["asyncio.Task[Any]"] = field(default_factory=set)


class Partition:
    """Owned from the first step of `run` to its end; `ready` while its ledger is in memory and its journal open."""

    def __init__(self, number: int, consumer: AIOKafkaConsumer, shared: Shared) -> None:
        self.number, self.consumer, self.shared = number, consumer, shared
        self.places = tuple(TopicPartition(name, number) for name in (TopicName.CONTROL, TopicName.DRIFT))
        self.ready = False
        self._reset()

    def _reset(self) -> None:
        self.book = Book()
        self.reader = Reader(self.shared.bounds.cluster)
        self.records: deque[Record[bytes, bytes]] = deque()
        self.results: deque[Result] = deque()
        self.offsets: Offsets = {}
        self.workers: set[asyncio.Task[None]] = set()
        self.wake, self.room = asyncio.Event(), asyncio.Event()
        self.room.set()
        self.policies: tuple[Policy, ...] | None = None

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
        """Policies may have changed."""
        if self.ready and self._policies_changed():
            self.wake.set()

    def _policies_changed(self) -> bool:
        current = self.shared.policies()
        return current is not self.policies and current != self.policies

    async def _live(self, backoff: Backoff) -> None:
        shared = self.shared
        journal = await open_journal(shared.bootstrap, f"{shared.group}-{self.number}", shared.group)
        try:
            under_way = await self._load(journal)
            await self._batch(journal)  # controls that nobody has taken in yet hold for what is resumed, too
            backoff.reset()
            self._start(under_way)
            while True:
                await self._something()
                await self._gather()
                await self._batch(journal)
        finally:
            closing = asyncio.create_task(journal.close())
            self.shared.closing.add(closing)
            closing.add_done_callback(self.shared.closing.discard)

    async def _load(self, journal: Journal) -> list[Job]:
        """Fill the book, start reading where the last committed batch ended, and say what was under way."""
        control, drift = self.places
        committed = await self.consumer.committed(control)
        memory = await load(self.shared.bootstrap, self.shared.bounds.cluster, self.number, committed or 0)
        self.book = Book(memory.rows.values(), memory.controls)
        if memory.dead:
            await journal.commit([], memory.dead, {})
        self.records.extend(memory.pending)
        self.consumer.seek(control, memory.control_end)
        self.consumer.seek(drift, await self.consumer.committed(drift) or 0)
        jobs = self.book.start(self._world())
        self.ready = True
        self.consumer.resume(*self.places)
        self.shared.log.info("partition loaded", partition=self.number, rows=len(self.book.rows), resumed=len(jobs))
        return jobs

    async def _batch(self, journal: Journal) -> None:
        """One transaction over everything that is there; nothing where nothing is."""
        metrics, clock = self.shared.metrics, self.shared.bench.clock
        began = clock.monotonic()
        outcome, dead, offsets = self._step()
        stepped = clock.monotonic()
        if not (outcome.facts or outcome.rows or dead or offsets or outcome.jobs):
            return
        records = [
            *fact_records(outcome.facts, self.number, clock.now()),
            *row_records(outcome.rows, self.number),
        ]
        await journal.commit(records, dead, offsets)
        metrics.observe("step_seconds", stepped - began)
        metrics.observe("transaction_seconds", clock.monotonic() - stepped)
        tell_outcome(metrics, self.shared.log, outcome, dead)
        self._start(outcome.jobs)

    def _step(self) -> tuple[Outcome, list[DeadLetter], Offsets]:
        taken = [self.records.popleft() for _ in range(min(len(self.records), MOST_RECORDS))]
        self.room.set()
        outcome, dead, offsets = Outcome(), [], {}
        world = self._world()
        events = []
        for record in taken:
            offsets[TopicPartition(record.topic, record.partition)] = record.offset + 1
            event = self.reader.event(record)
            if isinstance(event, DeadLetter):
                dead.append(event)
            elif record.topic == TopicName.CONTROL:
                world = self.book.control(record.key or b"", control_of(event), world, outcome)
            elif event is not None:
                events.append(event)
        while self.results:
            result = self.results.popleft()
            self.book.take(result.subject, result, world, outcome)
        declared = self.shared.declared()
        for event in events:
            given = drift_input(event, declared.get)
            if given is not None:
                self.book.take(given.data.target.subject, given, world, outcome)
        if self._policies_changed():
            self.policies = world.policies
            self.book.reconsider(world, outcome)
        self.book.due(world, outcome)
        return outcome, dead, offsets

    def _world(self) -> World:
        now = self.shared.bench.clock.now()
        return World(now, self.shared.policies(), self.book.controls.all(), self.shared.bounds)

    async def _something(self) -> None:
        """Until there is something to do: a record, a result, or a deadline."""
        if self.records or self.results:
            return
        self.wake.clear()
        due = self.book.next_due()
        waiting: list[asyncio.Future[Any]] = [asyncio.ensure_future(self.wake.wait())]
        if due is not None:
            seconds = (due - self.shared.bench.clock.now()).total_seconds()
            waiting.append(asyncio.ensure_future(self.shared.bench.clock.sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in waiting:
                future.cancel()

    async def _gather(self) -> None:
        """In a storm, let a batch grow for a moment: a transaction costs as much for one record as for many."""
        if len(self.workers) >= BUSY:
            await self.shared.bench.clock.sleep(GATHER_S)

    def _start(self, jobs: list[Job]) -> None:
        for job in jobs:
            worker = asyncio.create_task(self._work(job))
            for group in (self.workers, self.shared.workers):
                group.add(worker)
                worker.add_done_callback(group.discard)
        self.shared.metrics.set("actions_in_flight", len(self.shared.workers))

    async def _work(self, job: Job) -> None:
        declared = self.shared.declared().get(key_of_target(job.target))
        result = await run_action(job, declared, self._gate, self.shared.bench)
        tell_result(self.shared.metrics, result)
        self.results.append(result)
        self.wake.set()

    def _gate(self, job: Job) -> Denial | None:
        """What a person may have said since the decision."""
        row = self.book.rows.get(job.target.subject)
        policy = next((policy for policy in self.shared.policies() if policy.name == job.action.policy), None)
        if row is None or row.drift is None or policy is None:
            return None
        world = self._world()
        return first_denial(LAST_MOMENT, Request(row, row.drift, policy, world.controls, world.bounds, world.now))

    async def _end(self) -> None:
        """Stop reading and working; whatever is not committed is read or resumed by the next owner."""
        self.ready = False
        assigned = self.consumer.assignment()
        self.consumer.pause(*(place for place in self.places if place in assigned))
        for worker in self.workers:
            worker.cancel()
        await asyncio.gather(*self.workers, return_exceptions=True)
        self._reset()
