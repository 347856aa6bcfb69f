"""`setpoint migrate`: bring ClickHouse's tables up to this version. The recorder does the same at its start."""

import asyncio
from typing import Any

import click

from services.cli.history import clickhouse_option, clickhouse_url
from services.cli.printing import output_option, print_rows
from services.recorder.migrations import Migration, all_migrations, migrate, pending, read_applied
from services.recorder.store import open_store

COLUMNS = {"version": "VERSION", "name": "NAME", "state": "STATE"}


@click.command(
    name="migrate",
    epilog="Example: setpoint migrate --plan --clickhouse http://default:secret@clickhouse:8123/setpoint",
    short_help="bring ClickHouse's tables up to date",
)
@click.option("--plan", is_flag=True, help="Show what would be applied, and change nothing. Exit code 1 if anything.")
@clickhouse_option
@output_option
def command(plan: bool, clickhouse: str | None, output: str) -> int:
    """Apply the migrations that the database has not seen yet.

    Refuses, and says what to do, when the database is newer than this version, or a migration was changed after it was
    applied.
    """
    done, todo = asyncio.run(_migrate(clickhouse_url(clickhouse), plan))
    state = "pending" if plan else "applied now"
    rows = [_row(migration, "applied before") for migration in done] + [_row(migration, state) for migration in todo]
    print_rows(rows, output, COLUMNS)
    return int(plan and bool(todo))


def _row(migration: Migration, state: str) -> dict[str, Any]:
    return {"version": migration.version, "name": migration.name, "checksum": migration.checksum, "state": state}


async def _migrate(url: str, plan: bool) -> tuple[list[Migration], list[Migration]]:
    store = await open_store(url, create=not plan)
    try:
        todo = list(pending(all_migrations(), await read_applied(store)) if plan else await migrate(store))
    finally:
        await store.close()
    return [migration for migration in all_migrations() if migration not in todo], todo
