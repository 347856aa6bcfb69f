"""Grafana's macros outside of Grafana: the same text as its plugin makes, and nothing that is not known."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.recorder.dashboards.macros import POINTS, Frame, expand, frame, interval
from services.runtime.errors import Permanent

SINCE = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNTIL = SINCE + timedelta(hours=1)
FROM, TO = "toDateTime(1795521600)", "toDateTime(1795525200)"


def view(**variables: Sequence[str]) -> Frame:
    return Frame(SINCE, UNTIL, 30, variables)


@pytest.mark.parametrize(
    ("sql", "expanded"),
    [
        pytest.param("$__timeFilter(t)", f"t >= {FROM} AND t <= {TO}", id="time-filter"),
        pytest.param(
            "$__timeInterval(t) AS time",
            "toStartOfInterval(toDateTime(t), INTERVAL 30 second) AS time",
            id="time-interval",
        ),
        pytest.param(
            "$__timeInterval(greatest(toDateTime(t), $__fromTime))",
            f"toStartOfInterval(toDateTime(greatest(toDateTime(t), {FROM})), INTERVAL 30 second)",
            id="calls-in-calls",
        ),
        pytest.param("n / $__interval_s", "n / 30", id="interval"),
        pytest.param("$__fromTime, $__toTime", f"{FROM}, {TO}", id="both-ends"),
        pytest.param("'a$'", "'a$'", id="a-dollar-is-a-dollar"),
    ],
)
def test_macros_become_what_the_plugin_makes_of_them(sql: str, expanded: str) -> None:
    """Whole seconds, and buckets of the given width."""
    assert expand(sql, view()) == expanded


@pytest.mark.parametrize(
    ("chosen", "expanded"),
    [
        pytest.param({}, "1=1", id="never-set"),
        pytest.param({"cluster": ()}, "1=1", id="all"),
        pytest.param({"cluster": ("",)}, "1=1", id="an-empty-text"),
        pytest.param({"cluster": ("east",)}, "cluster IN ('east')", id="one"),
        pytest.param({"cluster": ("east", "west")}, "cluster IN ('east','west')", id="two"),
        pytest.param({"cluster": (r"a') OR ('\ ",)}, r"cluster IN ('a\') OR (\'\\ ')", id="hostile"),
    ],
)
def test_a_condition_holds_only_where_something_is_chosen(chosen: dict[str, Sequence[str]], expanded: str) -> None:
    """And a value never ends its own quotes."""
    sql = "$__conditionalAll(cluster IN (${cluster:singlequote}), $cluster)"
    assert expand(sql, view(**chosen)) == expanded


def test_conditions_may_hold_calls_with_commas() -> None:
    """The variable is what follows the last comma."""
    sql = "$__conditionalAll(position(concat(a, b), ${label:singlequote}) > 0, $label) AND 1"
    assert expand(sql, view(label=("x",))) == "position(concat(a, b), 'x') > 0 AND 1"


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("$__timeGroup(t, 5m)", id="another-call"),
        pytest.param("$__table", id="another-scalar"),
        pytest.param("${cluster}", id="unquoted"),
        pytest.param("${other:singlequote}", id="nobody-set-it"),
        pytest.param("$__timeFilter(t", id="not-closed"),
        pytest.param("$__conditionalAll(a, 'b')", id="no-variable"),
    ],
)
def test_what_is_not_known_is_an_error(sql: str) -> None:
    """Never text that the engine would read in some way."""
    with pytest.raises(Permanent):
        expand(sql, view(cluster=("east",)))


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        pytest.param(timedelta(minutes=5), 1, id="minutes"),
        pytest.param(timedelta(days=1), 300, id="a-day"),
        pytest.param(timedelta(days=7), 1800, id="a-week"),
        pytest.param(timedelta(days=90), 21600, id="a-quarter"),
    ],
)
def test_buckets_are_round_and_not_more_than_a_chart_shows(span: timedelta, seconds: int) -> None:
    """As fine as can be seen, and no finer than the source."""
    assert interval(span) == seconds
    assert span.total_seconds() / interval(span) <= POINTS
    assert frame(SINCE, SINCE + span, step_s=3600).interval_s == max(seconds, 3600)
