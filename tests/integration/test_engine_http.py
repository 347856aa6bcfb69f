"""The embedded engine's read side: clickhouse-connect's own HTTP client, plain HTTP, and what it must not do."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import clickhouse_connect
import pytest
import pytest_asyncio
from click.testing import CliRunner
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from schemas.events import DriftCleared, DriftDetected, FieldChange, make_event
from schemas.target import Target
from services.cli import drift, timeline
from services.local.engine import serve_engine
from services.local.engine_handles import Bounds
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.queries import (
    changes_by_manager,
    completeness,
    correction_times,
    decisions_by_reason,
    drift_outcomes,
    unfinished_actions,
)
from services.recorder.reader import open_reader
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.recording import NOON, change
from tests.unit.test_recorder_rows import record

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
BOUNDS = Bounds(seconds=5, rows=5000)
CHANGES = 300


@pytest_asyncio.fixture(loop_scope="session")
async def url(store: ClickHouse) -> AsyncIterator[str]:
    """The read side of a database with 300 changes and two drifts, one of them over."""
    place = Place("b", "setpoint-changes", 0)
    made = [rows_of(place, record(change("east", number).value, number)).event for number in range(CHANGES)]
    made += [rows_of(place, record(value, CHANGES + number)).event for number, value in enumerate(drifts())]
    await insert_rows(store, place, Span(0, CHANGES + 2), {EVENTS: made})
    async with serve_engine(store, bounds=BOUNDS) as address:
        yield address


def drifts() -> list[bytes]:
    """Detected and cleared on `cards`, detected on `ledger`."""
    values = []
    for name in ("cards", "ledger"):
        target = Target(cluster="east", group="apps", kind="Deployment", namespace="payments", name=name)
        common: dict[str, Any] = {
            "target": target, "drift_id": f"d-{name}", "baseline": "payments", "onset": NOON, "resource_version": "1",
        }  # fmt: skip
        field = FieldChange(path="/spec/replicas", kind="changed", desired=3, live=5, manager="kubectl-edit")
        data = DriftDetected(**common, state="changed", engine="dry-run", detected_at=NOON, fields=(field,))
        envelope: dict[str, Any] = {
            "source": "w", "subject": target.subject, "time": NOON, "correlationid": "c",
        }  # fmt: skip
        values.append(make_event(data, id=f"1{name}", **envelope).model_dump_json().encode())
        if name == "cards":
            over = DriftCleared(**common, cleared_at=NOON, reason="in-sync", manager="setpoint")
            values.append(make_event(over, id=f"2{name}", **envelope).model_dump_json().encode())
    return values


async def with_client(url: str, ask: Any) -> Any:
    """What `ask` makes of clickhouse-connect's own HTTP client, with nothing set but where."""
    parts = urlsplit(url)

    def call() -> Any:
        client = clickhouse_connect.get_client(
            host=parts.hostname or "", port=parts.port or 0, database=parts.path.strip("/")
        )
        try:
            return ask(client)
        finally:
            client.close()

    return await asyncio.to_thread(call)


async def test_clickhouse_connect_reads_it_like_a_server(url: str) -> None:
    """Native format, compressed, with parameters of several types and every column type of the record."""

    def ask(client: Client) -> None:
        assert client.ping()
        whole = client.query("SELECT * FROM events ORDER BY kafka_offset")
        assert len(whole.result_rows) == CHANGES + 3
        values = client.query(
            "SELECT {text:String}, {number:UInt32} + 1, {list:Array(String)}, {time:DateTime('UTC')}",
            parameters={
                "text": "it's\n\t\\ é",
                "number": 7,
                "list": ["a", "b'c"],
                "time": datetime(2026, 1, 1, tzinfo=UTC),
            },
        ).result_rows
        assert values == [("it's\n\t\\ é", 8, ["a", "b'c"], datetime(2026, 1, 1))]  # noqa: DTZ001 - as the client gives it
        assert client.command("SELECT count() FROM changes") == CHANGES
        assert client.query("SELECT uniqExact(name) FROM changes").first_row == (50,)
        assert int(whole.summary["read_rows"]) > 0
        with client.query_rows_stream("SELECT number FROM numbers(500)") as stream:
            assert sum(row[0] for row in stream) == 499 * 250

    await with_client(url, ask)


async def test_answers_are_compressed_for_who_takes_it(url: str) -> None:
    """A page of history is a tenth of its size on the wire."""
    address = url.rpartition("/")[0]
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        query = {
            "query": "SELECT payload FROM setpoint.events"
            if url.endswith("/setpoint")
            else "SELECT payload FROM events"
        }
        query["database"] = url.rpartition("/")[2]
        async with session.get(address, params=query, headers={"Accept-Encoding": "gzip"}) as response:
            packed = await response.read()
            assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip")
        async with session.get(address, params=query, headers={"Accept-Encoding": "identity"}) as response:
            assert len(await response.read()) > 5 * len(packed)


