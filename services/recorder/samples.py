"""Rows of a block of samples: its columns as they are, and the series that were not written lately.

What is checked here is what would make an insert fail for ever: columns that do not fit, texts that are no UTF-8, and
times so far off that they would open a partition for every month.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from aiokafka.structs import ConsumerRecord

from services.recorder.intents import Place
from services.recorder.samples_tables import (
    BLOCKS,
    FAMILIES,
    HISTOGRAMS,
    SAMPLES,
    SERIES,
    BlockRow,
    SamplesRow,
    SeriesRow,
)
from services.recorder.tables import Row, Table
from services.recorder.values import Unreadable
from services.runtime.sampleblocks import NEWEST, OLDEST, Block, Malformed, labels_of, name_of, unpack

MOST_SEEN = 500_000
SLACK = timedelta(days=1)
"""Between the gateway's clock, which the bounds were held against, and the record's time."""
SAMPLE_BYTES, SERIES_BYTES = 24, 100
DAY_MS, MILLISECOND = 24 * 3600 * 1000, timedelta(milliseconds=1)


class Seen:
    """Series, by month, whose labels this assignment has put into a portion already.

    A portion of an assignment is inserted, or the assignment ends, and the next one starts with none seen: so no
    series is taken for written that was not.
    """

    def __init__(self, most: int = MOST_SEEN) -> None:
        self.most = most
        self.series: set[tuple[int, date]] = set()

    def has(self, series: int, month: date) -> bool:
        """Whether its row is in a portion already."""
        return (series, month) in self.series

    def add(self, rows: Iterable[SeriesRow]) -> None:
        """These are. Forgets all of them when there are too many."""
        for row in rows:
            if len(self.series) >= self.most:
                self.series.clear()
            self.series.add((row.series_id, row.month))


def rows_of_block(
    place: Place, record: "ConsumerRecord[bytes, bytes]", seen: Seen
) -> tuple[int, dict[Table, list[Row]]]:
    """The rows of a record with a value, by table, and the bytes that they take. Raises Unreadable."""
    try:
        block = unpack(record.value or b"")
        _check_times(block, record.timestamp)
        return _size(block), _rows(place, record, block, seen)
    except Malformed as error:
        raise Unreadable(str(error)) from None
    except UnicodeError:
        raise Unreadable("a label is not UTF-8") from None
    except ValueError:
        raise Unreadable("labels that are no names and values") from None


def _rows(place: Place, record: "ConsumerRecord[bytes, bytes]", block: Block, seen: Seen) -> dict[Table, list[Row]]:
    names = [name_of(labels) for labels in block.labels]
    series = _series(block, names, seen)
    seen.add(series)  # once all labels are read: a block that cannot be read puts nothing into the portion
    block.labels = []  # not kept in memory until the insert
    times = _times(block)
    whole = BlockRow(
        block.sender, len(block.times), len(block.histograms), len(block.ids), min(times, default=0),
        max(times, default=0), place.broker, place.topic, place.partition, record.offset, max(record.timestamp, 0),
    )  # fmt: skip
    return {
        SAMPLES: [SamplesRow(len(block.times), names, block)] if block.times else [],
        SERIES: [*series],
        FAMILIES: [(block.sender, *family) for family in block.families],
        HISTOGRAMS: [tuple(one) for one in block.histograms],
        BLOCKS: [whole],
    }


def _series(block: Block, names: list[str], seen: Seen) -> list[SeriesRow]:
    """Those that are new, in the months of their first samples."""
    rows: list[SeriesRow] = []
    at, moments = 0, {one.series_id: one.time for one in block.histograms}
    for number, count, labels, name in zip(block.ids, block.counts, block.labels, names, strict=True):
        moment = block.times[at] if count else moments.get(number)
        at += count
        month = month_of(moment) if moment is not None else None
        if month is not None and not seen.has(number, month):
            rows.append(SeriesRow(name, block.sender, number, month, labels_of(labels)))
    return rows


def month_of(time: int) -> date:
    """The first day of the month of a time in milliseconds."""
    return _month_of_day(time // DAY_MS)


@lru_cache(1000)
def _month_of_day(day: int) -> date:
    found = datetime.fromtimestamp(day * DAY_MS / 1000, UTC)
    return date(found.year, found.month, 1)


def _times(block: Block) -> Sequence[int]:
    if not block.histograms:
        return block.times
    return [*block.times, *(one.time for one in block.histograms)]


def _check_times(block: Block, recorded: int) -> None:
    times = _times(block)
    if not times:
        return
    oldest = recorded - (OLDEST + SLACK) // MILLISECOND
    newest = recorded + (NEWEST + SLACK) // MILLISECOND
    if min(times) < max(oldest, 0) or max(times) > newest:
        raise Malformed("a sample's time is out of bounds")


def _size(block: Block) -> int:
    return SAMPLE_BYTES * len(block.times) + SERIES_BYTES * (len(block.ids) + 10 * len(block.histograms)) + 1000
