"""Start one service with what it needs: the same for `setpoint run SERVICE` and for all of them in one process."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from services.gateway.service import run_gateway
from services.kube.api.cluster import Cluster
from services.kube.declaration.declared import DeclaredSource
from services.reconciler.service import run_reconciler
from services.recorder.service import run_recorder
from services.recorder.store import Store
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, SetpointError, Temporary
from services.runtime.health import Health
from services.runtime.kafka import KafkaError
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.rules import Written
from services.runtime.settings import Settings
from services.runtime.tasks import cancel
from services.watcher.service import run_watcher

MadeT = TypeVar("MadeT")
END_S = 15.0  # what a service may take to write what it has, once it is told to stop
SERVICES = ("watcher", "reconciler", "recorder", "gateway")
ON_A_CLUSTER = ("watcher", "reconciler")


@dataclass(frozen=True)
class Surroundings:
    """What services share in a process. Recorder and gateway need no cluster; `store` is an engine that is open."""

    settings: Settings
    clock: Clock
    stop: asyncio.Event
    cluster: Cluster | None = None
    declared: DeclaredSource | None = None
    rules: Callable[[], Written] = Written
    store: Store | None = None


async def run_service(name: str, around: Surroundings, health: Health, metrics: Metrics) -> None:
    """Run one service until `around.stop`, once."""
    settings, clock, stop, log = around.settings, around.clock, around.stop, get_log(name)
    if name == "recorder":
        await run_recorder(
            settings, clock=clock, health=health, metrics=metrics, log=log, stop=stop, store=around.store
        )
        return
    if name == "gateway":
        await run_gateway(settings, clock=clock, health=health, metrics=metrics, log=log, stop=stop)
        return
    cluster, declared = around.cluster, around.declared
    if cluster is None or declared is None:
        raise Permanent(f"the {name} needs a cluster", "Give --context NAME")
    await declared.ready(cluster, clock)
    if name == "watcher":
        await run_watcher(
            settings,
            cluster=cluster,
            declared=declared,
            clock=clock,
            health=health,
            metrics=metrics,
            log=log,
            stop=stop,
        )
    else:
        await run_reconciler(
            settings, cluster=cluster, declared=lambda: declared.bound(cluster),
            rules=around.rules, clock=clock, health=health, metrics=metrics, log=log, stop=stop,
        )  # fmt: skip


async def keep_running(name: str, around: Surroundings, health: Health, metrics: Metrics) -> None:
    """The same, started again with growing waits where it fails for a time. Raises Permanent for anything else."""
    backoff, log = Backoff(first=0.5), get_log(name)
    while not around.stop.is_set():
        health.forget("start")  # from here on the service's own conditions count
        try:
            await run_service(name, around, health, metrics)
        except (Temporary, KafkaError, OSError) as error:
            wait = backoff.next()
            _starting(health, str(error))
            log.warning("the service ended and starts again", error=str(error), wait_s=round(wait, 2))
            await around.clock.sleep(wait)
        except SetpointError as error:
            log.error("the service cannot go on", error=str(error))
            raise
        except Exception as error:
            log.error("the service failed", exc_info=error)
            raise Permanent(f"{name} failed: {error!r}", "This is a defect: please report it with the log") from error


def new_health(name: str, clock: Clock) -> Health:
    """The health of a service that has not started yet, and is not ready for that."""
    health = Health(name, clock)
    _starting(health, "it has not started yet")
    return health


async def patiently(make: Callable[[], Awaitable[MadeT]], name: str, clock: Clock, health: Health) -> MadeT:
    """What `make` makes, tried again with growing waits while a part that it needs is away."""
    backoff, log = Backoff(first=0.5), get_log(name)
    while True:
        try:
            return await make()
        except (Temporary, KafkaError, OSError) as error:
            wait = backoff.next()
            _starting(health, str(error))
            log.warning("the service cannot start yet", error=str(error), wait_s=round(wait, 2))
            await clock.sleep(wait)


async def until_stopped(stop: asyncio.Event, service: Coroutine[Any, Any, None]) -> None:
    """Run a service until `stop`, and then let it end in order, for `END_S` at most. Raises what it raises."""
    task, stopping = asyncio.create_task(service), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({task}, timeout=END_S)
        if task.done():
            task.result()
    finally:
        await cancel(task, stopping)


def _starting(health: Health, why: str) -> None:
    health.require("start", lambda: why)