async def test_plain_http_has_formats_parameters_and_codes(url: str) -> None:
    """curl and Grafana speak this."""
    address, _, database = url.rpartition("/")
    async with aiohttp.ClientSession(address) as session:

        async def ask(body: str, **params: str) -> tuple[int, str, str | None]:
            async with session.post("/", data=body, params={"database": database, **params}) as response:
                return response.status, await response.text(), response.headers.get("X-ClickHouse-Exception-Code")

        assert await ask("SELECT 1 AS x, 'y'") == (200, "1\ty\n", None)
        assert await ask("SELECT 1 AS x", default_format="JSONEachRow") == (200, '{"x":1}\n', None)
        assert (await ask("SELECT 1 AS x FORMAT CSVWithNames"))[1] == '"x"\n1\n'
        assert (await ask("SELECT {n:UInt8} * 2", param_n="21", max_threads="9"))[1] == "42\n"
        assert (await ask("count() FROM changes", query="SELECT"))[1] == f"{CHANGES}\n"
        assert (await ask("SELEKT 1"))[::2] == (400, "62")
        assert (await ask("SELECT * FROM nope"))[::2] == (404, "60")
        assert (await ask("SELECT 1", database="nope"))[::2] == (404, "81")
        assert (await ask("SELECT 1", default_format="x'; SELECT"))[::2] == (400, "73")
        async with session.get("/ping") as response:
            assert await response.text() == "Ok.\n"
        async with session.get("/", headers={"Host": "evil.example:80"}) as response:
            assert response.status == 403


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO events (name) VALUES ('x')",
        "TRUNCATE TABLE events",
        "ALTER TABLE events DELETE WHERE 1",
        "SYSTEM STOP MERGES",
        "KILL QUERY WHERE 1",
        "SELECT 1; DROP TABLE events",
        "SELECT /* INTO */ 1 INTO /* */ OUTFILE '{folder}/out'",
        "SELECT * FROM events INTO OUTFILE '{folder}/out' TRUNCATE",
        "SELECT file('/etc/hostname')",
        "SELECT * FROM file('/etc/hostname', LineAsString)",
        "SELECT * FROM `default`.`/etc/hostname`",
        "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
        "SELECT * FROM executable('id', LineAsString, 'a String')",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_result_rows = 0",
        "SET max_result_rows = 0",
        "CREATE TEMPORARY TABLE x (a Int8)",
    ],
)
async def test_nothing_but_reading_the_record_is_served(url: str, tmp_path: Path, query: str) -> None:
    """Neither writes, nor files, nor the network, nor other bounds, however it is written; and it works on after it."""
    address, _, database = url.rpartition("/")
    async with aiohttp.ClientSession(address) as session:
        params = {"database": database}
        async with session.post("/", data=query.replace("{folder}", str(tmp_path)), params=params) as response:
            assert response.status in (400, 403), await response.text()
            assert response.headers["X-ClickHouse-Exception-Code"] in ("62", "164")
        async with session.post("/", data="SELECT count() FROM events", params=params) as response:
            assert await response.text() == f"{CHANGES + 3}\n"
    assert list(tmp_path.iterdir()) == []


async def test_time_and_rows_are_bounded(url: str) -> None:
    """A query that would not end, and one that would not fit, are errors; others go on beside it."""

    def too_long(client: Client) -> None:
        with pytest.raises(DatabaseError, match="TIMEOUT_EXCEEDED"):
            client.query("SELECT count() FROM numbers(10000000000000) WHERE sipHash64(number) = 1")

    def too_many(client: Client) -> None:
        with pytest.raises(DatabaseError, match="TOO_MANY_ROWS"):
            client.query("SELECT number FROM numbers(100000)")

    await asyncio.gather(with_client(url, too_long), with_client(url, too_many))


async def test_reading_goes_on_while_rows_are_written(url: str, store: ClickHouse) -> None:
    """The writer's connection is another one."""
    place = Place("b", "setpoint-changes", 1)

    async def write() -> None:
        for number in range(20):
            made = rows_of(place, record(change("west", number).value, number)).event
            await insert_rows(store, place, Span(number, number), {EVENTS: [made]})

    def read(client: Client) -> int:
        return max(int(str(client.command("SELECT count() FROM events"))) for _ in range(20))

    counts = await asyncio.gather(write(), with_client(url, read), with_client(url, read))
    assert all(count is None or CHANGES + 3 <= count <= CHANGES + 23 for count in counts)


async def test_the_commands_read_it(url: str) -> None:
    """`drift` and `timeline` over HTTP, in each form, with their exit codes."""

    async def run(command: Any, *arguments: str) -> tuple[int, str]:
        call = [*arguments, "--clickhouse", url]
        result = await asyncio.to_thread(CliRunner().invoke, command, call, standalone_mode=False)
        assert result.exception is None, result.exception
        return int(result.return_value), result.output

    code, text = await run(drift.command)
    assert code == 1
    assert "ledger" in text
    assert "/spec/replicas" in text
    assert "kubectl-edit" in text
    assert "cards" not in text
    code, text = await run(drift.command, "--namespace", "elsewhere")
    assert (code, text) == (0, "no drift\n")
    code, text = await run(drift.command, "--all", "--output", "json")
    assert (code, text.count('"drift_id"'), '"cleared_by": "setpoint"' in text) == (1, 2, True)
    since = ("--since", "2026-11-01T00:00:00Z")
    code, text = await run(timeline.command, "deployment/payments/cards", *since)
    assert code == 0
    assert text.index("drift detected") < text.index("drift cleared")
    code, text = await run(timeline.command, "east/apps/Deployment/payments/api-7", *since, "--output", "yaml")
    assert (code, text.count("event_type: change.observed.v1")) == (0, CHANGES // 50)
    assert (await run(timeline.command, "pod/x/y", *since))[1] == "nothing recorded of it\n"


async def test_every_summary_query_runs(url: str) -> None:
    """On rows of every kind that is there, and on none."""
    async with open_reader(url) as reader:
        assert (await reader.rows(changes_by_manager(NOON)))[0]["changes"] == CHANGES
        assert {row["ended"]: row["drifts"] for row in await reader.rows(drift_outcomes(NOON))} == {
            "open": 1, "cleared without an action": 1,
        }  # fmt: skip
        assert (await reader.rows(completeness()))[0]["doubled"] == 0
        for query in (decisions_by_reason(NOON), correction_times(NOON), unfinished_actions()):
            assert await reader.rows(query) == []
