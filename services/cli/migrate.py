"""`setpoint migrate`: bring ClickHouse's tables up to this version, and keep its hourly numbers right.

The recorder does the first at its start. What is done here is named beforehand by `--plan`, which changes nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import click

from services.cli.history import Ago, clickhouse_option, clickhouse_url
from services.cli.printing import output_option, print_rows
from services.recorder.migrations import FILL, Migration, all_migrations
from services.recorder.rendering import render
from services.recorder.rollups import ROLLUPS, fill
from services.recorder.schema import Steps, Wanted, bring_up, plan, wanted_of
from services.recorder.store import ClickHouse, open_store
from services.runtime.errors import UsageError
from services.runtime.settings import load_settings

COLUMNS = {"version": "VERSION", "name": "NAME", "state": "STATE"}
Row = dict[str, Any]


@click.command(
    name="migrate",
    epilog="Example: setpoint migrate --plan --clickhouse http://default:secret@clickhouse:8123/setpoint",
    short_help="bring ClickHouse's tables up to date",
)
@click.option(
    "--plan", "planned", is_flag=True, help="Show what would be done, and change nothing. Exit code 1 if anything."
)
@click.option("--sql", is_flag=True, help="With --plan: the statements themselves, for who runs them by hand.")
@click.option("--rebuild-rollups", is_flag=True, help="Count the hourly numbers again from the rows, and nothing else.")
@click.option("--since", type=Ago(), help="Of --rebuild-rollups: from this hour on. Default: all that is kept.")
@click.option("--until", type=Ago(), help="Of --rebuild-rollups: before this hour. Default: the hour that runs now.")
@clickhouse_option
@output_option
def command(
    planned: bool,
    sql: bool,
    rebuild_rollups: bool,
    since: datetime | None,
    until: datetime | None,
    clickhouse: str | None,
    output: str,
) -> int:
    """Apply the migrations that the database has not seen yet, and the retention that is set.

    SETPOINT_RETENTION_EVENTS, _ROLLUPS, _METRICS and _SAMPLES say how long rows are kept; one that is not set changes
    nothing. Refuses, and says what to do, when the database is newer than this version, or a migration was changed
    after it was applied.
    """
    url, wanted = clickhouse_url(clickhouse), wanted_of(load_settings())
    if sql and not planned:
        raise UsageError("--sql shows what --plan would do", "Give --plan --sql")
    if rebuild_rollups:
        if planned:
            raise UsageError("--rebuild-rollups has no plan", "Give either --plan or --rebuild-rollups")
        times = asyncio.run(_rebuild(url, since, until))
        print_rows([{"version": "", "name": ", ".join(ROLLUPS), "state": f"{times} counted again"}], output, COLUMNS)
        return 0
    if since or until:
        raise UsageError("--since and --until are of --rebuild-rollups", "Give --rebuild-rollups too")
    steps = asyncio.run(_plan(url, wanted) if planned else _migrate(url, wanted))
    if sql:
        click.echo(script(steps, wanted), nl=False)
    else:
        print_rows(table(steps, planned), output, COLUMNS)
    return int(planned and bool(steps))


def table(steps: Steps, planned: bool) -> list[Row]:
    """Every migration and every change, with what becomes of it."""
    state = "pending" if planned else "applied now"
    rows = [_row(one, state if one in steps.migrations else "applied before") for one in all_migrations()]
    return rows + [{"version": "", "name": str(change), "checksum": "", "state": state} for change in steps.changes]


def script(steps: Steps, wanted: Wanted) -> str:
    """What would be run, as SQL. Rows that are there already are counted by the migration itself only."""
    parts = []
    for migration in steps.migrations:
        statements = [render(one, wanted.layout) for one in migration.statements if not FILL.fullmatch(one)]
        parts.append(f"-- {migration.version:04d}_{migration.name}\n" + "".join(f"{one};\n\n" for one in statements))
    return "".join(parts + [f"{render(change.sql, wanted.layout)};\n" for change in steps.changes])


def _row(migration: Migration, state: str) -> Row:
    return {"version": migration.version, "name": migration.name, "checksum": migration.checksum, "state": state}


@asynccontextmanager
async def _opened(url: str, *, create: bool, cluster: str | None = None) -> AsyncIterator[ClickHouse]:
    store = await open_store(url, create=create, cluster=cluster)
    try:
        yield store
    finally:
        await store.close()


async def _plan(url: str, wanted: Wanted) -> Steps:
    async with _opened(url, create=False) as store:
        return await plan(store, wanted)


async def _migrate(url: str, wanted: Wanted) -> Steps:
    async with _opened(url, create=True, cluster=wanted.layout.cluster) as store:
        return await bring_up(store, wanted)


async def _rebuild(url: str, since: datetime | None, until: datetime | None) -> int:
    """Whole hours: the one that `since` lies in counts, that of `until` does not."""
    now = datetime.now(UTC)
    async with _opened(url, create=False) as store:
        return await fill(store, since=since and _hour(since), until=_hour(until or now), anyway=True)


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)
