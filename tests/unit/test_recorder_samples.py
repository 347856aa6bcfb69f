"""What the recorder makes of blocks of samples."""

from array import array
from datetime import UTC, date, datetime, timedelta

import pytest
from aiokafka.structs import ConsumerRecord

from services.recorder import samples_tables
from services.recorder.intents import Place
from services.recorder.samples import Seen, month_of, rows_of_block
from services.recorder.samples_tables import BLOCKS, SAMPLES, SERIES, SamplesRow, SeriesRow, columns_of, weight
from services.recorder.tables import Row, Table
from services.recorder.values import Unreadable
from services.runtime.sampleblocks import Block, Histogram, canonical, pack, series_id
from tests.fakes import NOON

PLACE = Place("broker", "setpoint-samples", 1)
NOW = int(NOON.timestamp() * 1000)
DAY = 24 * 3600 * 1000


def block(*series: tuple[str, list[tuple[int, float]]], sender: str = "prod") -> Block:
    made = Block(sender)
    for name, samples in series:
        labels = canonical(name, {"job": "x"})
        made.ids.append(series_id(sender, labels))
        made.counts.append(len(samples))
        made.labels.append(labels)
        made.times.extend([time for time, _ in samples])
        made.values.extend([value for _, value in samples])
    return made


def record(value: bytes, offset: int = 7) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord("setpoint-samples", 1, offset, NOW, 0, b"prod", value, 0, 4, len(value), ())


def rows(value: Block | bytes, seen: Seen | None = None) -> dict[Table, list[Row]]:
    packed = pack(value) if isinstance(value, Block) else value
    return rows_of_block(PLACE, record(packed), seen or Seen())[1]


def test_columns_are_expanded_as_they_are_inserted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample beside its name and number, in inserts of bounded size."""
    monkeypatch.setattr(samples_tables, "INSERT", 3)
    found = [
        row
        for row in (rows(block(("a", [(NOW, 1.0), (NOW + 1, 2.0)]), ("b", []), ("c", [(NOW, 3.0)])))[SAMPLES])
        for _ in range(2)
    ]
    chunks = list(columns_of([SamplesRow(*row) for row in found] + [SamplesRow(*found[0])]))
    assert [chunk[0] for chunk in chunks] == [["a", "a", "c"]] * 3
    assert [list(chunk[3]) for chunk in chunks] == [[1.0, 2.0, 3.0]] * 3
    ids = [series_id("prod", canonical(name, {"job": "x"})) for name in "aac"]
    assert [list(chunk[1]) for chunk in chunks] == [ids] * 3
    assert list(columns_of([])) == []


def test_what_is_written_is_counted_in_samples() -> None:
    """The row of a block stands for all of them."""
    made = rows(block(("a", [(NOW, 1.0), (NOW + 1, 2.0)])))
    assert [weight(table, made[table]) for table in (SAMPLES, SERIES, BLOCKS)] == [2, 1, 1]


def test_a_series_is_written_once_a_month() -> None:
    """As long as the assignment lasts; the next one knows nothing, and writes it again."""
    seen = Seen()
    first = rows(block(("a", [(NOW, 1.0)]), ("b", [(NOW, 1.0)])), seen)[SERIES]
    assert [(row[0], row[1], row[3], row[4]) for row in first] == [
        ("a", "prod", date(2026, 11, 1), {"job": "x"}), ("b", "prod", date(2026, 11, 1), {"job": "x"}),
    ]  # fmt: skip
    again = rows(block(("a", [(NOW + 1, 1.0)]), ("b", [(NOW - 40 * DAY, 1.0)])), seen)[SERIES]
    assert [(row[0], row[3]) for row in again] == [("b", date(2026, 10, 1))]
    assert len(rows(block(("a", [(NOW, 1.0)])), Seen())[SERIES]) == 1


def test_memory_of_series_is_bounded() -> None:
    """Forgetting costs a row that is there already."""
    seen = Seen(most=10)
    for number in range(35):
        seen.add([SeriesRow("a", "prod", number, date(2026, 11, 1), {})])
        assert seen.has(number, date(2026, 11, 1))
    assert len(seen.series) <= 10


def test_a_series_of_an_unreadable_block_is_not_taken_for_written() -> None:
    """The next block that has it is the first."""
    seen, bad = Seen(), block(("a", [(NOW, 1.0)]))
    bad.ids.append(1)
    bad.counts.append(0)
    bad.labels.append(b"b\xffwithout a value")
    bad.histograms.append(Histogram(1, "b", NOW, 1.0, 1.0, 3, 0.0, 0.0, {}, {}, [], False))
    with pytest.raises(Unreadable):
        rows(bad, seen)
    assert [row[0] for row in rows(block(("a", [(NOW, 1.0)])), seen)[SERIES]] == ["a"]


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        pytest.param(datetime(2026, 11, 1, tzinfo=UTC), date(2026, 11, 1), id="its-first-moment"),
        pytest.param(datetime(2026, 10, 31, 23, 59, 59, 999_000, tzinfo=UTC), date(2026, 10, 1), id="the-one-before"),
        pytest.param(datetime(2024, 2, 29, 12, tzinfo=UTC), date(2024, 2, 1), id="a-leap-day"),
    ],
)
def test_months_are_those_of_utc(moment: datetime, month: date) -> None:
    """Like the partitions of the table."""
    assert month_of(int(moment.timestamp() * 1000)) == month


def test_a_block_has_one_row_by_its_place() -> None:
    """Which proves that it is recorded, and says what it held."""
    made = rows(block(("a", [(NOW, 1.0), (NOW - 5, 2.0)]), ("b", [(NOW + 9, 3.0)])))[BLOCKS]
    assert made == [
        ("prod", 3, 0, 2, NOW - 5, NOW + 9, "broker", "setpoint-samples", 1, 7, NOW),
    ]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"junk", id="no-block"),
        pytest.param(pack(block(("a", [(NOW - 500 * DAY, 1.0)]))), id="too-old"),
        pytest.param(pack(block(("a", [(NOW + 3 * DAY, 1.0)]))), id="too-new"),
        pytest.param(pack(block(("a", [(-1, 1.0)]))), id="before-1970"),
        pytest.param(pack(Block("x", array("Q", [1]), array("I", [0]), [b"a\xfe"])), id="no-utf-8"),
        pytest.param(
            pack(Block("x", array("Q", [1]), array("I", [1]), [b"a\xffb"], array("q", [NOW]), array("d", [1.0]))),
            id="a-name-without-a-value",
        ),
    ],
)
def test_what_no_insert_would_take_is_unreadable(value: bytes) -> None:
    """One such record would stop all that come after it."""
    with pytest.raises(Unreadable):
        rows(value)


def test_late_samples_within_the_bounds_are_rows() -> None:
    """A sender that was away for a year may catch up."""
    old = int((NOON - timedelta(days=399)).timestamp() * 1000)
    assert rows(block(("a", [(old, 1.0)])))[SAMPLES][0][0] == 1
