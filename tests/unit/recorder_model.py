"""A broker's partition and an engine in memory, which can be made to end the recorder at any of their calls.

The engine does what a MergeTree with a deduplication window does, its known defect included: it may die between writing
its deduplication log and the part, and then acknowledges the repeated insert without keeping it. It fills its roll-ups
after the table, one by one, each with a log of its own and with the same defect.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

import orjson
from aiokafka.errors import CommitFailedError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition

from services.recorder.opening import NO_OFFSET
from services.recorder.tables import EVENTS, TABLES, Row, Table, key_of
from services.runtime.errors import Temporary
from tests.recording import NOON, change

YOUNG = int(NOON.timestamp() * 1000)
HALF_AN_HOUR_MS = 30 * 60 * 1000
PARTITION = TopicPartition("setpoint-changes", 0)


class Fault(Enum):
    """What happens at one call."""

    NONE = "works"
    BEFORE = "the process dies before the call has an effect"
    AFTER = "the process dies after the call had its effect, before the answer"
    LOGGED = "the engine dies with the token in its log and no part; the process with it"
    REFUSED = "the engine answers with an error and did nothing"
    UNSURE = "the engine did it and answers with an error"
    BETWEEN = "the engine dies with the rows kept and no numbers of them in the roll-ups; the process with it"
    UNSURE_BETWEEN = "the same, and the process lives: the engine is back at once, and the call ended with an error"
    NUMBERS_LOGGED = "the engine dies with the token in a roll-up's log and no part of it; the process with it"
    LATE = "the process dies; the engine takes the insert all the same, but some calls later"
    FENCED = "the group has moved on: a commit is refused, and the process starts a new life"


class Dead(BaseException):
    """The recorder's process is gone."""


@dataclass
class Faults:
    """Dealt out one a call; when there are none left, everything works."""

    plan: list[Fault] = field(default_factory=list)

    def next(self) -> Fault:
        return self.plan.pop(0) if self.plan else Fault.NONE


ROLLUPS = ("events_hourly", "delay_hourly")
"""Those that every event counts in; changes have no durations."""
DIES = {Fault.BETWEEN, Fault.NUMBERS_LOGGED, Fault.LOGGED, Fault.AFTER}
ENGINE_DIES = {Fault.LOGGED, Fault.BETWEEN, Fault.UNSURE_BETWEEN, Fault.NUMBERS_LOGGED}
LATE_BY = 4
OFFSET, PAYLOAD = EVENTS.columns.index("kafka_offset"), EVENTS.columns.index("payload")


def hour_of(row: Row) -> datetime:
    """The hour that an event counts in."""
    time = datetime.fromisoformat(orjson.loads(row[PAYLOAD])["time"])
    return time.replace(minute=0, second=0, microsecond=0)


