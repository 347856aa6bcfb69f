"""Read the demo's history back from ClickHouse by SQL, over its HTTP interface, as any other client would.

Called at the end of the demo. The recorder writes in batches, so what the last scene did may come a moment later:
the summary waits until every decision and outcome that was seen is in the record, and says so when one is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from schemas.base import rfc3339
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Temporary

OURS = "cluster = {cluster:String} AND %s >= parseDateTime64BestEffort({since:String}, 6)"

RECORDED = f"""
    SELECT decision_id AS id FROM decisions WHERE {OURS % "decided_at"}
    UNION ALL SELECT action_id AS id FROM actions WHERE outcome != '' AND {OURS % "begun_at"}"""

QUERIES: Mapping[str, str] = {
    "Recorded in ClickHouse": f"""
        SELECT event_type AS event, toUInt32(count()) AS rows, toUInt32(uniqExact(subject)) AS objects
        FROM events WHERE {OURS % "event_time"} GROUP BY event ORDER BY event""",
    "Decisions": f"""
        SELECT verdict, reason, policy, toUInt32(count()) AS times
        FROM decisions WHERE {OURS % "decided_at"} GROUP BY verdict, reason, policy ORDER BY verdict, times DESC""",
    "Time to correct, by Setpoint's own clocks": f"""
        SELECT namespace, toUInt32(count()) AS corrected, round(quantileExact(0.5)(correct_ms)) AS p50_ms,
            round(max(correct_ms)) AS max_ms
        FROM time_to_correct
        WHERE cleared_at IS NOT NULL AND outcome = 'succeeded' AND {OURS % "detected_at"}
        GROUP BY namespace ORDER BY namespace""",
    "Still not as declared": f"""
        SELECT kind, namespace, name, arrayStringConcat(fields, ', ') AS fields
        FROM open_drifts WHERE {OURS % "detected_at"} ORDER BY namespace, name""",
}

# Counts are 32 bits wide in the answers: some servers put wider ones in quotes.
PATIENCE = 10.0  # seconds for the recorder to write what was seen on the topics
TRY_AGAIN = 0.1
TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass(frozen=True)
class Summary:
    """Rows by title. `missing` counts decisions and ended actions that the topics had and ClickHouse has not."""

    tables: Mapping[str, list[dict[str, Any]]]
    missing: int


def split_url(url: str) -> tuple[str, dict[str, str]]:
    """`http://host:8123/database` as HTTP wants it: the address of queries, and the database as a parameter."""
    parts = urlsplit(url)
    name = parts.path.strip("/")
    return f"{parts.scheme}://{parts.netloc}/", {"database": name} if name else {}


class Reader:
    """Asks for what one cluster's demo has done since it began."""

    def __init__(self, session: aiohttp.ClientSession, url: str, cluster: str, since: datetime) -> None:
        self.session, (self.url, database) = session, split_url(url)
        self.settings = {
            **database,
            "default_format": "JSONEachRow",
            "param_cluster": cluster,
            "param_since": rfc3339(since),
        }

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a SELECT. Raises Permanent with ClickHouse's own message, Temporary where nothing answers."""
        try:
            async with self.session.post(self.url, params=self.settings, data=sql.encode()) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Temporary(f"ClickHouse does not answer at {self.url}: {error}") from error
        if response.status != 200:
            raise Permanent(f"ClickHouse answered {response.status}: {body.decode(errors='replace')[:500]}")
        return [orjson.loads(line) for line in body.splitlines() if line]


async def read_summary(url: str, cluster: str, since: datetime, seen: frozenset[str], clock: Clock) -> Summary:
    """Wait until the decisions and ended actions with the ids `seen` are recorded, then read every table.

    Raises as `Reader.rows` does.
    """
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        reader = Reader(session, url, cluster, since)
        missing = await _wait_recorded(reader, seen, clock)
        return Summary({title: await reader.rows(sql) for title, sql in QUERIES.items()}, missing)


async def _wait_recorded(reader: Reader, seen: frozenset[str], clock: Clock) -> int:
    """How many are still missing once there is no more patience."""
    until = clock.monotonic() + PATIENCE
    while True:
        missing = seen - {row["id"] for row in await reader.rows(RECORDED)}
        if not missing or clock.monotonic() > until:
            return len(missing)
        await clock.sleep(TRY_AGAIN)
