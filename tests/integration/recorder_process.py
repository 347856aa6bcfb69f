"""A recorder in a process of its own, over an engine of its own: to be killed by a test.

python -m tests.integration.recorder_process run BOOTSTRAP FOLDER GROUP_PREFIX [MAX_ROWS]
python -m tests.integration.recorder_process older BOOTSTRAP FOLDER GROUP_PREFIX    cannot read every 50th change
python -m tests.integration.recorder_process replay BOOTSTRAP FOLDER GROUP_PREFIX LIMIT    dead letters back
python -m tests.integration.recorder_process ask FOLDER SQL     prints the rows as JSON
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from aiokafka.structs import ConsumerRecord

from schemas.topics import TopicName
from services.recorder import reading
from services.recorder.batches import Limits
from services.recorder.intents import Place
from services.recorder.reader import Reader
from services.recorder.rows import Made, rows_of
from services.recorder.sendback import Chosen, send_back
from services.recorder.service import run_recorder
from services.recorder.store import open_store
from services.recorder.values import Unreadable
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.logging import configure_logging, get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings

REFUSED = 50
"""The older version cannot read a change whose number this divides."""


async def run(bootstrap: str, folder: str, prefix: str, most: str = "200") -> None:
    configure_logging("info")
    clock = SystemClock()
    settings = Settings(kafka=bootstrap, clickhouse=f"chdb://{folder}", group_prefix=prefix)
    await run_recorder(
        settings,
        clock=clock,
        health=Health("recorder", clock),
        metrics=Metrics("recorder"),
        log=get_log("recorder"),
        stop=asyncio.Event(),
        member="killed-often",
        limits=Limits(rows=int(most), age=0.05, age_caught_up=0.02),
    )


async def older(*arguments: str) -> None:
    reading.rows_of = _rows_of_older  # type: ignore[attr-defined]
    await run(*arguments)


def _rows_of_older(place: Place, record: "ConsumerRecord[bytes, bytes]") -> Made:
    made = rows_of(place, record)
    if place.topic == TopicName.CHANGES and _number(record) % REFUSED == 0:
        raise Unreadable("a field that this version does not know")
    return made


def _number(record: "ConsumerRecord[bytes, bytes]") -> int:
    return int(orjson.loads(record.value or b"")["data"]["resource_version"])


async def replay(bootstrap: str, folder: str, prefix: str, limit: str) -> None:
    """Prints that it begins, and then how many letters had which fate."""
    store = await open_store(f"chdb://{folder}")
    print("begins", flush=True)
    items = await send_back(bootstrap, Reader(store.client), Chosen(f"{prefix}-recorder", int(limit)))
    print(json.dumps(Counter(str(item.why or "sent") for item in items)), flush=True)
    await store.close()


async def ask(folder: str, sql: str) -> None:
    store = await open_store(f"chdb://{folder}")
    print(json.dumps(await store.query(sql), default=str))
    await store.close()


COMMANDS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "run": run, "older": older, "replay": replay, "ask": ask,
}  # fmt: skip

if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    asyncio.run(COMMANDS[what](*arguments))
