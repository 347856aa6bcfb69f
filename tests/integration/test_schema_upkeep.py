"""The schema beside its migrations, on the real engine: plans, retention, a cluster's SQL, who may not change it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from services.cli.migrate import command
from services.recorder.migrations import FILL, all_migrations, migrate
from services.recorder.queries import Query, TargetPattern, drifts, timeline
from services.recorder.reader import open_reader
from services.recorder.rendering import Layout, render
from services.recorder.retention import KEPT, as_kept, kept_days
from services.recorder.schema import Wanted, bring_up, insist, plan
from services.recorder.service import run_recorder
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS, METRICS
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent, UsageError
from services.runtime.health import Health
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from tests.crafted import change, put
from tests.integration.recorder_parts import empty_store, engine_folder, store

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
HERE = Layout()


def kept(**days: int) -> Wanted:
    """Settings that say how many days something is kept."""
    return Wanted(HERE, {name: timedelta(days=number) for name, number in days.items()})


def milliseconds_ago(days: int) -> int:
    return int((datetime.now(UTC) - timedelta(days=days)).timestamp() * 1000)


async def run(store: ClickHouse, *arguments: str) -> tuple[int, str]:
    """The command, with its exit code and output; raises what it raises."""
    call = [*arguments, "--clickhouse", store.url]
    result = await asyncio.to_thread(CliRunner().invoke, command, call, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value), result.output


async def definitions(store: ClickHouse) -> list[Any]:
    return await store.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )


async def test_a_setting_is_taken_over_once(store: ClickHouse) -> None:
    """All tables that it is about; a second time there is nothing to do; what is not set stays."""
    wanted = kept(rollups=90, metrics=7)
    before = await kept_days(store, "events")
    steps = await bring_up(store, wanted)
    assert len(steps.changes) == len(KEPT["rollups"].tables) + 1
    assert [await kept_days(store, name) for name in ("events_hourly", "metrics", "events")] == [90, 7, before]
    assert not await bring_up(store, wanted)
    assert (await as_kept(store, METRICS)).kept_days == 7


async def test_what_is_too_old_for_a_new_setting_goes(store: ClickHouse) -> None:
    """Rows that are there already, and rows that come late; the younger ones stay."""
    await put(store, [change(0, "a")], milliseconds_ago(200))
    await put(store, [change(1, "b")], milliseconds_ago(1))
    assert await store.query("SELECT count() FROM events") == [(2,)]
    await bring_up(store, kept(events=100))
    await store.command("OPTIMIZE TABLE events FINAL")
    assert await store.query("SELECT manager FROM events") == [("b",)]
    assert (await as_kept(store, EVENTS)).kept_days == 100


async def test_a_plan_touches_nothing(store: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names each change of retention, ends with 1, and leaves every table as it was; then it is done."""
    monkeypatch.setenv("SETPOINT_RETENTION_EVENTS", "90d")
    before = await definitions(store)
    code, output = await run(store, "--plan", "--output", "json")
    assert (code, "events keeps its rows 90 days, not 400 days" in output) == (1, True)
    assert await run(store, "--plan", "--sql") == (
        1, "ALTER TABLE events MODIFY TTL toDateTime(kafka_time) + INTERVAL 90 DAY;\n",
    )  # fmt: skip
    assert await definitions(store) == before
    assert (await run(store))[0] == 0
    assert await kept_days(store, "events") == 90
    assert (await run(store, "--plan"))[0] == 0


async def test_a_plan_of_an_empty_database_makes_no_table(empty_store: ClickHouse) -> None:
    """And prints every statement that would be run, once."""
    code, output = await run(empty_store, "--plan", "--sql")
    assert code == 1
    assert output.count("\nCREATE TABLE IF NOT EXISTS events\n") == 1
    assert "-- fill" not in output
    assert await definitions(empty_store) == []


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--sql",), id="sql without a plan"),
        pytest.param(("--plan", "--rebuild-rollups"), id="a plan of a rebuild"),
        pytest.param(("--since", "1h"), id="a time of nothing"),
    ],
)
async def test_options_that_mean_nothing_together_are_refused(store: ClickHouse, arguments: tuple[str, ...]) -> None:
    """Before anything is touched."""
    with pytest.raises(UsageError):
        await run(store, *arguments)


async def test_the_engines_own_parser_takes_a_clusters_sql(store: ClickHouse) -> None:
    """No cluster is here to run it, so it is parsed: every statement, as a cluster of replicas would be sent it."""
    layout = Layout("main", replicated=True)
    for migration in all_migrations():
        for statement in migration.statements:
            if FILL.fullmatch(statement):
                continue
            rendered = render(statement, layout)
            ((parsed,),) = await store.query("SELECT formatQuerySingleLine({sql:String})", {"sql": rendered})
            assert "ON CLUSTER main" in parsed or "ON CLUSTER `main`" in parsed or "ON CLUSTER 'main'" in parsed


async def test_a_recorder_that_may_not_change_the_schema_says_what_to_run(empty_store: ClickHouse) -> None:
    """It ends before it joins its group, and has made no table; nor does it go on with a newer schema."""
    await migrate(empty_store, all_migrations()[:5])
    before = await definitions(empty_store)
    clock = SystemClock()
    settings = Settings(kafka="127.0.0.1:1", clickhouse=empty_store.url, migrate="refuse")
    with pytest.raises(Permanent, match=r"older than this version.*setpoint migrate"):
        await run_recorder(
            settings, clock=clock, health=Health("recorder", clock), metrics=Metrics("recorder"),
            log=get_log("recorder"), stop=asyncio.Event(), store=empty_store,
        )  # fmt: skip
    assert await definitions(empty_store) == before
    assert len((await plan(empty_store, kept())).migrations) == len(all_migrations()) - 5
    await migrate(empty_store)
    await insist(empty_store)


async def test_a_command_that_meets_an_older_schema_says_what_to_run(empty_store: ClickHouse) -> None:
    """Whether it is a table, a column or a whole view that is not there yet."""
    await migrate(empty_store, all_migrations()[:1])
    about, now = TargetPattern("pod", "pay", "api"), datetime.now(UTC)
    queries = [
        timeline(about, now, now, 10), drifts(closed=True, cluster=None, namespace=None, limit=1),
        Query("SELECT severity FROM events", {}),
    ]  # fmt: skip
    async with open_reader(empty_store.url) as reader:
        for query in queries:
            with pytest.raises(Permanent, match="Run 'setpoint migrate'"):
                await reader.rows(query)
