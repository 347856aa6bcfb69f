"""ClickHouse, the same for a server over HTTP and for the engine in this process.

URLs: `http(s)://user:password@host:port/database`, and `chdb:///folder`, which may name a `?database=` too. One process
may open one folder, and one folder may be open in one process.
Calls run in threads, since the client blocks. Every insert carries its deduplication token and is synchronous
(`async_insert=0`: servers since 26.2 would otherwise answer before the rows are there).
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.recorder.once import OncePool
from services.recorder.tables import Row, Table
from services.runtime.errors import Temporary, UsageError

DATABASE = "setpoint"
EMBEDDED = "chdb"
TIMEOUT_S = 60
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TAKEN = frozenset("adlnpsx")
"""What views call a table by: in a database of such a name the engine takes `x.alerts` for a column of theirs."""
SETTINGS = {"insert_deduplicate": 1, "deduplicate_blocks_in_dependent_materialized_views": 1, "async_insert": 0}
"""Of every insert. Roll-ups are told apart too: between 24.7 and 26.1 a server would count a repeated insert twice."""


class Store(Protocol):
    """What the recorder needs of ClickHouse. Everything raises Temporary when it did not work."""

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        """Insert rows as one block with this deduplication token."""

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        """Rows of a SELECT; parameters are bound by the server: `{name:Type}`."""

    async def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        """Run a statement without a result; parameters as of a query."""


class ClickHouse:
    """The real one. `open_store` makes it."""

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        await self._call(self._insert, table, rows, token)

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        result = await self._call(self.client.query, sql, parameters)
        return [tuple(row) for row in result.result_rows]

    async def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        await self._call(self.client.command, sql, parameters)

    async def close(self) -> None:
        """Close the client; the embedded engine ends with its last one."""
        await asyncio.to_thread(self.client.close)

    def _insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        told_apart = {"insert_deduplication_token": token} if table.key else {"insert_deduplicate": 0}
        for columns in table.spread(rows) if table.spread else [list(zip(*rows, strict=True))]:
            self.client.insert(
                table.name,
                columns,
                column_names=table.columns,
                column_type_names=table.types,
                column_oriented=True,
                settings=SETTINGS | told_apart,
            )

    async def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            return await asyncio.to_thread(function, *arguments)
        except ClickHouseError as error:
            raise Temporary(f"ClickHouse: {first_line(error)}") from error


async def open_store(url: str, *, create: bool = True, cluster: str | None = None) -> ClickHouse:
    """Connect; with `create`, make the database if it is not there, on every server of `cluster`.

    Raises UsageError for no such URL, Temporary when it is away.
    """
    check_url(url)
    try:
        return await asyncio.to_thread(_open, url, create, cluster)
    except ClickHouseError as error:
        raise Temporary(f"ClickHouse does not answer: {first_line(error)}") from error


def connect(url: str, database: str | None = None, **more: Any) -> Client:
    """A client of its own for this URL, in `database` or in the server's default one. Blocks; raises the library's."""
    parts = urlsplit(url)
    if parts.scheme == EMBEDDED:
        return clickhouse_connect.get_client(
            interface=EMBEDDED, path=unquote(parts.path), database=database or "", **more
        )
    return clickhouse_connect.get_client(
        interface=parts.scheme,
        host=parts.hostname,
        port=parts.port or (8443 if parts.scheme == "https" else 8123),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        database=database or "",
        autogenerate_session_id=False,
        send_receive_timeout=TIMEOUT_S,
        pool_mgr=OncePool(),
        **more,
    )


def database_of(url: str) -> str:
    """The database that a URL names, `setpoint` when it names none."""
    parts = urlsplit(url)
    if parts.scheme == EMBEDDED:
        return dict(parse_qsl(parts.query)).get("database", DATABASE)
    return parts.path.strip("/") or DATABASE


def check_url(url: str) -> None:
    """Raise UsageError for a URL that cannot be meant, without repeating a password."""
    parts = urlsplit(url)
    embedded = parts.scheme == EMBEDDED and parts.path.startswith("/") and not parts.netloc
    served = parts.scheme in ("http", "https") and bool(parts.hostname)
    if not (embedded or served):
        raise UsageError(
            f"no ClickHouse URL: {parts.scheme}://…",
            "Write http://user:password@host:8123/database, https://… or chdb:///absolute/folder",
        )
    if not NAME.fullmatch(database_of(url)):
        raise UsageError("the database's name has other characters than letters, digits and _", "Choose another one")
    if database_of(url) in TAKEN:
        raise UsageError(
            f"the database cannot be called '{database_of(url)}': views call a table so", "Choose a longer name"
        )


def first_line(error: BaseException) -> str:
    """An error of the client as one line, without the server's stack."""
    return str(error).strip().partition("\n")[0][:500]


def _open(url: str, create: bool, cluster: str | None) -> ClickHouse:
    client, name = connect(url), database_of(url)
    try:
        there = client.query("SELECT 1 FROM system.databases WHERE name = {name:String}", {"name": name}).result_rows
        if not there and create:
            everywhere = f" ON CLUSTER '{cluster}'" if cluster else ""
            client.command(f"CREATE DATABASE IF NOT EXISTS {name}{everywhere} ENGINE = Atomic")
        if there or create:
            client.database = name
        return ClickHouse(client, url)
    except BaseException:
        client.close()
        raise
