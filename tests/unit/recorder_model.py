"""A broker's partition and an engine in memory, which can be made to end the recorder at any of their calls.

The engine does what a MergeTree with a deduplication window does, its known defect included: it may die between writing
its deduplication log and the part, and then acknowledges the repeated insert without keeping it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aiokafka.errors import CommitFailedError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition

from services.recorder.opening import NO_OFFSET
from services.recorder.tables import EVENTS, TABLES, Row, Table, key_of
from services.runtime.errors import Temporary
from tests.recording import NOON, change

YOUNG = int(NOON.timestamp() * 1000)
PARTITION = TopicPartition("setpoint-changes", 0)


class Fault(Enum):
    """What happens at one call."""

    NONE = "works"
    BEFORE = "the process dies before the call has an effect"
    AFTER = "the process dies after the call had its effect, before the answer"
    LOGGED = "the engine dies with the token in its log and no part; the process with it"
    REFUSED = "the engine answers with an error and did nothing"
    UNSURE = "the engine did it and answers with an error"
    FENCED = "the group has moved on: a commit is refused, and the process starts a new life"


class Dead(BaseException):
    """The recorder's process is gone."""


@dataclass
class Faults:
    """Dealt out one a call; when there are none left, everything works."""

    plan: list[Fault] = field(default_factory=list)

    def next(self) -> Fault:
        return self.plan.pop(0) if self.plan else Fault.NONE


@dataclass
class Engine:
    """Tables and their deduplication logs; it outlives the recorder."""

    faults: Faults
    rows: dict[str, list[Row]] = field(default_factory=dict)
    tokens: set[tuple[str, str]] = field(default_factory=set)

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        fault = self.faults.next()
        if fault in (Fault.BEFORE, Fault.FENCED):
            raise Dead
        if fault is Fault.REFUSED:
            raise Temporary("away")
        known = (table.name, token) in self.tokens
        self.tokens.add((table.name, token))
        if fault is Fault.LOGGED and not known:
            raise Dead
        if not known:
            self.rows.setdefault(table.name, []).extend(rows)
        if fault is Fault.UNSURE:
            raise Temporary("the connection broke")
        if fault is not Fault.NONE:
            raise Dead

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        """Only what `keep` and `replay` ask."""
        assert parameters is not None
        if "max(kafka_offset)" in sql:
            offsets = [row[EVENTS.columns.index("kafka_offset")] for row in self.rows.get("events", [])]
            return [(PARTITION.topic, 0, max(offsets))] if offsets else []
        if self.faults.next() in (Fault.REFUSED, Fault.UNSURE):
            raise Temporary("away")
        table = next(table for table in TABLES if f"FROM {table.name} " in sql)
        span = range(parameters["first"], parameters["last"] + 1)
        return [
            key_of(table, row)
            for row in self.rows.get(table.name, [])
            if row[table.columns.index("kafka_offset")] in span
        ]

    async def command(self, sql: str) -> None:
        raise AssertionError("the loop runs no commands")


@dataclass
class Log:
    """One partition of a broker, with the group's commit."""

    faults: Faults
    records: list["ConsumerRecord[bytes, bytes]"]
    commit: OffsetAndMetadata = field(default_factory=lambda: OffsetAndMetadata(NO_OFFSET, ""))


class Consumer:
    """One life of a consumer on the log: as much of aiokafka's as the session and the replay use."""

    def __init__(self, log: Log, chunk: int) -> None:
        self.log = log
        self.chunk = chunk
        self.at = 0

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {PARTITION: 0}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {PARTITION: self.log.records[-1].offset + 1}

    async def list_consumer_group_offsets(
        self, group: str, partitions: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        return {PARTITION: self.log.commit}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.at = offset

    async def position(self, partition: TopicPartition) -> int:
        return self.at

    async def getmany(self, *partitions: TopicPartition, **_: Any) -> dict[TopicPartition, list[Any]]:
        found = [record for record in self.log.records if record.offset >= self.at][: self.chunk]
        if found:
            self.at = found[-1].offset + 1
        return {PARTITION: found} if found else {}

    async def commit(self, commits: dict[TopicPartition, OffsetAndMetadata]) -> None:
        fault = self.log.faults.next()
        if fault is Fault.FENCED:
            raise CommitFailedError
        if fault in (Fault.BEFORE, Fault.REFUSED, Fault.LOGGED):
            raise Dead
        self.log.commit = commits[PARTITION]
        if fault is not Fault.NONE:
            raise Dead


def records(offsets: Sequence[int], tombstones: frozenset[int]) -> list["ConsumerRecord[bytes, bytes]"]:
    """Records at these offsets; gaps between them are transaction markers and what compaction took."""
    made = []
    for offset in offsets:
        value = None if offset in tombstones else change("east", offset).value
        made.append(ConsumerRecord(PARTITION.topic, 0, offset, YOUNG, 0, b"k", value, 0, 1, len(value or b""), ()))
    return made
