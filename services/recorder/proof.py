"""Prove that the record is complete: what the topics hold against what ClickHouse holds, offset by offset.

Offsets alone prove nothing, since transaction markers and compaction leave legal gaps; so the topics are read. Only
records that the recorder has passed are compared; what is behind its commit is lag, not loss. What could not be read
stands in the dead letters instead of the tables; their own topic is recorded, and proved, like the others.
The hourly numbers are proved against the rows that they were counted from, up to now.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import RECORDER_READS, TopicName
from services.recorder.deadletters import buried
from services.recorder.intents import Span
from services.recorder.letters import had_before, origin_of
from services.recorder.queries import offsets_between
from services.recorder.reader import Reader
from services.recorder.rollups import ROLLUPS, Cut, Difference, differences, kept_since
from services.recorder.samples_tables import BLOCKS
from services.recorder.store import Store
from services.recorder.tables import EVENTS
from services.runtime.clock import Sleep
from services.runtime.kafka import admin, make_consumer, started

CHUNK = 50_000
LOOKS, BETWEEN_LOOKS_S = 6, 0.3


class Proof(NamedTuple):
    """One partition. `records` were read from the topic; `missing` and `doubled` are counts of offsets, `lag` of
    records that are not recorded yet. `gaps` are the missing ones: between the ends of one, no record was kept."""

    topic: str
    partition: int
    records: int
    missing: int
    doubled: int
    lag: int
    gaps: tuple[Span, ...] = ()


async def prove(bootstrap: str, reader: Reader, group: str, newest: int) -> list[Proof]:
    """Every partition of every recorded topic; of each at most the `newest` offsets. Raises Temporary, Permanent."""
    consumer = make_consumer(bootstrap, client_id="setpoint-doctor", fetch_max_wait_ms=100)
    async with started(admin(bootstrap)) as client, started(consumer):
        found = await client.describe_topics([str(name) for name in RECORDER_READS])
        partitions = [
            TopicPartition(entry["topic"], part["partition"]) for entry in found for part in entry["partitions"]
        ]
        broker = str((await client.describe_cluster())["cluster_id"])
        committed = await client.list_consumer_group_offsets(group, partitions=partitions)
        ends = await consumer.end_offsets(partitions)
        begins = await consumer.beginning_offsets(partitions)
        dead = await _dead_letters(consumer)
        proofs = []
        for partition in partitions:
            passed = max(committed[partition].offset if partition in committed else 0, begins[partition])
            begin = max(begins[partition], passed - newest)
            found_now = await _offsets(consumer, partition, begin, ends[partition])
            expected = {offset for offset in found_now if offset < passed} - dead.get(partition, set())
            rows = await _rows(reader, broker, partition, begin, passed)
            proofs.append(_proof(partition, expected, rows, sum(offset >= passed for offset in found_now)))
        return proofs


def _proof(partition: TopicPartition, expected: set[int], rows: dict[int, int], lag: int) -> Proof:
    missing = sorted(expected - rows.keys())
    doubled = sum(count > 1 for count in rows.values())
    gaps = tuple(spans(expected, missing))
    return Proof(partition.topic, partition.partition, len(expected), len(missing), doubled, lag, gaps)


def spans(expected: Collection[int], missing: Sequence[int]) -> list[Span]:
    """Missing offsets, in order, as spans: those with no record between them that is there are one."""
    gaps: list[Span] = []
    lost, open_at = set(missing), False
    for offset in sorted(expected) if missing else ():
        if offset in lost:
            gaps[-1:] = [Span(gaps[-1].first, offset)] if open_at else [*gaps[-1:], Span(offset, offset)]
        open_at = offset in lost
    return gaps


async def prove_rollups(store: Store, since: timedelta, sleep: Sleep = asyncio.sleep) -> list[Difference]:
    """Hours of that time, the running one too, in which a roll-up has other numbers than its rows.

    Rows and numbers of an insert are not there at once, so that hours that are being written may differ for a moment:
    only those are named that differ at every look. Raises Temporary, Permanent.
    """
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    cut = Cut(await kept_since(store), since=hour - since)
    return [entry for rollup in ROLLUPS for entry in await _lasting(store, rollup, cut, sleep)]


async def _lasting(store: Store, rollup: str, cut: Cut, sleep: Sleep) -> list[Difference]:
    found = await differences(store, rollup, cut)
    for _ in range(LOOKS - 1):
        if not found:
            break
        await sleep(BETWEEN_LOOKS_S)
        hours = tuple(sorted({entry.hour for entry in found}))
        again = await differences(store, rollup, replace(cut, hours=hours))
        before = {(entry.hour, entry.place) for entry in found}
        found = [entry for entry in again if (entry.hour, entry.place) in before]
    return found


async def _rows(reader: Reader, broker: str, partition: TopicPartition, begin: int, end: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for first in range(begin, end, CHUNK):
        last = min(first + CHUNK, end) - 1
        table = BLOCKS if partition.topic == TopicName.SAMPLES else EVENTS
        query = offsets_between(broker, partition.topic, partition.partition, first, last, table.name)
        found.update({int(row["kafka_offset"]): int(row["rows"]) for row in await reader.rows(query)})
    return found


async def _dead_letters(consumer: AIOKafkaConsumer) -> dict[TopicPartition, set[int]]:
    """Where the records came from that could not be read."""
    found: dict[TopicPartition, set[int]] = defaultdict(set)
    async for record in buried(consumer):
        origin = origin_of(record.headers)
        if origin is not None:
            found[TopicPartition(origin[0], origin[1])].add(origin[2])
    return found


async def _offsets(consumer: AIOKafkaConsumer, partition: TopicPartition, begin: int, end: int) -> set[int]:
    """Offsets of the records that must have rows; tombstones have none, nor what was recorded before it came back."""
    found: set[int] = set()
    if begin >= end:
        return found
    consumer.assign([partition])
    consumer.seek(partition, begin)
    while await consumer.position(partition) < end:
        for records in (await consumer.getmany(partition, timeout_ms=1000, max_records=5000)).values():
            found.update(
                record.offset
                for record in records
                if record.value is not None and record.offset < end and not had_before(record)
            )
    return found
