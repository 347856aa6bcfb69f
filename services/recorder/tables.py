"""The two tables that the recorder writes, as typed rows. The engine's side of the same is `migrations/*.sql`.

Times are integers in the column's own unit: microseconds for DateTime64(6), milliseconds for DateTime64(3).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

LOW = "LowCardinality(String)"
MICROS = "DateTime64(6, 'UTC')"
MILLIS = "DateTime64(3, 'UTC')"


class AuditRow(NamedTuple):
    """One record of any topic. The engine takes all other columns of `events` from the payload."""

    payload: bytes
    broker: str
    topic: str
    kafka_partition: int
    kafka_offset: int
    kafka_time: int


class SampleRow(NamedTuple):
    """One sample of one series; `sample` is its place in the record, so that (offset, sample) names the row."""

    time: int
    name: str
    value: float
    labels: dict[str, str]
    source: str
    broker: str
    topic: str
    kafka_partition: int
    kafka_offset: int
    sample: int
    kafka_time: int


@dataclass(frozen=True)
class Table:
    """A table that rows are inserted into. `key` names the columns that tell rows of one partition apart, `kept_days`
    is its TTL after a record's Kafka time, None for no end. A table without a `key` keeps one of equal rows by itself.
    `spread` makes the columns of its inserts where a row here is many in the table; a row's first value says how many.
    """

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    key: tuple[str, ...]
    kept_days: int | None = None
    spread: Callable[[Any], Iterable[list[Sequence[Any]]]] | None = None

    def kept(self, days: int) -> "Table":
        """The same table with another TTL."""
        return replace(self, kept_days=days)


AUDIT_TYPES: dict[str, str] = {
    "payload": "String",
    "kafka_partition": "UInt16",
    "kafka_offset": "UInt64",
    "kafka_time": MILLIS,
}
SAMPLE_TYPES: dict[str, str] = {
    "time": MICROS,
    "value": "Float64",
    "labels": f"Map({LOW}, String)",
    "kafka_partition": "UInt16",
    "kafka_offset": "UInt64",
    "sample": "UInt16",
    "kafka_time": MILLIS,
}


def _table(name: str, fields: Sequence[str], types: dict[str, str], key: tuple[str, ...], kept_days: int) -> Table:
    return Table(name, tuple(fields), tuple(types.get(field, LOW) for field in fields), key, kept_days)


EVENTS = _table("events", AuditRow._fields, AUDIT_TYPES, ("kafka_offset",), 400)
METRICS = _table("metrics", SampleRow._fields, SAMPLE_TYPES, ("kafka_offset", "sample"), 30)
TABLES = (EVENTS, METRICS)

Row = tuple[Any, ...]


def key_of(table: Table, row: Row) -> tuple[int, ...]:
    """What tells this row from all others of its partition."""
    return tuple(row[table.columns.index(column)] for column in table.key)


def expired(table: Table, row: Row, now: datetime) -> bool:
    """Whether the engine may have dropped this row already, or did not keep it at all, for its age. A day's margin."""
    if table.kept_days is None:
        return False
    end = now - timedelta(days=table.kept_days - 1)
    return bool(row[table.columns.index("kafka_time")] < end.timestamp() * 1000)
