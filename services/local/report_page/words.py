"""Values as people read them: numbers by their panel's unit, times, lists. Used by the page and by the terminal."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from schemas.base import rfc3339
from services.local.report_page.shapes import is_number, number
from services.recorder.dashboards.model import Colour, Panel, Unit
from services.runtime.logging import visible

SCALES: Mapping[Unit, tuple[tuple[float, str], ...]] = {
    Unit.NONE: ((1, ""),),
    Unit.COUNT: ((1e9, " G"), (1e6, " M"), (1e4, " k"), (1, "")),
    Unit.MILLISECONDS: ((86_400_000, " d"), (3_600_000, " h"), (60_000, " min"), (1000, " s"), (1, " ms")),
    Unit.SECONDS: ((86_400, " d"), (3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms")),
    Unit.BYTES: ((2**40, " TiB"), (2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")),
    Unit.PER_SECOND: ((1e6, " M/s"), (1e4, " k/s"), (1, "/s")),
    Unit.PERCENT: ((1, " %"),),
}
"""From so much on, a number is written as a multiple of `size` (that of 1e4 is 1000) with this word behind it."""
SIZES = {1e4: 1e3}
NOTHING = "–"
UNITS = {"ms": Unit.MILLISECONDS, "s": Unit.SECONDS, "bytes": Unit.BYTES}
"""By the last word of a column's name."""


def amount(value: float | None, unit: Unit) -> str:
    """A number with its unit, to three figures; whole numbers below ten thousand as they are."""
    if value is None:
        return NOTHING
    scales = SCALES[unit]
    size = abs(value) or 1  # nothing is nothing of the unit itself
    start, word = next(((start, word) for start, word in scales if size >= start), scales[-1])
    scaled = value / SIZES.get(start, start)
    if scaled == int(scaled):
        return f"{int(scaled)}{word}"
    return f"{scaled:.{_places(scaled)}f}".rstrip("0").rstrip(".") + word


def _places(value: float) -> int:
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4


def colour(value: float | None, panel: Panel) -> Colour | None:
    """The colour that the panel's thresholds give a number; None where it has none."""
    if value is None or not panel.thresholds:
        return None
    passed = [threshold for threshold in panel.thresholds if value >= threshold.at]
    return max(passed, key=lambda threshold: threshold.at).colour if passed else Colour.GREEN


def text(value: Any) -> str:
    """Any value of a table's cell, on one line, with nothing in it that a terminal would obey."""
    if value is None or value == "":
        return ""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return ", ".join(text(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{text(name)}={text(part)}" for name, part in value.items())
    if is_number(value):
        return _plain_number(value)
    return visible(str(value))


def cell(column: str, value: Any) -> str:
    """A table's cell: where its column's name ends in a unit, with that."""
    unit = UNITS.get(column.rpartition("_")[2])
    return amount(number(value), unit) if unit and is_number(value) else text(value)


def heading(column: str) -> str:
    """A column's name in words, without the unit that its cells carry."""
    stem, _, last = column.rpartition("_")
    return visible((stem if stem and last in UNITS else column).replace("_", " "))


def filled(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns that have something in one row at least."""
    return [name for name in rows[0] if any(text(row[name]) for row in rows)]


def is_id(column: str) -> bool:
    """Whether a column has ids, which people seldom read."""
    return column.endswith("_id")


def moment(value: datetime) -> str:
    """A time in UTC, to the second, as short as it is clear."""
    return rfc3339(value)[:19].replace("T", " ")


def _plain_number(value: Any) -> str:
    read = number(value)
    if read is None:
        return NOTHING
    return str(int(read)) if read == int(read) else f"{read:.{_places(read)}f}"
