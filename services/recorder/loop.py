"""The recorder's loop: poll, make rows, hand them to the session's writer; and the group's comings and goings.

Reading and inserting overlap: the writer inserts in a thread while the loop reads on, until memory's limit. When the
writer cannot go on (ClickHouse is away), the loop does not poll. That is all a pause takes: aiokafka's heartbeats come
from a task of their own, and `MAX_POLL_INTERVAL_MS` keeps it from leaving the group for that.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from aiokafka import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import TopicPartition

from schemas.topics import RECORDER_READS
from services.recorder.batches import Limits
from services.recorder.healing import heal
from services.recorder.parts import Parts
from services.recorder.reading import Reading
from services.recorder.replay import Stale, open_partitions
from services.recorder.session import Session

MAX_POLL_INTERVAL_MS = 2**31 - 1
POLL_MS = 500
MAX_RECORDS = 1000
HANDOVER_S = 5.0
DRAIN_S = 10.0
MOVED_ON = (CommitFailedError, IllegalStateError, Stale)


class Loop(ConsumerRebalanceListener):
    """One consumer's work until `stop`."""

    def __init__(self, parts: Parts, reading: Reading, limits: Limits) -> None:
        self.parts = parts
        self.reading = reading
        self.limits = limits
        self.session: Session | None = None
        self.held: frozenset[TopicPartition] = frozenset()
        parts.health.require("assignment", lambda: None if self._opened() else "no partitions are taken up yet")
        parts.health.require("clickhouse", lambda: parts.problem)

    async def run(self, stop: asyncio.Event) -> None:
        """Read and record until `stop`, then write what was read. Raises Permanent past the dead letters' limit."""
        self.parts.consumer.subscribe([str(topic) for topic in RECORDER_READS], listener=self)
        try:
            while not stop.is_set():
                self.parts.health.beat("loop", within=60)
                await self._round(stop)
        except BaseException:
            await self._close(HANDOVER_S)
            raise
        await self._close(DRAIN_S, drain=True)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the writer finish its insert, and forget the rest: the next owner reads it again."""
        await self._close(HANDOVER_S)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Start anew; the loop opens the partitions before it reads them."""
        self.session = Session(assigned, self.parts, self.limits)

    async def _round(self, stop: asyncio.Event) -> None:
        session = self.session
        if session is not None and not session.closed:
            if not session.opened:
                return await self._open(session, stop)
            if session.writer is not None and session.writer.done():
                return self._writer_ended(session, session.writer)
            if session.full():
                await _unless(stop, _within(1.0, session.room))
                return
        polled = await _unless(stop, self.parts.consumer.getmany(timeout_ms=POLL_MS, max_records=MAX_RECORDS))
        if session is None or session.closed or session is not self.session:
            return  # what was polled belongs to nobody; opening sets the position back
        for partition, records in (polled or {}).items():
            await self._take(session, partition, records)
        self.parts.metrics.set("buffered_rows", session.buffered())

    async def _open(self, session: Session, stop: asyncio.Event) -> None:
        try:
            await _unless(stop, self._take_up(session))
        except MOVED_ON:
            session.closed = True
            return
        if not stop.is_set() and not session.closed:
            session.start()
            self.parts.log.info("recording", partitions=len(session.partitions))

    async def _take_up(self, session: Session) -> None:
        await open_partitions(session, self.reading)
        places = {session.place(partition) for partition in session.partitions - self.held}
        self.parts.counted_again(await heal(self.parts.store, places, self.parts.clock))
        self.held = session.partitions

    async def _take(self, session: Session, partition: TopicPartition, records: list[Any]) -> None:
        portion = await self.reading.read(session.place(partition), records, session.seen)
        end = self.parts.consumer.last_stable_offset(partition) or 0
        session.add(partition, portion, behind=max(0, end - 1 - portion.last))
        self.parts.metrics.set("record_lag", session.lag(partition.topic), topic=partition.topic)

    def _writer_ended(self, session: Session, writer: "asyncio.Task[None]") -> None:
        """Raises what it failed with, unless that only says that the group has moved on."""
        session.closed = True
        try:
            writer.result()
        except MOVED_ON as error:
            self.parts.log.info("the group moved on; what was not passed is read again", error=type(error).__name__)

    async def _close(self, grace: float, *, drain: bool = False) -> None:
        session, self.session = self.session, None
        if session is None:
            return
        for topic in session.topics():  # its next owner tells its lag
            self.parts.metrics.set("record_lag", 0, topic=topic)
        try:
            await session.close(grace, drain=drain)
        except MOVED_ON:
            self.parts.log.info("the group moved on; what was not passed is read again")

    def _opened(self) -> bool:
        return self.session is not None and self.session.opened and not self.session.closed


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, Any]) -> Any:
    """The work's result; None, with the work cancelled, when `stop` comes first."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        stopped.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
