"""What is drawn of a panel's rows, and how numbers are written: the same for the page and for the terminal."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.cli.reportview import bar, spark
from services.local.report_page.shapes import MOST_BARS, MOST_SERIES, bars, chart, heat, stat
from services.local.report_page.words import amount, cell, colour, filled, heading, text
from services.recorder.dashboards.model import Colour, Kind, Panel, Threshold, Unit

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
T0, T1, T2 = ((NOON + hours * HOUR).timestamp() for hours in range(3))


def test_long_rows_become_series_over_common_times() -> None:
    """A series has a gap where the others have a time that it has not, and not a zero."""
    made = chart(
        [
            {"time": NOON, "what": "a", "n": 1},
            {"time": NOON + HOUR, "what": "b", "n": 2},
            {"time": NOON + 2 * HOUR, "what": "a", "n": 3},
        ]
    )
    assert made.times == (T0, T1, T2)
    assert {one.name: one.values for one in made.series} == {"a": (1, None, 3), "b": (None, 2, None)}
    assert made.series[0].last == 3


@pytest.mark.parametrize(
    ("row", "names"),
    [
        pytest.param({"time": NOON, "p50": 1, "p95": 2}, ["p50", "p95"], id="columns"),
        pytest.param({"time": NOON, "who": "helm", "n": 1}, ["helm"], id="label"),
        pytest.param({"time": NOON, "who": "helm", "p50": 1, "p95": 2}, ["helm p50", "helm p95"], id="both"),
        pytest.param({"time": NOON, "who": "", "n": 1}, ["n"], id="empty-label"),
    ],
)
def test_a_series_is_named_by_its_label_and_where_there_are_several_by_its_column(
    row: dict[str, Any], names: list[str]
) -> None:
    """As Grafana names them."""
    assert [one.name for one in chart([row]).series] == names


def test_what_is_not_finite_is_a_gap() -> None:
    """ClickHouse gives NaN for the average of nothing; JSON has no such number."""
    made = chart([{"time": NOON, "n": float("nan")}, {"time": NOON + HOUR, "n": float("inf")}])
    assert made.series[0].values == (None, None)
    assert stat([{"n": float("nan")}]).value is None


def test_of_many_series_those_with_most_in_them_are_kept_and_the_rest_is_counted() -> None:
    """A chart of a hundred lines says nothing."""
    made = chart([{"time": NOON, "who": f"w{number}", "n": number} for number in range(MOST_SERIES + 5)])
    assert (len(made.series), made.left_out) == (MOST_SERIES, 5)
    assert min(one.values[0] or 0 for one in made.series) == 5


def test_bars_keep_their_order_and_say_how_many_are_left_out() -> None:
    """The query sorts them; the longest bar is the scale of all."""
    made = bars([{"name": f"n{number}", "n": number} for number in range(MOST_BARS + 3)])
    assert [label for label, _ in made.bars[:2]] == ["n0", "n1"]
    assert (made.left_out, made.highest) == (3, MOST_BARS - 1)


def test_a_heat_map_is_a_grid_with_zero_where_nothing_was() -> None:
    """Buckets go up in the order in which they sort."""
    made = heat([{"time": NOON, "bucket": "2", "value": 4}, {"time": NOON + HOUR, "bucket": "1", "value": 3}])
    assert (made.buckets, made.cells, made.highest) == (("1", "2"), ((0, 3), (4, 0)), 4)


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        pytest.param(None, Unit.COUNT, "–", id="unknown"),
        pytest.param(0, Unit.SECONDS, "0 s", id="zero"),
        pytest.param(9999, Unit.COUNT, "9999", id="small-count"),
        pytest.param(55_300, Unit.COUNT, "55.3 k", id="count"),
        pytest.param(2_500_000, Unit.COUNT, "2.5 M", id="million"),
        pytest.param(1530, Unit.MILLISECONDS, "1.53 s", id="milliseconds"),
        pytest.param(0.0032, Unit.SECONDS, "3.2 ms", id="short-seconds"),
        pytest.param(90_000, Unit.SECONDS, "1.04 d", id="days"),
        pytest.param(1536, Unit.BYTES, "1.5 KiB", id="bytes"),
        pytest.param(-2048, Unit.BYTES, "-2 KiB", id="negative"),
        pytest.param(0.0123, Unit.PER_SECOND, "0.0123/s", id="rate"),
        pytest.param(99.5, Unit.PERCENT, "99.5 %", id="percent"),
    ],
)
def test_numbers_carry_their_unit(value: float | None, unit: Unit, said: str) -> None:
    """Three figures are enough to see which of two is more."""
    assert amount(value, unit) == said


def test_columns_that_end_in_a_unit_are_written_with_it() -> None:
    """`age_s` is a duration, and its heading says age."""
    assert (heading("age_s"), cell("age_s", 7200)) == ("age", "2 h")
    assert (heading("correct_ms"), cell("correct_ms", 1500.0)) == ("correct", "1.5 s")
    assert (heading("caused_by"), cell("attempts", 3)) == ("caused by", "3")
    assert (heading("s"), heading("ms")) == ("s", "ms")


def test_values_of_any_type_are_one_line_that_a_terminal_does_not_obey() -> None:
    """Lists are joined, times are in UTC, and control characters are shown by their codes."""
    assert text(["a", "b\n\x1b[31m"]) == "a, b\\n\\u001b[31m"
    assert text({"team": "pay\u202e"}) == "team=pay\\u202e"
    assert text(NOON) == "2026-11-24 12:00:00"
    assert (text(None), text(True), text(0.25), text(12.0)) == ("", "True", "0.25", "12")


def test_columns_without_anything_in_them_are_not_shown() -> None:
    """A phone has no room for them; zero is something."""
    assert filled([{"a": "", "b": 0, "c": []}, {"a": None, "b": 0, "c": ["x"]}]) == ["b", "c"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param(None, None, id="unknown"),
        pytest.param(0, Colour.GREEN, id="below"),
        pytest.param(5, Colour.ORANGE, id="at"),
        pytest.param(50, Colour.RED, id="above"),
    ],
)
def test_a_number_has_the_colour_of_the_highest_threshold_that_it_reached(
    value: float | None, found: Colour | None
) -> None:
    """As Grafana colours it; without thresholds it has none."""
    thresholds = (Threshold(5, Colour.ORANGE), Threshold(10, Colour.RED))
    assert colour(value, Panel("t", "s", Kind.STAT, "SELECT 1", thresholds=thresholds)) is found
    assert colour(value, Panel("t", "s", Kind.STAT, "SELECT 1")) is None


def test_a_sparkline_stands_on_zero_and_leaves_room_where_nothing_is_known() -> None:
    """Each letter is a part of the time, wherever in it the values are."""
    assert spark([0, 1, 2, 3], [0, 4, None, 8], (0, 4), 1) == "▁▅ █"
    assert spark([0, 1, 9], [8, 8, 8], (0, 10), 1) == "██       █"
    assert spark([5], [1], (0, 10), 60) == "█"
    assert len(spark([0, 999], [1, 1], (0, 1000), 1)) == 40


def test_a_bar_is_a_hair_where_it_is_not_nothing() -> None:
    """One of a million is still seen."""
    assert (bar(0, 10), bar(1, 1_000_000), bar(10, 10), bar(3, 0)) == ("", "▏", "█" * 30, "")
