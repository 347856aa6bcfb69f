"""What tests of the watchers that tell alerts share: what is heard on the topic, and a watcher to start and stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from schemas.alerts import AlertFired, AlertResolved
from schemas.events import Event, parse_event
from schemas.topics import TopicName
from services.kube.api.cluster import Cluster
from services.runtime.clock import SystemClock
from services.runtime.kafka import admin, ensure_topics, make_consumer, make_producer, shared_partitions, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.runtime.tasks import background


class MovedClock(SystemClock):
    """The machine's own, some time later: what takes minutes is moved, what takes a moment is waited for."""

    def __init__(self) -> None:
        self.later = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.later

    def move(self, minutes: float) -> None:
        self.later += timedelta(minutes=minutes)


class HeardAlerts:
    """What is said of one cluster's alerts, in its order. What other tests have left in trouble is in other namespaces
    than `namespace`."""

    def __init__(self, cluster: str, namespace: str = "") -> None:
        self.cluster, self.namespace = cluster, namespace
        self.events: list[Event[Any]] = []

    def take(self, value: bytes) -> None:
        event = parse_event(value)
        if event is not None and event.data.target.cluster == self.cluster:
            self.events.append(event)

    def of(self, alert: str, name: str) -> list[AlertFired | AlertResolved]:
        """Of one alert and one target's name, in the test's namespace where it has one."""
        found = self.of_namespace(self.namespace) if self.namespace else [one.data for one in self.events]
        return [one for one in found if (one.name, one.target.name) == (alert, name)]

    def of_namespace(self, namespace: str) -> list[AlertFired | AlertResolved]:
        """About what is in one namespace."""
        return [one.data for one in self.events if one.data.target.namespace == namespace]

    def words(self, alert: str, name: str) -> list[str]:
        """The same in words."""
        return ["fired" if isinstance(data, AlertFired) else "resolved" for data in self.of(alert, name)]


@asynccontextmanager
async def hearing_alerts(bootstrap: str, cluster: str, namespace: str = "") -> AsyncIterator[HeardAlerts]:
    """Everything on the topic, from its beginning on."""
    heard = HeardAlerts(cluster, namespace)
    consumer = make_consumer(bootstrap, TopicName.ALERTS, client_id="test", fetch_max_wait_ms=50)
    async with started(consumer):

        async def read() -> None:
            async for record in consumer:
                heard.take(record.value)

        async with background(read()):
            yield heard


@dataclass
class Run:
    """One watcher while it runs."""

    metrics: Metrics
    task: "asyncio.Task[None]"

    def value(self, metric: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"setpoint_{metric}", labels)


Watch = Callable[..., Awaitable[None]]


@dataclass
class Bench:
    """Starts and stops a watcher of one cluster on the real broker, as often as a test likes."""

    cluster: Cluster
    settings: Settings
    clock: MovedClock = field(default_factory=MovedClock)

    @asynccontextmanager
    async def running(self, watch: Watch, cluster: Cluster | None = None) -> AsyncIterator[Run]:
        """`watch` until the block is left, which ends it as a lost lead does."""
        bootstrap, metrics = str(self.settings.kafka), Metrics("watcher")
        await ensure_topics(self.settings)
        async with started(admin(bootstrap)) as client:
            partitions = await shared_partitions(client)
        async with started(make_producer(bootstrap, client_id="test-watcher")) as producer:
            part = watch(
                self.settings, cluster or self.cluster, producer, partitions, clock=self.clock, metrics=metrics,
                log=get_log("watcher"),
            )  # fmt: skip
            task = asyncio.ensure_future(part)
            try:
                yield Run(metrics, task)
            finally:
                task.cancel()
                await asyncio.wait({task})
            if not task.cancelled():
                task.result()
