"""One assignment's life: its batches, and the writer that takes them to the engine.

The order is the whole point: intent committed, then inserted, then passed. A commit is refused when the group has moved
on, and then nothing is inserted, so a stopped owner that wakes up late cannot do harm. The commit that passes one span
also carries the next intent, where there is one already.

A session never outlives its assignment: aiokafka would send an old session's commit under the new generation, where
the broker cannot tell that the partition is not ours any more. `close` therefore ends the writer before the group is
joined again.
"""

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka.structs import OffsetAndMetadata, TopicPartition

from schemas.topics import TopicName
from services.recorder.batches import Batch, Limits, Portion, of_one_round, too_much
from services.recorder.intents import Place, encode
from services.recorder.keep import insert_rows, keep
from services.recorder.parts import Parts
from services.recorder.samples import Seen
from services.recorder.samples_tables import weight
from services.runtime.backoff import Backoff
from services.runtime.errors import Temporary

BEHIND = 100
"""So many records are left to read when the recorder counts as behind; less is markers and the newest few."""

LEISURELY = frozenset({TopicName.SAMPLES})
"""Come in large blocks all the time: small inserts would only make parts to be merged."""

Commits = dict[TopicPartition, OffsetAndMetadata]


class Session:
    """Made when partitions are assigned; closed when they are revoked."""

    def __init__(self, partitions: Iterable[TopicPartition], parts: Parts, limits: Limits) -> None:
        self.partitions = frozenset(partitions)
        self.parts = parts
        self.limits = limits
        self.opened = False
        self.closed = False
        self.draining = False
        self.rested = 0.0  # when the engine will have had its rest, on the monotonic clock
        self.waiting: dict[TopicPartition, Batch] = {}
        self.writing: dict[TopicPartition, Portion] = {}
        self.behind: dict[TopicPartition, int] = {}
        self.news = asyncio.Event()
        self.room = asyncio.Event()
        self.writer: asyncio.Task[None] | None = None
        self.seen = Seen()

    def place(self, partition: TopicPartition) -> Place:
        """The partition as tokens and rows name it."""
        return Place(self.parts.broker, partition.topic, partition.partition)

    def start(self) -> None:
        """Everything was replayed: from now on batches are written."""
        self.opened = True
        self.writer = asyncio.create_task(self._write(), name="recorder-writer")

    def add(self, partition: TopicPartition, portion: Portion, behind: int) -> None:
        """Take a poll's records of one partition; `behind` more are on the broker."""
        self.behind[partition] = behind
        batch = self.waiting.get(partition)
        if batch is None:
            batch = self.waiting[partition] = Batch(portion, born=self.parts.clock.monotonic())
        else:
            batch.portion.append(portion)
        batch.caught_up = behind <= BEHIND and partition.topic not in LEISURELY
        self.news.set()

    def lag(self, topic: str) -> int:
        """Records of a topic's own partitions that were not read yet, as of the last poll."""
        return sum(behind for partition, behind in self.behind.items() if partition.topic == topic)

    def topics(self) -> set[str]:
        """Those that anything was read of."""
        return {partition.topic for partition in self.behind}

    def full(self) -> bool:
        """True when reading must wait for the writer; `room` is set once it has written something."""
        self.room.clear()
        return too_much(self._portions(), self.limits)

    def buffered(self) -> int:
        """Records read and not yet passed."""
        return sum(portion.records for portion in self._portions())

    def _portions(self) -> list[Portion]:
        return [*(batch.portion for batch in self.waiting.values()), *self.writing.values()]

    async def close(self, grace: float, *, drain: bool = False) -> None:
        """End the writer: let it finish what it inserts (with `drain`, everything it has), at most `grace` seconds.

        What is not finished is replayed by the next owner. Raises what the writer failed with.
        """
        self.closed, self.draining = True, drain
        self.news.set()
        if self.writer is None:
            return
        done, _ = await asyncio.wait({self.writer}, timeout=grace)
        if done:
            self.writer.result()
        else:
            self.writer.cancel()
            await asyncio.wait({self.writer})

    async def commit(self, commits: Commits) -> None:
        """Explicit offsets of this session's own partitions. Raises aiokafka's errors when the group has moved on."""
        if commits:
            await self.parts.consumer.commit(commits)

    async def _write(self) -> None:
        passed: Commits = {}
        while True:
            due = self._take()
            if due or passed:
                await self.commit({**passed, **intents(due)})
                passed = {}
            elif self.closed:
                return
            else:
                await self._wait()
            started = self.parts.clock.monotonic()
            for partition, portion in due.items():
                await self._insert(partition, portion)
                passed[partition] = OffsetAndMetadata(portion.last + 1, "")
                del self.writing[partition]
                self.room.set()
            ended = self.parts.clock.monotonic()
            if not any(portion.full(self.limits) for portion in due.values()):
                self.rested = max(self.rested, ended + self.limits.rests * (ended - started))

    def _take(self) -> dict[TopicPartition, Portion]:
        if self.closed and not self.draining:
            return {}
        now = self.parts.clock.monotonic()
        if not self.draining and not any(batch.due(now, self.limits, self.rested) for batch in self.waiting.values()):
            return {}
        ready = {
            partition: batch
            for partition, batch in self.waiting.items()
            if self.draining or batch.due(now, self.limits, self.rested) or batch.soon(now, self.limits, self.rested)
        }
        chosen = list(ready) if self.draining else of_one_round(ready, self.limits)
        due = {partition: self.waiting.pop(partition).portion for partition in chosen}
        self.writing = dict(due)
        return due

    async def _wait(self) -> None:
        """Until news, or the age of the oldest batch."""
        self.news.clear()
        ages = [batch.due_at(self.limits, self.rested) for batch in self.waiting.values()]
        timeout = max(0.001, min(ages) - self.parts.clock.monotonic()) if ages else None
        try:
            await asyncio.wait_for(self.news.wait(), timeout)
        except TimeoutError:
            return

    async def _insert(self, partition: TopicPartition, portion: Portion) -> None:
        """Insert, again and again while ClickHouse is away; after a failure believe nothing and check."""
        if not portion.row_count:
            return
        parts, started = self.parts, self.parts.clock.monotonic()
        try:
            await insert_rows(parts.store, self.place(partition), portion.span, portion.rows)
        except Temporary as error:
            await self.insist(partition, portion, error)
        written = sum(weight(table, rows) for table, rows in portion.rows.items())
        parts.wrote(partition.topic, written, parts.clock.monotonic() - started)

    async def insist(self, partition: TopicPartition, portion: Portion, error: Temporary | None = None) -> None:
        """Leave exactly this portion's rows in the engine, however long it takes. `error` is what went wrong before."""
        parts, backoff = self.parts, Backoff(first=0.2, most=10.0)
        while True:
            if error is not None:
                parts.failed(error)
                await parts.clock.sleep(backoff.next())
            try:
                repaired = await keep(parts.store, self.place(partition), portion.span, portion.rows, parts.clock)
            except Temporary as another:
                error = another
                continue
            parts.kept(repaired)
            return


def intents(due: Mapping[TopicPartition, Portion]) -> Commits:
    """The commits that announce these inserts. A portion without rows needs none: it is passed right away."""
    return {
        partition: OffsetAndMetadata(portion.first, encode(portion.span))
        for partition, portion in due.items()
        if portion.row_count
    }
