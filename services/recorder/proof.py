"""Prove that the record is complete: what the topics hold against what ClickHouse holds, offset by offset.

Offsets alone prove nothing, since transaction markers and compaction leave legal gaps; so the topics are read. Only
records that the recorder has passed are compared; what is behind its commit is lag, not loss. What could not be read
stands in the dead letters instead of the tables.
"""

from collections import defaultdict
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import RECORDED, TopicName
from services.recorder.queries import offsets_between
from services.recorder.reader import Reader
from services.runtime.kafka import admin, make_consumer, started

CHUNK = 50_000


class Proof(NamedTuple):
    """One partition. `records` were read from the topic; `missing` and `doubled` are counts of offsets, `lag` of
    records that are not recorded yet."""

    topic: str
    partition: int
    records: int
    missing: int
    doubled: int
    lag: int
    first_missing: int | None


async def prove(bootstrap: str, reader: Reader, group: str, newest: int) -> list[Proof]:
    """Every partition of every recorded topic; of each at most the `newest` offsets. Raises Temporary, Permanent."""
    consumer = make_consumer(bootstrap, client_id="setpoint-doctor", fetch_max_wait_ms=100)
    async with started(admin(bootstrap)) as client, started(consumer):
        found = await client.describe_topics([str(name) for name in RECORDED])
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
    first = missing[0] if missing else None
    return Proof(partition.topic, partition.partition, len(expected), len(missing), doubled, lag, first)


async def _rows(reader: Reader, broker: str, partition: TopicPartition, begin: int, end: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for first in range(begin, end, CHUNK):
        query = offsets_between(broker, partition.topic, partition.partition, first, min(first + CHUNK, end) - 1)
        found.update({int(row["kafka_offset"]): int(row["rows"]) for row in await reader.rows(query)})
    return found


async def _dead_letters(consumer: AIOKafkaConsumer) -> dict[TopicPartition, set[int]]:
    """Where the records came from that could not be read."""
    found: dict[TopicPartition, set[int]] = defaultdict(set)
    place = TopicPartition(TopicName.DEAD_LETTER, 0)
    consumer.assign([place])
    end = (await consumer.end_offsets([place]))[place]
    await consumer.seek_to_beginning(place)
    while await consumer.position(place) < end:
        for records in (await consumer.getmany(place, timeout_ms=1000)).values():
            for record in records:
                headers = {name: value.decode() for name, value in record.headers if name.startswith("original-")}
                source = TopicPartition(headers["original-topic"], int(headers["original-partition"]))
                found[source].add(int(headers["original-offset"]))
    return found


async def _offsets(consumer: AIOKafkaConsumer, partition: TopicPartition, begin: int, end: int) -> set[int]:
    """Offsets of the records that must have rows; tombstones have none."""
    found: set[int] = set()
    if begin >= end:
        return found
    consumer.assign([partition])
    consumer.seek(partition, begin)
    while await consumer.position(partition) < end:
        for records in (await consumer.getmany(partition, timeout_ms=1000, max_records=5000)).values():
            found.update(record.offset for record in records if record.value is not None and record.offset < end)
    return found
