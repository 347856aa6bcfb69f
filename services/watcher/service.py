"""The watcher's wiring. In: declared state and cluster. Out: setpoint-drift, setpoint-changes, setpoint-metrics.

Steps: lead (one watcher a cluster) → restore the open drifts → watch the declared kinds → sightings to verdicts to
events. Baselines are read again when their files change, discovery and a full comparison run at their own pace.
"""

import asyncio
import random

from aiokafka import AIOKafkaProducer

from services.kube.cluster import Cluster
from services.kube.declared import DeclaredSource
from services.kube.errors import ApiError
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.health import Health
from services.runtime.kafka import KafkaError, admin, make_producer, shared_partitions, started
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.sampling import publish_metrics
from services.runtime.settings import Settings
from services.runtime.tasks import background, run_until
from services.watcher.kinds import Kinds
from services.watcher.leadership import Leadership
from services.watcher.restore import open_drifts
from services.watcher.watcher import WORKERS, Watcher

REFRESH_S = 1.0
REDISCOVER_S = 30.0


async def run_watcher(
    settings: Settings, *, cluster: Cluster, declared: DeclaredSource, clock: Clock, health: Health, metrics: Metrics,
    log: Log, stop: asyncio.Event,
) -> None:  # fmt: skip
    """Run until `stop`. Raises Temporary where the broker is away at the start."""
    bootstrap = str(settings.need("kafka", "--kafka"))
    async with started(admin(bootstrap)) as client:
        partitions = await shared_partitions(client)
    group = f"{settings.group_prefix}-watcher-{cluster.name}"
    leadership = Leadership(bootstrap, group, cluster.name, partitions)
    async with started(make_producer(bootstrap, client_id="setpoint-watcher")) as producer:
        health.require("baselines", lambda: str(declared.problem) if declared.problem else None)
        await run_until(
            stop,
            leadership.run(),
            _lead(settings, leadership, partitions, producer, cluster, declared, clock, health, metrics, log),
            publish_metrics(producer, metrics, key=f"watcher/{cluster.name}", clock=clock, stop=stop),
        )


async def _lead(
    settings: Settings, leadership: Leadership, partitions: int, producer: AIOKafkaProducer, cluster: Cluster,
    declared: DeclaredSource, clock: Clock, health: Health, metrics: Metrics, log: Log,
) -> None:  # fmt: skip
    """Work whenever this process leads; stand by otherwise, which is a fine state to be in."""
    while True:
        health.require("watch", lambda: None)
        await leadership.until(True)
        log.info("leads", cluster=cluster.name)
        watcher = Watcher(cluster, producer, clock=clock, metrics=metrics, log=log, mask_key=settings.key())
        kinds = Kinds(cluster, watcher, clock=clock, metrics=metrics, log=log)
        health.require("watch", kinds.problem)
        try:
            watcher.memory.drifts = await open_drifts(str(settings.kafka), cluster.name, partitions, log)
            workers = (watcher.work() for _ in range(WORKERS))
            follow = _follow(settings, watcher, kinds, declared, clock, health, metrics)
            async with background(follow, leadership.until(False), *workers) as tasks:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        except (Temporary, KafkaError, ApiError) as error:
            metrics.inc("loop_errors_total")
            log.warning("starts over", error=str(error))
            await clock.sleep(1.0)
        finally:
            kinds.stop()
            watcher.queue.close()
        log.info("no longer leads", cluster=cluster.name)


async def _follow(
    settings: Settings, watcher: Watcher, kinds: Kinds, declared: DeclaredSource, clock: Clock, health: Health,
    metrics: Metrics,
) -> None:  # fmt: skip
    """Keep to the declared state as its files change, and compare everything anew from time to time."""
    resync = settings.resync.total_seconds()
    next_full = clock.monotonic() + resync * random.uniform(0.9, 1.1)
    next_look = clock.monotonic() + REDISCOVER_S
    followed, changed = -1, True
    while True:
        health.beat("follow", within=60.0)
        if changed or followed != declared.version:
            followed, changed = declared.version, False
            watcher.declare(declared.bound(kinds.cluster))
            await kinds.follow(watcher.declared)
        _gauges(watcher, metrics)
        await clock.sleep(REFRESH_S)
        now = clock.monotonic()
        declared.refresh()
        if now >= next_look:
            next_look = now + REDISCOVER_S
            changed = await kinds.rediscover()
        if now >= next_full:
            next_full = now + resync * random.uniform(0.9, 1.1)
            await watcher.retell()
            kinds.relist()


def _gauges(watcher: Watcher, metrics: Metrics) -> None:
    counts: dict[str, int] = dict.fromkeys((found.baseline for found in watcher.declared.values()), 0)
    for drift in watcher.memory.drifts.values():
        counts[drift.baseline] = counts.get(drift.baseline, 0) + 1
    for baseline, count in counts.items():
        metrics.set("open_drifts", count, baseline=baseline)
