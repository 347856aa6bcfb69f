"""How long the slowest panel of each dashboard takes, over a generated week and over 90 days at a tenth of its rate.

Each query is what Grafana sends: its macros expanded for the whole time, with every variable at its default. A panel's
time is the median of a few runs in a warm engine, as a dashboard that is open has it; rows and bytes are what was read.
The slowest of each dashboard is told, and every other panel that takes longer than the aim.

`SETPOINT_PANELS_90D=0.4` makes the 90 days at two fifths of the week's rate, which takes memory and minutes.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import chdb

from benchmarks.figures import AIMS, Figure, figure, table
from services.local.prepare import Parts
from services.recorder.dashboards.all import DASHBOARDS
from services.recorder.dashboards.macros import expand, frame
from services.recorder.dashboards.model import Dashboard, Panel, Variable
from services.recorder.migrations import migrate
from services.recorder.store import ClickHouse, database_of, open_store
from tests.week import Week, fill

NAMES = ("slowest_panel_week", "slowest_panel_90d", "bytes_per_row")
RUNS = 3
SCALE_WEEK, SCALE_90D = 1.0, float(os.environ.get("SETPOINT_PANELS_90D", "0.1"))
AIM_MS = AIMS["slowest_panel_week"].bound or 0


@dataclass(frozen=True)
class Timed:
    """One panel: milliseconds, and what it read."""

    dashboard: str
    panel: str
    ms: float
    rows: int
    bytes: int


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The slowest of all panels for each time; as text the slowest of each dashboard, and all that miss the aim."""
    with tempfile.TemporaryDirectory(prefix="setpoint-bench-") as folder:
        week, a_row, first = await _measured(Path(folder), "week", 7, SCALE_WEEK)
        long, _, second = await _measured(Path(folder), "quarter", 90, SCALE_90D)
    panels = sum(len(dashboard.panels) for dashboard in DASHBOARDS)
    return [
        figure("slowest_panel_week", max(one.ms for one in week), panels),
        figure("slowest_panel_90d", max(one.ms for one in long), panels),
        figure("bytes_per_row", a_row[0], a_row[1]),
    ], f"{first}\n{_shown(week)}\n\n{second}\n{_shown(long)}"


async def _measured(folder: Path, name: str, days: int, scale: float) -> tuple[list[Timed], tuple[float, int], str]:
    store = await open_store(f"chdb://{folder / 'engine'}?database={name}")
    try:
        await migrate(store)
        begun = time.perf_counter()
        week = await fill(store, days=days, scale=scale)
        took = time.perf_counter() - begun
        size, rows = await _stored(store)
        timed = [await _all_of(store, dashboard, week) for dashboard in DASHBOARDS]
        words = (
            f"{days} days: {rows} events, {week.samples} samples, made in {took:.0f} s; {size / rows:.1f} B an event"
        )
        return [one for panels in timed for one in _told(panels)], (size / rows, rows), words
    finally:
        await store.close()


async def _stored(store: ClickHouse) -> tuple[int, int]:
    """Bytes on disk and rows of `events`, indexes and all, once its parts are merged."""
    await store.command("OPTIMIZE TABLE events FINAL")
    parts = "system.parts WHERE database = currentDatabase() AND table = 'events' AND active"
    ((size, rows),) = await store.query(f"SELECT sum(bytes_on_disk), sum(rows) FROM {parts}")
    return int(size), int(rows)


async def _all_of(store: ClickHouse, dashboard: Dashboard, week: Week) -> list[Timed]:
    """Every panel of a dashboard as it is opened, the slowest first."""
    chosen = {one.name: await _first(store, one, week) for one in dashboard.variables}
    timed = [await _timed(store, dashboard, panel, week, chosen) for panel in dashboard.panels]
    return sorted(timed, key=lambda one: -one.ms)


def _told(timed: Sequence[Timed]) -> list[Timed]:
    """Of one dashboard: its slowest panel, and all that miss the aim."""
    return [one for place, one in enumerate(timed) if place == 0 or one.ms > AIM_MS]


async def _first(store: ClickHouse, variable: Variable, week: Week) -> Sequence[str]:
    """What is chosen when a dashboard is opened: all, the default, or the first that there is."""
    if variable.default or variable.all or not variable.sql:
        return [variable.default] if variable.default else []
    rows = await store.query(expand(variable.sql, frame(week.since, week.until)))
    return [str(rows[0][0])] if rows else []


async def _timed(
    store: ClickHouse, dashboard: Dashboard, panel: Panel, week: Week, chosen: Mapping[str, Sequence[str]]
) -> Timed:
    sql = expand(panel.sql, frame(week.since, week.until, step_s=panel.step_s, variables=chosen))
    times: list[float] = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        store.client.query(sql)
        times.append((time.perf_counter() - begun) * 1000)
    return Timed(dashboard.title, panel.title, statistics.median(times), *_read(store, sql))


def _read(store: ClickHouse, sql: str) -> tuple[int, int]:
    """Rows and bytes that a query reads of its tables: the client's own summary has those of its answer only."""
    connection = chdb.connect(urlsplit(store.url).path)
    try:
        connection.query(f"USE {database_of(store.url)}", "Null")
        result = connection.query(sql, "Null")
        return int(result.storage_rows_read()), int(result.storage_bytes_read())
    finally:
        connection.close()


def _shown(told: Sequence[Timed]) -> str:
    rows = [("dashboard", "panel", "ms", "rows read", "MB read")]
    rows += [(one.dashboard, one.panel, f"{one.ms:.0f}", str(one.rows), f"{one.bytes / 1e6:.1f}") for one in told]
    return table(rows, right=(2, 3, 4))
