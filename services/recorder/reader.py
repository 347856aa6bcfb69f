"""Read the record: over HTTP from a server or from a running `up`, or from an engine's folder that nobody has open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.recorder.queries import Query
from services.recorder.store import check_url, connect, database_of, first_line
from services.runtime.errors import Permanent, Temporary

UNKNOWN_FUNCTION, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE = 46, 47, 60, 81
OTHER_SCHEMA = (UNKNOWN_FUNCTION, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE)
"""What a query of ours meets where the tables are of an older version; a view with parameters counts as a function."""


class Reader:
    """Rows as dictionaries by column; times carry their zone. `open_reader` makes it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def rows(self, query: Query) -> list[dict[str, Any]]:
        """Raises Temporary when ClickHouse is away, Permanent when its tables are not those of this version."""
        try:
            result = await asyncio.to_thread(self.client.query, query.sql, query.parameters)
        except ClickHouseError as error:
            raise explained(error) from error
        return [
            {name: _with_zone(value) for name, value in zip(result.column_names, row, strict=True)}
            for row in result.result_rows
        ]


@asynccontextmanager
async def open_reader(url: str) -> AsyncIterator[Reader]:
    """For the length of a block. Raises UsageError for no such URL, Temporary when nothing answers there."""
    check_url(url)
    try:
        client = await asyncio.to_thread(connect, url, database_of(url))
    except ClickHouseError as error:
        raise explained(error) from error
    try:
        yield Reader(client)
    finally:
        await asyncio.to_thread(client.close)


def explained(error: ClickHouseError) -> Temporary | Permanent:
    """The client's error as ours."""
    code = getattr(error, "code", None)
    if code in OTHER_SCHEMA:
        return Permanent(f"ClickHouse has no such table, view or column: {first_line(error)}", "Run 'setpoint migrate'")
    return Temporary(f"ClickHouse {'refused' if code else 'does not answer'}: {first_line(error)}")


def _with_zone(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
