"""All services in one process, over parts that are given or brought along: what `setpoint up` and `demo` run.

A service that fails for a time is started again with growing waits; one that fails for good ends everything, with its
reason. The parts are started before the services and ended after them.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.kube.api.cluster import Cluster, open_cluster
from services.kube.declaration.sources import declared_source, rule_source
from services.local.broker import LocalBroker
from services.local.engine import serve_engine
from services.local.launch import SERVICES, Surroundings, keep_running, new_health
from services.local.prepare import KafkaParts
from services.reconciler.policies.checking import wrongs
from services.recorder.store import ClickHouse, Store, open_store
from services.runtime.clock import SystemClock
from services.runtime.errors import Permanent, SetpointError
from services.runtime.health import Health, serve_health
from services.runtime.instance import this_instance
from services.runtime.kafka import ensure_topics
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.runtime.tasks import cancel


@dataclass
class Platform:
    """What runs. `clickhouse` is the URL for reading; `ports` are the health endpoints by service."""

    settings: Settings
    kafka: str
    clickhouse: str
    cluster: Cluster
    healths: dict[str, Health]
    ports: dict[str, int]
    failed: asyncio.Event
    broker: LocalBroker | None = None
    reason: SetpointError | None = None

    def problems(self) -> dict[str, str]:
        """What is not ready, as `service: condition → why`."""
        return {
            f"{service}/{name}": problem
            for service, health in self.healths.items()
            for name, problem in health.problems().items()
        }

    async def until_ready(self, within: float = 60.0) -> None:
        """Wait until every service can do its work. Raises Permanent naming what cannot."""
        try:
            async with asyncio.timeout(within):
                while self.problems():
                    if self.reason:
                        raise self.reason
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise Permanent(f"not ready within {within:g} s: {self.problems()}") from error


@asynccontextmanager
async def platform(settings: Settings, folder: Path, kafka: KafkaParts | None) -> AsyncIterator[Platform]:
    """Run everything for the length of a block. `folder` keeps the data of the parts that are brought along.

    `kafka` are the jars for a broker of our own, needed where `settings.kafka` names none.
    """
    async with AsyncExitStack() as stack:
        settings, broker = await _broker(stack, settings, folder, kafka)
        await ensure_topics(settings)
        store, read_url = await _engine(stack, settings, folder)
        cluster = await open_cluster(settings.kubeconfig, str(settings.context), settings.cluster)
        stack.push_async_callback(cluster.close)
        running = Platform(settings, str(settings.kafka), read_url, cluster, {}, {}, asyncio.Event(), broker)
        await _services(stack, running, store)
        yield running


async def _broker(
    stack: AsyncExitStack, settings: Settings, folder: Path, kafka: KafkaParts | None
) -> tuple[Settings, LocalBroker | None]:
    if settings.kafka:
        return settings, None
    if kafka is None:
        raise Permanent("no broker was named and none was prepared", "Give --kafka HOST:PORT")
    broker = LocalBroker(folder, kafka.jars, kafka.java)
    stack.push_async_callback(broker.stop)
    await broker.start()
    return settings.model_copy(update={"kafka": broker.bootstrap}), broker


async def _engine(stack: AsyncExitStack, settings: Settings, folder: Path) -> tuple[ClickHouse, str]:
    """The store to write to, and the URL that others read from."""
    url = settings.clickhouse or f"chdb://{folder / 'clickhouse'}"
    store = await open_store(url)
    stack.push_async_callback(store.close)
    if not url.startswith("chdb:"):
        return store, url
    return store, await stack.enter_async_context(serve_engine(store))


async def _services(stack: AsyncExitStack, running: Platform, store: Store) -> None:
    settings, clock, stop = running.settings, SystemClock(), asyncio.Event()
    if not settings.clickhouse:
        settings = settings.model_copy(update={"clickhouse": "chdb:///"})  # the store below is the one that counts
    around = Surroundings(
        settings, clock, stop, running.cluster, declared_source(settings), rule_source(settings, wrongs), store
    )
    tasks = []
    for name in SERVICES:
        if name == "gateway" and settings.gateway_secrets is None:
            continue  # nobody could send anything
        health, metrics = new_health(name, clock), Metrics(name, this_instance())
        running.healths[name] = health
        port = await stack.enter_async_context(serve_health(health, metrics, settings.http_host, 0))
        running.ports[name] = int(port or 0)
        tasks.append(asyncio.create_task(_kept(running, keep_running(name, around, health, metrics))))
    stack.push_async_callback(_end, stop, tasks)


async def _end(stop: asyncio.Event, tasks: list["asyncio.Task[None]"]) -> None:
    stop.set()
    await asyncio.wait(tasks, timeout=10)
    await cancel(*tasks)


async def _kept(running: Platform, service: Coroutine[Any, Any, None]) -> None:
    """Run a service; the first one that cannot go on ends everything, with its reason."""
    try:
        await service
    except SetpointError as error:
        running.reason = running.reason or error
        running.failed.set()
