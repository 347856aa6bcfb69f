"""Seconds from an event's send to its row being found by a query: at rest, and under 10 000 events a second.

The sender is a process of its own and notes when it sent which offset; here runs the recorder, and a query that asks
again and again how far each partition has come. Its own pace is part of the delay, as it is of everybody's who looks.

    python -m benchmarks.event_to_row BOOTSTRAP RATE SECONDS FILE     the sender
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure, figure
from benchmarks.record import PARTITIONS, drift
from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.local.prepare import Parts
from services.recorder.migrations import migrate
from services.recorder.service import run_recorder
from services.recorder.store import ClickHouse, open_store
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import ensure_topics, make_producer, send, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings

NAMES = ("event_to_row_p50", "event_to_row_p99", "event_to_row_loaded_p50", "event_to_row_loaded_p99")
AT_REST, LOADED = (20, 15), (10_000, 15)
"""Events a second, and for how many seconds."""
STEP_S, LOOK_S = 0.02, 0.02
MADE = 2000
Sent = tuple[int, int, float]
"""Partition, offset, and the wall clock's seconds."""


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """Both pairs of figures."""
    with tempfile.TemporaryDirectory(prefix="setpoint-bench-") as folder:
        broker = LocalBroker(Path(folder), parts.kafka.jars, parts.kafka.java)
        try:
            await broker.start()
            rest = await delays(broker.bootstrap, Path(folder), "rest", *AT_REST)
            loaded = await delays(broker.bootstrap, Path(folder), "loaded", *LOADED)
        finally:
            await broker.stop()
    figures = [
        figure(f"event_to_row{name}_p{percent}", _percentile(found, percent), len(found))
        for name, found in (("", rest), ("_loaded", loaded))
        for percent in (50, 99)
    ]
    return figures, f"{len(loaded) / LOADED[1]:.0f} events/s were sent under load"


async def delays(bootstrap: str, folder: Path, name: str, rate: int, seconds: int) -> list[float]:
    """The delay of each event, in seconds."""
    settings = Settings(
        kafka=bootstrap, clickhouse=f"chdb://{folder / 'engine'}?database={name}", partitions=PARTITIONS,
        group_prefix=name,
    )  # fmt: skip
    await ensure_topics(settings)
    store = await open_store(str(settings.clickhouse))
    clock, stop = SystemClock(), asyncio.Event()
    health, metrics = Health("recorder", clock), Metrics("recorder")
    await migrate(store)
    recorder = asyncio.create_task(
        run_recorder(
            settings, clock=clock, health=health, metrics=metrics, log=get_log("recorder"), stop=stop, store=store
        )
    )
    try:
        while "assignment" in health.problems() or not health.beats:  # noqa: ASYNC110 - health has no event
            await asyncio.sleep(0.05)
        return await _followed(store, bootstrap, folder / f"{name}.json", rate, seconds)
    finally:
        stop.set()
        await recorder
        await store.close()


async def _followed(store: ClickHouse, bootstrap: str, file: Path, rate: int, seconds: int) -> list[float]:
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, bootstrap, str(rate), str(seconds), str(file)
    )
    began, ended = time.time(), asyncio.create_task(sender.wait())
    seen: list[tuple[float, dict[int, int]]] = []
    sent: list[Sent] = []
    while not sent or any(seen[-1][1].get(partition, -1) < offset for partition, offset, _ in sent[-PARTITIONS * 50 :]):
        seen.append(await _look(store, began))
        if ended.done() and not sent:
            sent = [(one[0], one[1], one[2]) for one in json.loads(file.read_text(encoding="utf-8"))]
        await asyncio.sleep(LOOK_S)
    return matched(sent, seen)


async def _look(store: ClickHouse, since: float) -> tuple[float, dict[int, int]]:
    """The highest offset that a query finds in each partition, and when it had its answer."""
    rows = await store.query(
        "SELECT kafka_partition, max(kafka_offset) FROM events WHERE topic = {topic:String} "
        "AND kafka_time >= fromUnixTimestamp64Milli({since:Int64}) GROUP BY kafka_partition",
        {"topic": str(TopicName.DRIFT), "since": int(since * 1000) - 1000},
    )
    return time.time(), {int(partition): int(offset) for partition, offset in rows}


def matched(sent: Sequence[Sent], seen: Sequence[tuple[float, dict[int, int]]]) -> list[float]:
    """For each that was sent, the time until the first look that found it. Offsets of a partition are seen in order."""
    found: list[float] = []
    at: dict[int, int] = {}
    for partition, offset, moment in sorted(sent):
        look = at.get(partition, 0)
        while seen[look][1].get(partition, -1) < offset:
            look += 1
        at[partition] = look
        found.append(seen[look][0] - moment)
    return found


def _percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


async def feed(bootstrap: str, rate: int, seconds: int, file: Path) -> None:
    """Send at a steady pace, and write down what went where and when."""
    made = [drift("pace", number) for number in range(MADE)]
    waiting = []
    async with started(make_producer(bootstrap, client_id="pace")) as producer:
        begun, number = time.time(), 0
        while (passed := time.time() - begun) < seconds:
            while number < passed * rate:
                waiting.append((time.time(), await send(producer, made[number % MADE])))
                number += 1
            await asyncio.sleep(STEP_S)
        sent = [(moment, await future) for moment, future in waiting]
    file.write_text(json.dumps([(told.partition, told.offset, moment) for moment, told in sent]), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(feed(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
