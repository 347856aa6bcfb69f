"""Rows of one partition that wait for their insert, and when it is time: pure, with `now` as an argument.

Small and quick while the recorder keeps up, so that history is there at once; large while it is behind, since an
insert of 5 000 rows costs little more than one of 100. In between, while events keep coming, the engine rests after
each round of small inserts in proportion to what that took: they never take more than a share of a core. After large
ones it does not, since whoever has just caught up is late already.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from services.recorder.intents import Span
from services.recorder.rows import Made
from services.recorder.tables import EVENTS, METRICS, Row, Table

Rows = dict[Table, list[Row]]
KeyT = TypeVar("KeyT")
TOGETHER = 2
"""So many batches that are not full are inserted before the next are chosen. A commit takes a tenth of an insert's
time: more would save little, and whatever comes meanwhile would wait for a round of all partitions."""


@dataclass(frozen=True)
class Limits:
    """Ages in seconds since a batch's first record; `rests` is how many times as long as inserts took only what is full
    or of full age is inserted. `in_memory_*` bound everything that was read and not inserted."""

    rows: int = 5000
    bytes: int = 8 * 1024 * 1024
    age: float = 1.0
    age_caught_up: float = 0.2
    rests: float = 3.0
    in_memory_rows: int = 40_000
    in_memory_bytes: int = 64 * 1024 * 1024


def _no_rows() -> Rows:
    return {EVENTS: [], METRICS: []}


@dataclass
class Portion:
    """Consecutive records of one partition. The span also covers what made no row (tombstones, dead letters)."""

    first: int
    last: int
    records: int = 0
    bytes: int = 0
    rows: Rows = field(default_factory=_no_rows)

    @property
    def span(self) -> Span:
        return Span(self.first, self.last)

    @property
    def row_count(self) -> int:
        """Rows of all tables."""
        return sum(len(rows) for rows in self.rows.values())

    def full(self, limits: Limits) -> bool:
        """Large enough for an insert of its own."""
        return max(self.records, self.row_count) >= limits.rows or self.bytes >= limits.bytes

    def add(self, size: int, made: Made | None) -> None:
        """Count a record of so many bytes; None when it makes no rows."""
        self.records += 1
        self.bytes += size
        if made is not None:
            self.rows[EVENTS].append(made.event)
            if made.samples:
                self.rows[METRICS].extend(made.samples)

    def add_rows(self, size: int, rows: Mapping[Table, Sequence[Row]]) -> None:
        """Count a record whose rows take so many bytes."""
        self.records += 1
        self.bytes += size
        for table, some in rows.items():
            self.rows.setdefault(table, []).extend(some)

    def append(self, other: "Portion") -> None:
        """Put the next records behind these."""
        self.last = other.last
        self.records += other.records
        self.bytes += other.bytes
        for table, rows in other.rows.items():
            self.rows.setdefault(table, []).extend(rows)


@dataclass
class Batch:
    """A portion that waits since `born`, on a monotonic clock."""

    portion: Portion
    born: float
    caught_up: bool = False

    def full(self, limits: Limits) -> bool:
        """Its portion is."""
        return self.portion.full(limits)

    def due_at(self, limits: Limits, rested: float = 0.0) -> float:
        """When its age makes it due, on the clock of `born`; `rested` is when the engine will have had its rest."""
        if not self.caught_up:
            return self.born + limits.age
        return min(self.born + limits.age, max(self.born + limits.age_caught_up, rested))

    def due(self, now: float, limits: Limits, rested: float = 0.0) -> bool:
        """Full, or old enough."""
        return self.full(limits) or now >= self.due_at(limits, rested)

    def soon(self, now: float, limits: Limits, rested: float = 0.0) -> bool:
        """At least half as old as it may get: goes along when another one is due, which saves a commit."""
        return now >= (self.born + self.due_at(limits, rested)) / 2


def of_one_round(ready: Mapping[KeyT, Batch], limits: Limits) -> list[KeyT]:
    """Which of them are inserted before the next are chosen: the oldest few, and all that are full."""
    full = {key for key, batch in ready.items() if batch.full(limits)}
    aged = sorted(ready.keys() - full, key=lambda key: ready[key].born)
    return [*aged[:TOGETHER], *(key for key in ready if key in full)]


def too_much(portions: Iterable[Portion], limits: Limits) -> bool:
    """True when no more may be read before something was inserted."""
    rows = size = 0
    for portion in portions:
        rows += max(portion.records, portion.row_count)
        size += portion.bytes
    return rows >= limits.in_memory_rows or size >= limits.in_memory_bytes
