"""The tables of what remote write brings, as rows. The engine's side of the same is `migrations/0007_*.sql`.

All but the blocks keep one row of equal keys, whatever was inserted (ReplacingMergeTree), so they need neither a token
nor a count after a replay: what may be missing is simply inserted again. A block has one row, by its offset, which
proves that it was recorded.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, NamedTuple

from services.recorder.tables import LOW, MILLIS, Row, Table
from services.runtime.sampleblocks import Block

INSERT = 100_000
"""Samples of one insert."""


class SamplesRow(NamedTuple):
    """All samples of a block: columns, which become rows as they are inserted. `names[i]` is that of series i."""

    samples: int
    names: list[str]
    block: Block


class SeriesRow(NamedTuple):
    """A series that had samples in a month. `month` is its first day."""

    name: str
    sender: str
    series_id: int
    month: date
    labels: dict[str, str]


class BlockRow(NamedTuple):
    """One record of the topic. Times are those of its oldest and newest sample, 0 without one."""

    sender: str
    samples: int
    histograms: int
    series: int
    first_time: int
    last_time: int
    broker: str
    topic: str
    kafka_partition: int
    kafka_offset: int
    kafka_time: int


def columns_of(rows: Iterable[SamplesRow]) -> Iterator[list[Sequence[Any]]]:
    """The columns of `samples`, some 100 000 rows at a time."""
    names, ids, times, values = _empty()
    for row in rows:
        for name, number, count in zip(row.names, row.block.ids, row.block.counts, strict=True):
            names.extend([name] * count)
            ids.extend([number] * count)
        times.extend(row.block.times)
        values.extend(row.block.values)
        if len(times) >= INSERT:
            yield [names, ids, times, values]
            names, ids, times, values = _empty()
    if times:
        yield [names, ids, times, values]


def _empty() -> "tuple[list[str], array[int], array[int], array[float]]":
    return [], array("Q"), array("q"), array("d")


def _table(name: str, columns: dict[str, str], key: tuple[str, ...] = (), kept_days: int | None = None) -> Table:
    return Table(name, tuple(columns), tuple(columns.values()), key, kept_days)


BUCKETS = "Map(Int32, Float64)"
SAMPLES = Table(
    "samples", ("name", "series_id", "time", "value"), (LOW, "UInt64", MILLIS, "Float64"), (), spread=columns_of
)
SERIES = _table(
    "series", {"name": LOW, "sender": LOW, "series_id": "UInt64", "month": "Date", "labels": f"Map({LOW}, String)"}
)
FAMILIES = _table(
    "metric_families", {"sender": LOW, "name": "String", "type": LOW, "help": "String", "unit": LOW}
)  # fmt: skip
HISTOGRAMS = _table("histograms", {
    "series_id": "UInt64", "name": LOW, "time": MILLIS, "count": "Float64", "sum": "Float64", "schema": "Int8",
    "zero_threshold": "Float64", "zero_count": "Float64", "positive": BUCKETS, "negative": BUCKETS,
    "bounds": "Array(Float64)", "stale": "UInt8",
})  # fmt: skip
BLOCKS = _table("sample_blocks", {
    "sender": LOW, "samples": "UInt32", "histograms": "UInt32", "series": "UInt32", "first_time": MILLIS,
    "last_time": MILLIS, "broker": LOW, "topic": LOW, "kafka_partition": "UInt16", "kafka_offset": "UInt64",
    "kafka_time": MILLIS,
}, ("kafka_offset",), 30)  # fmt: skip
SAMPLE_TABLES = (SAMPLES, SERIES, FAMILIES, HISTOGRAMS, BLOCKS)


def weight(table: Table, rows: Sequence[Row]) -> int:
    """How many rows these become in the table."""
    return sum(row[0] for row in rows) if table.spread else len(rows)
