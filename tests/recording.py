"""Helpers of the recorder's tests: events to record, a recorder beside a test, and what it wrote."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.events import ChangeObserved, MetricSampled, Sample, make_event, stable_id
from schemas.target import Target
from schemas.topics import TopicName
from services.recorder.batches import Limits
from services.recorder.deadletters import DlqLimit
from services.recorder.service import run_recorder
from services.recorder.store import Store
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import Outgoing, make_producer, outgoing, send_all, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def change(cluster: str, number: int, names: int = 50, since: datetime = NOON) -> Outgoing:
    """The `number`-th change in a cluster, so many milliseconds after `since`, on one of `names` objects."""
    target = Target(
        cluster=cluster, group="apps", kind="Deployment", namespace="payments", name=f"api-{number % names}"
    )
    time = since + timedelta(milliseconds=number)
    data = ChangeObserved(
        target=target,
        operation="updated",
        resource_version=str(number),
        paths=("/spec/replicas",),
        manager="kubectl",
        time=time,
    )
    id = stable_id(cluster, number)
    event = make_event(data, id=id, source="setpoint/watcher", subject=target.subject, time=time, correlationid=id)
    return outgoing(TopicName.CHANGES, event, target.subject)


def samples(key: str, number: int, count: int = 3) -> Outgoing:
    """The `number`-th batch of a service's metrics, `count` samples in it."""
    time = NOON + timedelta(seconds=number)
    data = MetricSampled(
        source=key,
        samples=tuple(
            Sample(name=f"m{index}", value=index, time=time, labels={"n": str(number)}) for index in range(count)
        ),
    )
    id = stable_id(key, number)
    return outgoing(
        TopicName.METRICS,
        make_event(data, id=id, source=key, subject=key, time=time, correlationid=id),
        f"{key}-{number}",
    )


async def produce(bootstrap: str, records: Iterable[Outgoing]) -> None:
    """Send records, and wait until the broker has them all."""
    async with started(make_producer(bootstrap, client_id="test")) as producer:
        await send_all(producer, records)


async def until(condition: Callable[[], Awaitable[Any]], within: float = 120.0) -> Any:
    """The condition's first true answer; TimeoutError when none comes in time."""
    async with asyncio.timeout(within):
        while True:
            if answer := await condition():
                return answer
            await asyncio.sleep(0.05)


@dataclass
class Running:
    """A recorder beside the test."""

    health: Health
    metrics: Metrics
    stop: asyncio.Event
    task: "asyncio.Task[None]"

    async def ready(self) -> None:
        """Wait until it says that it can do its work; raises what it ended with."""

        async def condition() -> bool:
            if self.task.done():
                self.task.result()
            return not self.health.problems()

        await until(condition)

    def counted(self, name: str) -> float:
        """The sum of a counter over its labels."""
        lines = self.metrics.text().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"setpoint_{name}"))


@asynccontextmanager
async def recorder(
    settings: Settings, store: Store, limits: Limits | None = None, dlq: DlqLimit | None = None, instance: str = ""
) -> AsyncIterator[Running]:
    """Run a recorder in this process for the length of a block; leaving the block stops it in order."""
    clock, stop = SystemClock(), asyncio.Event()
    health, metrics = Health("recorder", clock), Metrics("recorder", instance)
    task = asyncio.create_task(
        run_recorder(
            settings,
            clock=clock,
            health=health,
            metrics=metrics,
            log=get_log("recorder"),
            stop=stop,
            store=store,
            limits=limits,
            dlq=dlq,
        )
    )
    try:
        yield Running(health, metrics, stop, task)
    finally:
        stop.set()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            raise task.exception() or AssertionError


async def recorded(store: Store, cluster: str) -> int:
    """How many rows a cluster's events have."""
    return int((await store.query("SELECT count() FROM events WHERE cluster = {c:String}", {"c": cluster}))[0][0])


async def proved(store: Store, cluster: str, count: int) -> None:
    """Assert that the numbers 0 to count-1 are each recorded exactly once."""
    rows = await store.query(
        "SELECT JSONExtractString(payload, 'data', 'resource_version') AS n, count() FROM events "
        "WHERE cluster = {c:String} GROUP BY n",
        {"c": cluster},
    )
    found = {int(number): times for number, times in rows}
    missing = set(range(count)) - set(found)
    doubled = {number for number, times in found.items() if times != 1}
    assert (missing, doubled, set(found) - set(range(count))) == (set(), set(), set())