@dataclass
class Engine:
    """Tables, roll-ups and their deduplication logs; it outlives the recorder."""

    faults: Faults
    rows: dict[str, list[Row]] = field(default_factory=dict)
    numbers: dict[str, Counter[datetime]] = field(default_factory=lambda: {name: Counter() for name in ROLLUPS})
    tokens: set[tuple[str, str]] = field(default_factory=set)
    late: list[tuple[Table, Sequence[Row], str]] = field(default_factory=list)
    calls: int = 0

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        fault = self._fault()
        if fault is Fault.LATE:
            self.late.append((table, rows, token))
        if fault in (Fault.BEFORE, Fault.FENCED, Fault.LATE):
            raise Dead
        if fault is Fault.REFUSED:
            raise Temporary("away")
        self._take(table, rows, token, fault)
        if fault in (Fault.UNSURE, Fault.UNSURE_BETWEEN):
            raise Temporary("the connection broke")
        if fault in DIES:
            raise Dead

    def catch_up(self) -> None:
        """What a stopped recorder sent and nobody waited for arrives now."""
        late, self.late = self.late, []
        for table, rows, token in late:
            self._take(table, rows, token, Fault.NONE)

    def _fault(self) -> Fault:
        """The next call's; what is late arrives before it, or dies with the engine."""
        self.calls += 1
        if self.calls % LATE_BY == 0:
            self.catch_up()
        fault = self.faults.next()
        if fault in ENGINE_DIES:
            self.late.clear()
        return fault

    def _take(self, table: Table, rows: Sequence[Row], token: str, fault: Fault) -> None:
        if self._new(table.name, token):
            if fault is Fault.LOGGED:
                raise Dead
            self.rows.setdefault(table.name, []).extend(rows)
        if table is EVENTS:
            self._count(rows, token, fault)

    def _new(self, name: str, token: str) -> bool:
        known = (name, token) in self.tokens
        self.tokens.add((name, token))
        return not known

    def _count(self, rows: Sequence[Row], token: str, fault: Fault) -> None:
        if fault in (Fault.BETWEEN, Fault.UNSURE_BETWEEN):
            return
        for name in ROLLUPS:
            if self._new(name, token):
                if fault is Fault.NUMBERS_LOGGED:
                    return
                self.numbers[name].update(hour_of(row) for row in rows)

    def truth(self) -> Counter[datetime]:
        """What every roll-up must say."""
        return Counter(hour_of(row) for row in self.rows.get("events", []))

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        """Only what `keep`, `replay` and the roll-ups ask."""
        if "now('UTC')" in sql:
            return [(NOON.replace(tzinfo=None),)]
        assert parameters is not None or sql.startswith("DESCRIBE")
        if "max(kafka_offset)" in sql:
            offsets = [row[OFFSET] for row in self.rows.get("events", [])]
            return [(PARTITION.topic, 0, max(offsets))] if offsets else []
        if self._fault() in (Fault.REFUSED, Fault.UNSURE, Fault.UNSURE_BETWEEN):
            raise Temporary("away")
        if "system.tables" in sql:
            return [("SELECT x FROM events",)] if "as_select" in sql else []
        if sql.startswith("DESCRIBE"):
            return [("hour",)]
        return self._asked(sql, parameters or {})

    def _asked(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        rollup = re.search(r"FROM (\w+_hourly) WHERE", sql)
        if rollup:
            wrong = self._wrong(rollup[1], times_of(parameters))
            return [(hour.replace(tzinfo=None), "b", PARTITION.topic, 0, *numbers) for hour, numbers in wrong.items()]
        span = range(parameters["first"], parameters["last"] + 1)
        if "DISTINCT" in sql:
            hours = {hour_of(row) for row in self.rows.get("events", []) if row[OFFSET] in span}
            return [(hour.replace(tzinfo=None),) for hour in hours]
        table = next(table for table in TABLES if f"FROM {table.name} " in sql)
        return [
            key_of(table, row)
            for row in self.rows.get(table.name, [])
            if row[table.columns.index("kafka_offset")] in span
        ]

    def _wrong(self, rollup: str, hours: set[datetime]) -> dict[datetime, tuple[int, int]]:
        said, truth = self.numbers.get(rollup, self.truth()), self.truth()
        return {hour: (said[hour], truth[hour]) for hour in hours if said[hour] != truth[hour]}

    async def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        """Only what counts a roll-up again: to delete some hours, and to count them."""
        fault = self._fault()
        if fault in (Fault.BEFORE, Fault.FENCED, Fault.LATE):
            raise Dead
        if fault is Fault.REFUSED:
            raise Temporary("away")
        what, name = re.match(r"(DELETE FROM|INSERT INTO) (\w+)", sql).groups()  # type: ignore[union-attr]
        for hour in times_of(parameters or {}):
            self.numbers[name][hour] = 0 if what == "DELETE FROM" else self.numbers[name][hour] + self.truth()[hour]
        if fault in (Fault.UNSURE, Fault.UNSURE_BETWEEN):
            raise Temporary("the connection broke")
        if fault in DIES:
            raise Dead


def times_of(parameters: dict[str, Any]) -> set[datetime]:
    """The hours that a query names."""
    return {datetime.fromisoformat(f"{hour}+00:00") for hour in parameters["hours"]}


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
        if fault in (Fault.BEFORE, Fault.REFUSED, Fault.LOGGED, Fault.BETWEEN, Fault.LATE):
            raise Dead
        self.log.commit = commits[PARTITION]
        if fault is not Fault.NONE:
            raise Dead


def records(offsets: Sequence[int], tombstones: frozenset[int]) -> list["ConsumerRecord[bytes, bytes]"]:
    """Records at these offsets; gaps between them are transaction markers and what compaction took. Each counts in the
    hour that is its own or its neighbour's."""
    made = []
    for offset in offsets:
        value = None if offset in tombstones else change("east", offset * HALF_AN_HOUR_MS).value
        made.append(ConsumerRecord(PARTITION.topic, 0, offset, YOUNG, 0, b"k", value, 0, 1, len(value or b""), ()))
    return made
