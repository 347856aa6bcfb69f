"""A recorder in a process of its own, over an engine of its own: to be killed by a test.

python -m tests.integration.recorder_process run BOOTSTRAP FOLDER GROUP_PREFIX [MAX_ROWS]
python -m tests.integration.recorder_process ask FOLDER SQL     prints the rows as JSON
"""

import asyncio
import json
import sys

from services.recorder.batches import Limits
from services.recorder.service import run_recorder
from services.recorder.store import open_store
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.logging import configure_logging, get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings


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


async def ask(folder: str, sql: str) -> None:
    store = await open_store(f"chdb://{folder}")
    print(json.dumps(await store.query(sql), default=str))
    await store.close()


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    asyncio.run(run(*arguments) if what == "run" else ask(*arguments))
