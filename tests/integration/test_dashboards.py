"""Every query of every dashboard, on the real engine, over a generated week: it runs, it shows something, it is cheap.

The week is one of a real platform, some millions of rows; `SETPOINT_WEEK_SCALE=0.02` makes a small one, for a first
look at a change. Grafana is not needed: its macros are expanded as its plugin does, and the rows are held against what
each kind of panel promises. Whether the numbers are right is `test_dashboards_numbers.py`.
"""

import json
import math
import os
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import pytest_asyncio

from services.local.engine import serve_engine
from services.recorder.dashboards.all import DASHBOARDS
from services.recorder.dashboards.common import CHANGES, RECORD, STORY
from services.recorder.dashboards.macros import expand
from services.recorder.dashboards.model import Annotation, Dashboard, Kind, Panel, Variable
from services.recorder.dashboards.rules import RULES
from tests.integration.dashboards_parts import API, Filled, filled_week
from tests.integration.recorder_parts import engine_folder

__all__ = ["engine_folder"]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]  # the first test waits for the week to be made
SCALE = float(os.environ.get("SETPOINT_WEEK_SCALE", "1"))


class Query(NamedTuple):
    """One of everything that is asked; only panels have a step."""

    name: str
    sql: str
    panel: Panel | None = None


PANELS = [
    pytest.param(board, panel, id=f"{board.title}: {panel.title}") for board in DASHBOARDS for panel in board.panels
]
VARIABLES = [
    pytest.param(variable, id=f"{board.title}: {variable.name}")
    for board in DASHBOARDS
    for variable in board.variables
    if variable.sql
]
ANNOTATIONS = [
    pytest.param(mark, id=f"{board.title}: {mark.name}") for board in DASHBOARDS for mark in board.annotations
]
EVERYTHING = [
    *(Query(f"{board.title}: {panel.title}", panel.sql, panel) for board in DASHBOARDS for panel in board.panels),
    *(Query(f"{board.title}: {mark.name}", mark.sql) for board in DASHBOARDS for mark in board.annotations),
    *(Query(f"{board.title}: ${one.name}", one.sql) for board in DASHBOARDS for one in board.variables if one.sql),
    *(Query(rule.uid, rule.sql) for rule in RULES),
]
QUERIES = [pytest.param(query, id=query.name) for query in EVERYTHING]
CHOICES = {
    "cluster": ("prod-eu", "it's \\ here"),
    "namespace": ("orders-1",),
    "kind": ("Deployment",),
    "alert": ("HighErrorRate",),
    "rule": ("Terminal shell in container",),
    "policy": ("heal-platform",),
    "manager": ("helm",),
    "topic": ("setpoint-changes",),
    "source": ("recorder",),
    "label": ("topic=",),
    "metric": ("setpoint_record_lag",),
    "object": (API.subject,),
    "correlation": ("now') OR 1 --",),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(engine_folder: Path) -> AsyncIterator[Filled]:
    """One week for all tests here: none of them writes."""
    async with filled_week(engine_folder, SCALE) as made:
        yield made


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
async def test_a_panel_shows_what_its_kind_promises(dashboard: Dashboard, panel: Panel, filled: Filled) -> None:
    """No error, not empty, and rows of the form that Grafana and the report draw."""
    rows = await filled.rows(panel.sql, filled.frame(panel))
    assert rows, f"{dashboard.title}: {panel.title} is empty"
    assert not SHAPES[panel.kind](rows)


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
async def test_choosing_narrows_and_breaks_nothing(dashboard: Dashboard, panel: Panel, filled: Filled) -> None:
    """Every variable set at once, to values with quotes and backslashes among them."""
    rows = await filled.rows(panel.sql, filled.frame(panel, **CHOICES))
    assert not any({row.get("cluster", "prod-eu"), row.get("namespace", "orders-1")} - {"prod-eu", "orders-1"}
                   for row in rows)  # fmt: skip


async def test_every_query_passes_the_read_side_of_setpoint_up(filled: Filled) -> None:
    """Which runs plain reading alone, within bounds: a Grafana beside it shows all of this, too."""
    refused = []
    async with serve_engine(filled.store) as url, aiohttp.ClientSession() as client:
        for query in EVERYTHING:
            text = expand(query.sql, filled.frame(None, **CHOICES))
            async with client.post(f"{url.rsplit('/', 1)[0]}/", params={"database": "week"}, data=text) as answer:
                if answer.status != 200:
                    refused.append((query.name, answer.status, await answer.text()))
    assert not refused


@pytest.mark.parametrize("variable", VARIABLES)
async def test_a_variable_offers_something(variable: Variable, filled: Filled) -> None:
    """One column of texts, each once and none empty."""
    rows = await filled.rows(variable.sql, filled.frame())
    offered = [value for row in rows for value in row.values()]
    assert len(offered) == len(rows) == len(set(offered)) > 0
    assert all(isinstance(value, str) and value for value in offered)


@pytest.mark.parametrize("annotation", ANNOTATIONS)
async def test_an_annotation_has_what_grafana_reads(annotation: Annotation, filled: Filled) -> None:
    """A time, a title, a text and tags, and not more marks than can be told apart."""
    rows = await filled.rows(annotation.sql, filled.frame())
    assert 0 < len(rows) <= 500
    assert {tuple(row) for row in rows} == {("time", "title", "text", "tags")}
    assert all(isinstance(row["time"], datetime) and row["title"] and row["text"] and row["tags"] for row in rows)


@pytest.mark.parametrize(
    ("uid", "after", "fires"),
    [
        pytest.param("setpoint-record-silent", timedelta(minutes=1), False, id="the-record-is-alive"),
        pytest.param("setpoint-record-silent", timedelta(minutes=6), True, id="the-record-fell-silent"),
        pytest.param("setpoint-record-lag", timedelta(minutes=1), True, id="it-falls-behind"),
        pytest.param("setpoint-record-lag", timedelta(minutes=30), False, id="nothing-is-known-of-its-lag"),
        pytest.param("setpoint-drift-open", timedelta(0), True, id="drift-is-open"),
        pytest.param("setpoint-drift-open", -timedelta(days=8), False, id="drift-was-not-old-then"),
        pytest.param("setpoint-fight", timedelta(minutes=1), True, id="a-fight"),
        pytest.param("setpoint-fight", timedelta(hours=2), False, id="a-fight-long-ago"),
        pytest.param("setpoint-dead-letters", timedelta(minutes=1), True, id="unreadable"),
        pytest.param("setpoint-dead-letters", timedelta(hours=2), False, id="unreadable-long-ago"),
        pytest.param("setpoint-question-ends", timedelta(minutes=1), True, id="a-question-ends-soon"),
        pytest.param("setpoint-question-ends", timedelta(hours=2), False, id="a-question-has-ended"),
    ],
)
async def test_a_rule_fires_when_it_should(uid: str, after: timedelta, fires: bool, filled: Filled) -> None:
    """One number, over its threshold or not; the time is moved, from the end of the week on."""
    [rule] = [rule for rule in RULES if rule.uid == uid]
    [row] = await filled.rows(_at(rule.sql, filled.week.until + after))
    [value] = row.values()
    assert isinstance(value, int | float)
    assert (value > rule.above) is fires


def test_every_rule_is_tried() -> None:
    """Both ways, by the table above."""
    [mark] = test_a_rule_fires_when_it_should.pytestmark  # type: ignore[attr-defined]
    tried = {(case.values[0], case.values[2]) for case in mark.args[1]}
    assert tried == {(rule.uid, fires) for rule in RULES for fires in (True, False)}


def _at(sql: str, now: datetime) -> str:
    """A rule's query as it is asked at that time."""
    return sql.replace("now('UTC')", f"toDateTime({int(now.timestamp())}, 'UTC')")


@pytest.mark.parametrize("query", QUERIES)
async def test_no_alias_is_read_where_a_column_is_meant(query: Query, filled: Filled) -> None:
    """Whichever of the two the engine prefers, the answer is the same."""
    view, sql = filled.frame(query.panel), _at(query.sql, filled.week.until)
    columns = await filled.rows(sql, view, " SETTINGS prefer_column_name_to_alias = 1")
    assert _plain(columns) == _plain(await filled.rows(sql, view))


async def test_an_alias_is_what_the_engine_prefers_by_itself(filled: Filled) -> None:
    """So the answers above are of both preferences."""
    [row] = await filled.rows("SELECT toUInt8(getSetting('prefer_column_name_to_alias')) AS columns_first")
    assert row == {"columns_first": 0}


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
async def test_a_panel_reads_no_more_than_its_kinds_of_events(
    dashboard: Dashboard, panel: Panel, filled: Filled
) -> None:
    """Most rows are changes: a panel that is not about them leaves them unread, by the table's order."""
    if dashboard.uid in (CHANGES, STORY, RECORD) or "FROM fights" in panel.sql:
        pytest.skip("about changes, too")
    [row] = await filled.rows("SELECT countIf(event_type != 'change.observed.v1') AS others FROM events")
    [parts] = await filled.rows("SELECT count() AS parts FROM system.parts WHERE active AND table = 'events' "
                                "AND database = currentDatabase()")  # fmt: skip
    bound = math.ceil(row["others"] / GRANULE) + 2 * parts["parts"]
    for read in await _reads(filled, panel):
        assert read <= bound


async def test_one_objects_story_is_a_short_read(filled: Filled) -> None:
    """By the table's order, though the type comes first in it; a correlation is found by its index."""
    [board] = [board for board in DASHBOARDS if board.uid == STORY]
    [whole] = await _most(filled, board.panels[-1])
    for chosen in ({"object": (API.subject,)}, {"correlation": ("now",)}):
        [some] = await _most(filled, board.panels[-1], **chosen)
        assert some <= max(whole // 2, 20)


async def _most(filled: Filled, panel: Panel, **chosen: Any) -> list[int]:
    return [max(await _reads(filled, panel, **chosen))]


GRANULE = 8192


async def _reads(filled: Filled, panel: Panel, **chosen: Any) -> list[int]:
    """Granules that each read of `events` takes, by the engine's own plan."""
    plan = await filled.rows("EXPLAIN PLAN json = 1, indexes = 1 " + expand(panel.sql, filled.frame(panel, **chosen)))
    text = "".join(str(value) for row in plan for value in row.values())
    return [read for read in _selected(json.loads(text)) if read is not None]


def _selected(node: Any) -> Iterator[int]:
    """Depth first; of several indexes the last one says what is left."""
    if isinstance(node, list):
        for part in node:
            yield from _selected(part)
    elif isinstance(node, dict):
        indexes = [index for index in node.get("Indexes", ()) if "Selected Granules" in index]
        if indexes and str(node.get("Description", "")).endswith(".events"):
            yield indexes[-1]["Selected Granules"]
        for part in node.values():
            yield from _selected(part)


def _plain(rows: list[dict[str, Any]]) -> list[str]:
    """Comparable: NaN is NaN, and a sum of floats may be added up in another order."""
    return [
        repr([f"{value:.6g}" if isinstance(value, float) else value for value in (*row, *row.values())]) for row in rows
    ]


def _timeseries(rows: list[dict[str, Any]]) -> str:
    first, *others = rows[0]
    named = [name for name in others if isinstance(rows[0][name], str)]
    if first != "time" or any(not isinstance(row["time"], datetime) for row in rows):
        return "the first column is no time"
    if named not in ([], ["series"]) or (named and len(others) != 2) or not set(others) - set(named):
        return f"columns are {others}"
    if [row["time"] for row in rows] != sorted(row["time"] for row in rows):
        return "not in order of time"
    if any(not isinstance(row[name], int | float | None) for row in rows for name in set(others) - set(named)):
        return "something else than numbers"
    return "" if all(any(row[name] for row in rows) for name in set(others) - set(named)) else "only zeros"


def _heatmap(rows: list[dict[str, Any]]) -> str:
    good = all(isinstance(row["bucket"], str) and isinstance(row["value"], int) for row in rows)
    return "" if list(rows[0]) == ["time", "bucket", "value"] and good else f"columns are {list(rows[0])}"


def _stat(rows: list[dict[str, Any]]) -> str:
    [row] = rows
    numbers = [value for value in row.values() if isinstance(value, int | float) and math.isfinite(value)]
    return "" if len(numbers) == 1 else f"no number: {row}"


def _bar(rows: list[dict[str, Any]]) -> str:
    label, *numbers = rows[0]
    texts = [row[label] for row in rows]
    if len(texts) != len(set(texts)) or not all(isinstance(text, str) and text for text in texts):
        return "bars without names of their own"
    return (
        "" if numbers and all(isinstance(row[name], int | float) for row in rows for name in numbers) else "no numbers"
    )


def _table(rows: list[dict[str, Any]]) -> str:
    return "" if len(rows) <= 1000 and len(rows[0]) <= 14 else "too much to read"


SHAPES = {
    Kind.TIMESERIES: _timeseries,
    Kind.HEATMAP: _heatmap,
    Kind.STAT: _stat,
    Kind.BAR: _bar,
    Kind.TABLE: _table,
}
