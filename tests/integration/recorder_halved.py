"""A recorder whose engine keeps the rows of an insert and not their numbers, as one does that dies in between.

python -m tests.integration.recorder_halved BOOTSTRAP FOLDER GROUP_PREFIX at-once|later

Before its first insert it detaches what fills the roll-ups; the engine has them again when it is opened anew. With
`at-once` it kills itself when rows of changes are in, before it could pass them; with `later` it goes on.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from schemas.topics import TopicName
from services.recorder.rollups import FILLING, ROLLUPS
from services.recorder.service import run_recorder
from services.recorder.store import ClickHouse, open_store
from services.recorder.tables import EVENTS, Row, Table
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.logging import configure_logging, get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings


class Halved:
    """The engine without what fills its roll-ups."""

    def __init__(self, store: ClickHouse, when: str) -> None:
        self.store, self.when, self.whole = store, when, True

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        if self.whole and table is EVENTS:
            self.whole = False
            for rollup in ROLLUPS:
                await self.store.command(f"DETACH TABLE {FILLING.format(rollup)}")
        await self.store.insert(table, rows, token)
        if self.when == "at-once" and table is EVENTS and TopicName.CHANGES in token:
            os.kill(os.getpid(), signal.SIGKILL)

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        return await self.store.query(sql, parameters)

    async def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        await self.store.command(sql, parameters)


async def run(bootstrap: str, folder: str, prefix: str, when: str) -> None:
    configure_logging("info")
    clock, url = SystemClock(), f"chdb://{folder}"
    await run_recorder(
        Settings(kafka=bootstrap, clickhouse=url, group_prefix=prefix),
        clock=clock, health=Health("recorder", clock), metrics=Metrics("recorder"), log=get_log("recorder"),
        stop=asyncio.Event(), store=Halved(await open_store(url), when), member="killed-often",
    )  # fmt: skip


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
