"""The schema's SQL for a cluster of replicas, and how long rows may be kept."""

import re
from datetime import timedelta
from typing import Any

import pytest

from services.recorder.migrations import FILL, HISTORY_DDL, Migration, all_migrations, refuse_older
from services.recorder.rendering import ONE_SERVER, Layout, render
from services.recorder.retention import KEPT, TTL, Change, checked
from services.recorder.schema import wanted_of
from services.recorder.store import check_url
from services.runtime.errors import Permanent, UsageError
from services.runtime.settings import Settings

CLUSTER = Layout("{cluster}")
STATEMENTS = [statement for one in all_migrations() for statement in one.statements if not FILL.fullmatch(statement)]
STATEMENTS.append(HISTORY_DDL.strip())


def body(statement: str) -> str:
    """Without the comments before it."""
    return "\n".join(line for line in statement.splitlines() if not line.startswith("--"))


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: body(text)[:50])
def test_one_server_runs_what_stands_in_the_file(statement: str) -> None:
    """Its checksum is that of what was run."""
    assert render(statement, ONE_SERVER) == statement


def test_a_database_is_not_called_as_views_call_their_tables() -> None:
    """The engine would look for such a table in the database of that name, and refuse the view."""
    names = {name for one in STATEMENTS for name in re.findall(r"(?:\bFROM \w+|\bJOIN \w+|\)) AS (\w)\b", body(one))}
    assert names >= {"a", "x"}
    for name in names:
        with pytest.raises(UsageError, match=f"cannot be called '{name}'"):
            check_url(f"chdb:///data?database={name}")
    check_url("http://localhost:8123/setpoint")


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda text: body(text)[:50])
def test_a_cluster_runs_every_statement_everywhere(statement: str) -> None:
    """ON CLUSTER follows the name; every table is replicated; no deduplication window stays that replicas ignore."""
    rendered = body(render(statement, CLUSTER))
    head = re.match(r"(?:CREATE|ALTER) .*?(\w+) ON CLUSTER '\{cluster\}'", rendered)
    assert head, rendered[:80]
    assert rendered.count("ON CLUSTER") == 1
    for engine in re.findall(r"\b(\w*MergeTree)\b", rendered):
        assert engine.startswith("Replicated")
    assert "non_replicated_deduplication_window" not in rendered
    assert rendered.count("replicated_deduplication_window = ") == statement.count(
        "non_replicated_deduplication_window"
    )


def test_tables_are_replicated_without_a_cluster_too() -> None:
    """Where the database itself takes statements to all servers."""
    table = next(statement for statement in STATEMENTS if "TABLE IF NOT EXISTS events_hourly" in statement)
    rendered = render(table, Layout(replicated=True))
    assert "ENGINE = ReplicatedAggregatingMergeTree\n" in rendered
    assert "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800" in rendered
    assert "ON CLUSTER" not in rendered


@pytest.mark.parametrize("name", ["", "a b", "x' ENGINE", "a;b"])
def test_a_clusters_name_is_no_sql(name: str) -> None:
    """It stands in statements that cannot have parameters."""
    with pytest.raises(UsageError, match="CLICKHOUSE_CLUSTER"):
        Layout(name)


@pytest.mark.parametrize(
    ("name", "time", "least"),
    [
        pytest.param("events", timedelta(days=30), "at least 31d", id="history finer than a month"),
        pytest.param("rollups", timedelta(hours=1), "at least 31d", id="numbers finer than a month"),
        pytest.param("metrics", timedelta(hours=23), "at least 1d", id="metrics finer than a day"),
        pytest.param("metrics", timedelta(days=1, hours=1), "whole days", id="no whole days"),
    ],
)
def test_what_partitions_are_too_coarse_for_is_refused(name: str, time: timedelta, least: str) -> None:
    """What is dropped goes as a whole: a promise of less would not be kept."""
    with pytest.raises(UsageError, match=f"SETPOINT_RETENTION_{name.upper()}") as caught:
        checked({name: time})
    assert least in str(caught.value.fix)


def test_every_setting_is_of_tables_that_are_there() -> None:
    """Each of them drops whole partitions by the time that the setting is about."""
    for kept in KEPT.values():
        for table, by, more in kept.tables:
            (ddl,) = [one for one in STATEMENTS if f"CREATE TABLE IF NOT EXISTS {table}\n" in one]
            change = Change(table, by, None, 100 + more)
            assert f"TTL {by} + INTERVAL" in ddl
            assert change.sql == f"ALTER TABLE {table} MODIFY TTL {by} + INTERVAL {100 + more} DAY"
            assert "ttl_only_drop_parts = 1" in ddl


def test_the_engines_own_words_are_read() -> None:
    """As it shows a table: the interval is a function there."""
    text = "ENGINE = MergeTree PARTITION BY toDate(t) ORDER BY t TTL toDateTime(t) + toIntervalDay(30) SETTINGS x = 1"
    match = TTL.search(text)
    assert match is not None
    assert match[1] == "30"


@pytest.mark.parametrize("given", [{}, {"retention_events": "90d", "clickhouse_cluster": "main"}])
def test_only_what_is_set_is_wanted(given: dict[str, Any]) -> None:
    """The rest stays as it is, whoever made it so."""
    wanted = wanted_of(Settings(**given))
    assert wanted.kept == ({"events": timedelta(days=90)} if given else {})
    assert wanted.layout == Layout(given.get("clickhouse_cluster"))


def test_an_older_schema_says_what_to_run() -> None:
    """To a recorder that may not create tables."""
    refuse_older(())
    with pytest.raises(Permanent, match="0006_rollups") as caught:
        refuse_older((Migration(6, "rollups", ""),))
    assert "setpoint migrate" in str(caught.value.fix)
