"""From a panel's rows to what is drawn: pure, the same for the page and for the terminal.

What rows a kind of panel has is fixed in `services/recorder/dashboards/model.py`. Of what is long, only the first part
is kept, and how much was left out is said: a page for a phone is no export.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.local.report_page.asking import Row

MOST_SERIES = 12
MOST_BARS = 12
MOST_ROWS = 100
TIME, BUCKET = "time", "bucket"


@dataclass(frozen=True)
class Series:
    """One line: a value a time of its chart, None where there is none."""

    name: str
    values: tuple[float | None, ...]

    @property
    def known(self) -> tuple[float, ...]:
        """Without the gaps."""
        return tuple(value for value in self.values if value is not None)

    @property
    def last(self) -> float | None:
        return self.known[-1] if self.known else None


@dataclass(frozen=True)
class Chart:
    """Series over common times, in seconds since 1970. `left_out` counts series that are not shown."""

    times: tuple[float, ...]
    series: tuple[Series, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Heat:
    """A number for each time (across) and bucket (up); 0 where there is none."""

    times: tuple[float, ...]
    buckets: tuple[str, ...]
    cells: tuple[tuple[float, ...], ...]

    @property
    def highest(self) -> float:
        return max((value for line in self.cells for value in line), default=0)


@dataclass(frozen=True)
class Stat:
    """One number, None where nothing is known, and a text that explains it."""

    value: float | None
    text: str = ""


@dataclass(frozen=True)
class Bars:
    """Bars in the order of the rows, each (label, values); `names` are those of the values."""

    names: tuple[str, ...]
    bars: tuple[tuple[str, tuple[float, ...]], ...]
    left_out: int = 0

    @property
    def highest(self) -> float:
        """Of the values, and 0 at least."""
        return max((value for _, values in self.bars for value in values), default=0)


def chart(rows: Sequence[Row]) -> Chart:
    """Long rows as wide series; those with most in them first where some must be left out."""
    times = tuple(sorted({seconds(row[TIME]) for row in rows}))
    place = {time: index for index, time in enumerate(times)}
    found: dict[str, list[float | None]] = {}
    for row in rows:
        label = _label(row)
        numbers = {name: number(value) for name, value in row.items() if is_number(value)}
        for name, value in numbers.items():
            values = found.setdefault(_name(label, name, len(numbers)), [None] * len(times))
            values[place[seconds(row[TIME])]] = value
    series = [Series(name, tuple(values)) for name, values in found.items()]
    kept = (
        sorted(series, key=lambda one: -sum(map(abs, one.known)))[:MOST_SERIES] if len(series) > MOST_SERIES else series
    )
    return Chart(times, tuple(kept), len(series) - len(kept))


def heat(rows: Sequence[Row]) -> Heat:
    """Rows as a grid, buckets in the order in which they sort."""
    times = tuple(sorted({seconds(row[TIME]) for row in rows}))
    buckets = tuple(sorted({str(row[BUCKET]) for row in rows}))
    grid = {(str(row[BUCKET]), seconds(row[TIME])): number(row["value"]) for row in rows}
    cells = tuple(tuple(grid.get((bucket, time)) or 0.0 for time in times) for bucket in buckets)
    return Heat(times, buckets, cells)


def stat(rows: Sequence[Row]) -> Stat:
    """The first row's number and text."""
    values = list(rows[0].values()) if rows else []
    found = next((number(value) for value in values if is_number(value)), None)
    return Stat(found, next((value for value in values if isinstance(value, str)), ""))


def bars(rows: Sequence[Row]) -> Bars:
    """One bar a row, labelled by its first text."""
    names = tuple(name for name, value in rows[0].items() if is_number(value)) if rows else ()
    made = [(_label(row), tuple(_or_zero(row[name]) for name in names)) for row in rows]
    return Bars(names, tuple(made[:MOST_BARS]), max(0, len(made) - MOST_BARS))


def seconds(value: Any) -> float:
    """A time as seconds since 1970; one without a zone is UTC, as the record's are."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return float(value)


def is_number(value: Any) -> bool:
    """True for what can be drawn; a Boolean is none, and what is not finite is, as a gap."""
    return not isinstance(value, bool | str | datetime | list | tuple | dict) and hasattr(value, "__float__")


def number(value: Any) -> float | None:
    """A float; None for NaN and the infinities, which ClickHouse gives for the average of nothing."""
    read = float(value)
    return read if read - read == 0 else None


def _label(row: Row) -> str:
    """Its first text."""
    return next((value for value in row.values() if isinstance(value, str)), "")


def _or_zero(value: Any) -> float:
    return (number(value) or 0.0) if is_number(value) else 0.0


def _name(label: str, column: str, columns: int) -> str:
    if not label:
        return column
    return label if columns == 1 else f"{label} {column}"
