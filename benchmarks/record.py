"""How fast the recorder takes records from the broker into the engine, against what the engine takes at all.

And against a FastStream subscriber that does the same with the same records.

The limit is the same rows, already made, inserted by the same calls in batches of the same size, with no broker; all
are measured in the same run, in turns, since the machine's speed changes from minute to minute.

    python -m benchmarks.record [RECORDS]
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka.structs import ConsumerRecord

from benchmarks.record_faststream import faststream_rate
from schemas.events import DriftDetected, FieldChange, make_event, stable_id
from schemas.target import Target
from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.local.prepare import prepare_everything
from services.recorder.batches import Limits
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.migrations import migrate
from services.recorder.rows import Made, rows_of
from services.recorder.service import run_recorder
from services.recorder.store import ClickHouse, open_store
from services.recorder.tables import EVENTS
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import Outgoing, ensure_topics, make_producer, outgoing, send, started
from services.runtime.logging import configure_logging, get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings

RECORDS = 120_000
TURNS = 3
AIM = 0.7
PARTITIONS = 6
LIMITS = Limits()


async def measure(bootstrap: str, folder: Path, n: int = RECORDS) -> dict[str, Any]:
    """Rows a second of all three, and their ratios (medians over the turns). `folder` gets the engine's data."""
    settings = Settings(kafka=bootstrap, clickhouse=f"chdb://{folder}", partitions=PARTITIONS)
    await ensure_topics(settings)
    run = uuid4().hex[:8]
    records = [drift(run, number) for number in range(n)]
    await produce(bootstrap, records)
    made = [rows(record, number) for number, record in enumerate(records)]
    limits, rates, others = [], [], []
    for turn in range(TURNS):  # a database each: the engine would drop the second turn's inserts by their tokens
        store = await open_store(f"{settings.clickhouse}?database=turn_{turn}")
        try:
            await migrate(store)
            await insert_rate(store, made[: LIMITS.rows], "warm-up")
            limits.append(await insert_rate(store, made))
            rates.append(await record_rate(store, settings, run, n, f"{run}-{turn}"))
            others.append(await faststream_rate(store, bootstrap, f"faststream-{run}-{turn}", n, LIMITS.rows))
        finally:
            await store.close()
    ratios = [rate / limit for rate, limit in zip(rates, limits, strict=True)]
    faster = [rate / other for rate, other in zip(rates, others, strict=True)]
    return {
        "rows": n,
        "batch": LIMITS.rows,
        "record_rows_per_s": round(statistics.median(rates)),
        "insert_rows_per_s": round(statistics.median(limits)),
        "faststream_rows_per_s": round(statistics.median(others)),
        "ratio": round(statistics.median(ratios), 3),
        "to_faststream": round(statistics.median(faster), 3),
        "turns": [round(ratio, 3) for ratio in ratios],
    }


async def insert_rate(store: ClickHouse, made: Sequence[Made], name: str = "plain") -> float:
    """Rows a second of plain inserts, no broker."""
    begun = time.perf_counter()
    for first in range(0, len(made), LIMITS.rows):
        batch = [one.event for one in made[first : first + LIMITS.rows]]
        place = Place(name, "plain", 0)
        await insert_rows(store, place, Span(first, first + len(batch) - 1), {EVENTS: batch})
    return len(made) / (time.perf_counter() - begun)


async def record_rate(store: ClickHouse, settings: Settings, run: str, n: int, turn: str) -> float:
    """Rows a second of a recorder with a group of its own, from its first row to its last."""
    clock, stop = SystemClock(), asyncio.Event()
    health, metrics = Health("recorder", clock), Metrics("recorder")
    mine = settings.model_copy(update={"group_prefix": f"bench-{turn}"})
    task = asyncio.create_task(
        run_recorder(
            mine, clock=clock, health=health, metrics=metrics, log=get_log("recorder"), stop=stop, store=store,
        )
    )  # fmt: skip
    while "assignment" in health.problems() or not health.beats:  # noqa: ASYNC110 - health has no event
        await asyncio.sleep(0.005)
    begun = time.perf_counter()
    while await count(store, run) < n:
        if task.done():
            task.result()
        await asyncio.sleep(0.02)
    took = time.perf_counter() - begun
    stop.set()
    await task
    return n / took


async def count(store: ClickHouse, run: str) -> int:
    """Rows of this run that came through the broker."""
    sql = "SELECT count() FROM events WHERE cluster = {c:String} AND topic != 'plain'"
    return int((await store.query(sql, {"c": run}))[0][0])


def drift(run: str, number: int) -> Outgoing:
    """A drift as watchers report them: one field of one of a thousand Deployments."""
    name = f"service-{number % 1000:04}"
    target = Target(cluster=run, group="apps", kind="Deployment", namespace=f"team-{number % 20}", name=name)
    time = datetime.now(UTC) + timedelta(microseconds=number)
    field = FieldChange(path="/spec/replicas", kind="changed", desired=3, live=5, manager="kubectl-edit", since=time)
    data = DriftDetected(
        target=target,
        drift_id=stable_id(run, number),
        baseline="platform",
        state="changed",
        engine="dry-run",
        onset=time,
        detected_at=time,
        resource_version=str(number),
        fields=(field,),
    )
    id = stable_id("event", run, number)
    event = make_event(data, id=id, source="setpoint/watcher", subject=target.subject, time=time, correlationid=id)
    return outgoing(TopicName.DRIFT, event, name, number % PARTITIONS)


def rows(record: Outgoing, number: int) -> Made:
    """What the recorder makes of it."""
    value = record.value or b""
    now = int(time.time() * 1000)
    consumed = ConsumerRecord(record.topic, 0, number, now, 0, record.key, value, 0, 0, len(value), ())
    return rows_of(Place("plain", "plain", 0), consumed)


async def produce(bootstrap: str, records: Sequence[Outgoing]) -> None:
    """Everything onto the topic before the first measurement."""
    async with started(make_producer(bootstrap, client_id="bench")) as producer:
        for first in range(0, len(records), 5000):
            for future in [await send(producer, record) for record in records[first : first + 5000]]:
                await future


async def main(n: int) -> None:
    """Bring a broker along, measure, print."""
    configure_logging("warning")
    kafka = (await prepare_everything(lambda step: None)).kafka
    with tempfile.TemporaryDirectory() as folder:
        broker = LocalBroker(Path(folder), kafka.jars, kafka.java)
        await broker.start()
        try:
            print(json.dumps(await measure(broker.bootstrap, Path(folder) / "engine", n), indent=2))
        finally:
            await broker.stop()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS))
