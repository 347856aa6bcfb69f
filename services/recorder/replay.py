"""Open freshly assigned partitions: what an earlier owner announced and may not have finished is inserted first.

The group's commits are read after the assignment, so no older owner can write another one: its generation is over.
"""

from collections.abc import Sequence

from aiokafka.structs import OffsetAndMetadata, TopicPartition

from services.recorder.batches import Portion
from services.recorder.intents import Span
from services.recorder.opening import NO_OFFSET, Held, plan
from services.recorder.parts import Parts
from services.recorder.reading import Reading
from services.recorder.session import Commits, Session
from services.runtime.errors import Permanent

POLL_MS = 500
NONE = OffsetAndMetadata(NO_OFFSET, "")
HIGHEST = (
    "SELECT topic, kafka_partition, max(kafka_offset) FROM recorded_offsets WHERE broker = {broker:String} "
    "GROUP BY topic, kafka_partition"
)


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
    known = await _recorded(parts, partitions, commits)
    for partition in partitions:
        commit = commits.get(partition, NONE)
        held = Held(begins[partition], ends[partition])
        try:
            opening = plan(commit.offset, commit.metadata, held, known.get(partition))
        except Permanent as error:
            raise Permanent(f"{partition.topic}:{partition.partition}: {error.message}", error.fix) from error
        if opening.lost:
            parts.log.error(
                "the broker dropped records that were not recorded yet",
                topic=partition.topic,
                partition=partition.partition,
                lost=str(opening.lost),
            )
        if opening.replay:
            await _replay(session, reading, partition, opening.replay, begins[partition])
        _check(session)
        parts.consumer.seek(partition, opening.start)


async def _recorded(parts: Parts, partitions: Sequence[TopicPartition], commits: Commits) -> dict[TopicPartition, int]:
    """The highest recorded offset of every partition; asked only when the group has no commit for one of them."""
    if all(commits.get(partition, NONE).offset != NO_OFFSET for partition in partitions):
        return {}
    rows = await parts.store.query(HIGHEST, {"broker": parts.broker})
    return {TopicPartition(topic, number): offset for topic, number, offset in rows}


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
            portion.append(await reading.read(session.place(partition), announced, session.seen))
    portion.last = span.last
    await session.insist(partition, portion)
    _check(session)
    await session.commit({partition: OffsetAndMetadata(span.last + 1, "")})
    parts.metrics.inc("replays_total")
    parts.log.info("took up an open intent", topic=partition.topic, partition=partition.partition, span=str(span))


def _check(session: Session) -> None:
    if session.closed:
        raise Stale
