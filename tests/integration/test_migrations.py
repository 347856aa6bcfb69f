"""The schema on the real engine: applied once, again without harm, refused where it would be wrong."""

import asyncio
from dataclasses import replace

import pytest
from click.testing import CliRunner

from services.cli.migrate import command
from services.recorder.migrations import HISTORY, Migration, all_migrations, migrate, read_applied
from services.recorder.store import ClickHouse
from services.recorder.tables import TABLES
from services.runtime.errors import Permanent, Temporary
from tests.integration.recorder_parts import empty_store, engine_folder, store

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration


async def test_a_second_run_changes_nothing(empty_store: ClickHouse) -> None:
    """Every start of a recorder migrates."""
    assert await migrate(empty_store) == all_migrations()
    before = await empty_store.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
    )
    assert await migrate(empty_store) == ()
    after = await empty_store.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()"
    )
    assert sorted(before) == sorted(after)


async def test_two_at_once_do_no_harm(empty_store: ClickHouse) -> None:
    """Two recorders may start together."""
    await asyncio.gather(migrate(empty_store), migrate(empty_store))
    assert [entry.version for entry in await read_applied(empty_store)] == [m.version for m in all_migrations()]


async def test_an_interrupted_migration_is_run_again(empty_store: ClickHouse) -> None:
    """A file that broke in its middle is not counted, and its first half may run twice."""
    good, *_ = all_migrations()
    broken = replace(
        good, text=good.text + "\n-- statement\nCREATE TABLE broken (x Nope) ENGINE = MergeTree ORDER BY x"
    )
    with pytest.raises(Temporary):
        await migrate(empty_store, [broken])
    assert await read_applied(empty_store) == ()
    assert await migrate(empty_store) == all_migrations()


async def test_a_newer_schema_is_refused(store: ClickHouse) -> None:
    """An older version would write rows that the newer one does not expect."""
    await store.insert(HISTORY, [(9999, "future", "abc")], "t1")
    with pytest.raises(Permanent, match=r"9999_future.*newer"):
        await migrate(store)


async def test_a_changed_migration_is_refused(store: ClickHouse) -> None:
    """History is not rewritten."""
    first, *rest = all_migrations()
    with pytest.raises(Permanent, match="changed after it was applied"):
        await migrate(store, [replace(first, text=first.text + " "), *rest])


async def test_tables_have_the_columns_and_windows_that_the_recorder_counts_on(store: ClickHouse) -> None:
    """Types in code and in the engine are the same, and repeated inserts are told apart."""
    for table in TABLES:
        found: dict[str, str] = dict(
            await store.query(
                "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {t:String}",
                {"t": table.name},
            )
        )
        assert {name: found[name] for name in table.columns} == dict(zip(table.columns, table.types, strict=True))
        ddl = await store.query(f"SHOW CREATE TABLE {table.name}")
        assert "non_replicated_deduplication_window = 10000" in ddl[0][0]
        assert f"TTL toDateTime(kafka_time) + toIntervalDay({table.kept_days})" in ddl[0][0]


def test_numbers_have_no_gap() -> None:
    """Two branches that take the same number collide in review, not in a database."""
    migrations: tuple[Migration, ...] = all_migrations()
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))


async def test_the_command_plans_and_applies(empty_store: ClickHouse) -> None:
    """`--plan` says what would be done with exit code 1; then it is done; then nothing is left."""
    call = ["--clickhouse", empty_store.url, "--output", "json"]

    async def run(*more: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, command, [*call, *more], standalone_mode=False)
        assert result.exception is None
        return int(result.return_value), result.output

    assert await run("--plan") == (1, (await run("--plan"))[1])
    code, output = await run()
    assert (code, output.count("applied now")) == (0, len(all_migrations()))
    code, output = await run("--plan")
    assert (code, output.count("applied before")) == (0, len(all_migrations()))
