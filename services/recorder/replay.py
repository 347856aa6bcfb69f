"""Open freshly assigned partitions: what an earlier owner announced and may not have finished is inserted first.

The group's commits are read after the assignment, so no older owner can write another one: its generation is over.
"""

from aiokafka.structs import OffsetAndMetadata, TopicPartition

from services.recorder.batches import Portion
from services.recorder.intents import Span
from services.recorder.opening import NO_OFFSET, Held, Opening, plan
from services.recorder.parts import Parts
from services.recorder.reading import Reading
from services.recorder.session import Session

POLL_MS = 500


class Stale(Exception):
    """The group moved on while we were at it; whoever owns the partition now does the same again."""


async def open_partitions(session: Session, reading: Reading) -> None:
    """Replay every open intent and set every position. Raises Stale when the session was closed meanwhile."""
    parts, partitions = session.parts, sorted(session.partitions)
    if not partitions:
        return
    commits = await parts.admin.list_consumer_group_offsets(parts.group, partitions=partitions)
    begins = await parts.consumer.beginning_offsets(partitions)
    ends = await parts.consumer.end_offsets(partitions)
    for partition in partitions:
        commit = commits.get(partition, OffsetAndMetadata(NO_OFFSET, ""))
        opening = plan(commit.offset, commit.metadata, Held(begins[partition], ends[partition]))
        _report(parts, partition, opening)
        if opening.replay:
            await _replay(session, reading, partition, opening.replay, begins[partition])
        _check(session)
        parts.consumer.seek(partition, opening.start)


async def _replay(session: Session, reading: Reading, partition: TopicPartition, span: Span, begin: int) -> None:
    """Form the announced span again, record for record, and leave exactly its rows in the engine."""
    parts = session.parts
    portion = Portion(first=span.first, last=span.first - 1)
    parts.consumer.seek(partition, max(span.first, begin))
    while await parts.consumer.position(partition) <= span.last:
        parts.health.beat("loop", within=60)
        polled = await parts.consumer.getmany(partition, timeout_ms=POLL_MS)
        _check(session)
        announced = [record for record in polled.get(partition, []) if record.offset in span]
        if announced:
            portion.append(await reading.read(session.place(partition), announced))
    portion.last = span.last
    await session.insist(partition, portion)
    _check(session)
    await session.commit({partition: OffsetAndMetadata(span.last + 1, "")})
    parts.metrics.inc("replays_total")
    parts.log.info("took up an open intent", topic=partition.topic, partition=partition.partition, span=str(span))


def _check(session: Session) -> None:
    if session.closed:
        raise Stale


def _report(parts: Parts, partition: TopicPartition, opening: Opening) -> None:
    where = {"topic": partition.topic, "partition": partition.partition}
    if opening.recreated:
        parts.log.error("the topic is shorter than what was read of it: made anew? Reading from its start", **where)
    if opening.lost:
        parts.log.error("the broker dropped records that were not recorded yet", lost=str(opening.lost), **where)
