"""Read-only connections into the embedded engine, each with bounded time, rows, bytes and memory.

The engine allows any number of connections within the process that owns it; each runs one query at a time.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import chdb

from services.local.engine_guard import Refusal, check, code_of, escaped

DEFAULT_FORMAT = "TabSeparated"
WAIT_S = 30.0


@dataclass(frozen=True)
class Bounds:
    """What one query may cost."""

    seconds: int = 30
    rows: int = 1_000_000
    bytes: int = 256 * 1024 * 1024
    memory: int = 2 * 1024 * 1024 * 1024
    threads: int = 2

    def statements(self) -> tuple[str, ...]:
        """SET statements; `readonly` is the last, since nothing can be set after it."""
        values = {
            "max_execution_time": self.seconds,
            "max_result_rows": self.rows,
            "max_result_bytes": self.bytes,
            "max_memory_usage": self.memory,
            "max_threads": self.threads,
            "enable_http_compression": 1,
            "readonly": 1,
        }
        return tuple(f"SET {name} = {value}" for name, value in values.items())


class Result(Protocol):
    """As much of chdb's result as is used here."""

    def bytes(self) -> bytes: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...
    def elapsed(self) -> float: ...


class Handles:
    """A few connections, handed out one query at a time.

    A connection whose query failed is made anew: the engine leaves some of a failed query's format behind.
    """

    def __init__(self, path: str, database: str, bounds: Bounds, count: int = 2) -> None:
        self.path = path
        self.database = database
        self.bounds = bounds
        self.free: asyncio.Queue[Any] = asyncio.Queue()
        self.connections = [self._connect() for _ in range(count)]
        for connection in self.connections:
            self.free.put_nowait(connection)
        found = self.connections[0].query("SELECT lower(name) FROM system.table_functions", "TabSeparated")
        self.table_functions = frozenset(found.bytes().decode().split())

    async def close(self) -> None:
        """Close every connection, each once its query is over."""
        for _ in self.connections:
            (await self.free.get()).close()

    async def run(self, sql: str, database: str | None, form: str, parameters: Mapping[str, str]) -> Result:
        """Check and run one query. Raises Refusal, or RuntimeError with the engine's message."""
        try:
            connection = await asyncio.wait_for(self.free.get(), WAIT_S)
        except TimeoutError:
            raise Refusal(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "other queries are still running") from None
        return await asyncio.shield(
            asyncio.create_task(self._lend(connection, sql, database or self.database, form, dict(parameters)))
        )

    async def _lend(self, connection: Any, *query: Any) -> Result:
        """Runs to its end also when the caller is gone, so that the connection comes back."""
        try:
            return await asyncio.to_thread(self._run, connection, *query)
        except BaseException:
            connection.close()
            connection = self._connect()
            raise
        finally:
            self.free.put_nowait(connection)

    def _connect(self) -> Any:
        connection = chdb.connect(self.path)
        for statement in self.bounds.statements():
            connection.query(statement)
        return connection

    def _run(self, connection: Any, sql: str, database: str, form: str, parameters: dict[str, str]) -> Result:
        parsed = connection.query("SELECT formatQuerySingleLine({q:String})", "RawBLOB", params={"q": escaped(sql)})
        canonical = parsed.bytes().decode()
        check(canonical, self.table_functions)
        quoted = database.replace("\\", "\\\\").replace("`", "\\`")
        connection.query(f"USE `{quoted}`")
        result: Result = connection.query(canonical, form, params=parameters)
        return result


def failure(error: RuntimeError) -> tuple[int, str]:
    """Code and message of what the engine said, without the position in our own query about the query."""
    message = str(error).strip()
    return code_of(message), message.partition(": In scope SELECT formatQuerySingleLine")[0]
