"""The watcher's wiring. In: declared state, cluster and audit. Out: setpoint-drift, -changes, -alerts, -metrics.

Steps: lead (one watcher a cluster) → restore the open drifts → watch the declared kinds → sightings to verdicts to
events. Baselines are read again when their files change, discovery and a full comparison run at their own pace. Beside
it, who leads tells alerts: of what Kubernetes itself knows to be wrong, and of Falco's logs.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaProducer

from services.kube.api.cluster import Cluster
from services.kube.api.errors import ApiError
from services.kube.declaration.declared import REDISCOVER_S, REFRESH_S, DeclaredSource
from services.kube.verdict.unwanted import prune_rules
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.health import Health
from services.runtime.kafka import KafkaError, admin, make_producer, shared_partitions, started
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.sampling import publish_metrics
from services.runtime.settings import Settings
from services.runtime.tasks import background, run_until
from services.watcher.alerting import alert_watchers
from services.watcher.hearing import hear_audit
from services.watcher.kinds import Kinds
from services.watcher.leadership import Leadership
from services.watcher.restore import read_told
from services.watcher.watcher import WORKERS, Watcher

STEADY_S = 60.0
REDISCOVER_SOON_S = 3.0  # while a declared kind is not served


async def run_watcher(
    settings: Settings, *, cluster: Cluster, declared: DeclaredSource, clock: Clock, health: Health, metrics: Metrics,
    log: Log, stop: asyncio.Event,
) -> None:  # fmt: skip
    """Run until `stop`. Raises Temporary where the broker is away at the start."""
    bootstrap = str(settings.need("kafka", "--kafka"))
    health.require("watch", lambda: "the broker was not reached yet")
    await declared.ready(cluster, clock)
    async with started(admin(bootstrap)) as client:
        partitions = await shared_partitions(client)
    group = f"{settings.group_prefix}-watcher-{cluster.name}"
    leadership = Leadership(bootstrap, group, cluster.name, partitions)
    health.require("watch", leadership.problem)
    async with started(make_producer(bootstrap, client_id="setpoint-watcher")) as producer:
        health.require("baselines", lambda: str(declared.problem) if declared.problem else None)
        await run_until(
            stop,
            leadership.run(),
            declared.keep_looking(cluster, clock, log),
            _lead(settings, leadership, partitions, producer, cluster, declared, clock, health, metrics, log),
            publish_metrics(producer, metrics, key=f"watcher/{cluster.name}", clock=clock, stop=stop),
        )


async def _lead(
    settings: Settings, leadership: Leadership, partitions: int, producer: AIOKafkaProducer, cluster: Cluster,
    declared: DeclaredSource, clock: Clock, health: Health, metrics: Metrics, log: Log,
) -> None:  # fmt: skip
    """Work whenever this process leads; stand by otherwise, which is a fine state to be in."""
    backoff, mask_key = Backoff(first=1.0), settings.key()
    while True:
        for name in ("follow", "broker"):
            health.forget(name)
        health.require("watch", leadership.problem)
        await leadership.until(True)
        log.info("leads", cluster=cluster.name)
        began = clock.monotonic()
        watcher = Watcher(cluster, producer, clock=clock, metrics=metrics, log=log, mask_key=mask_key)
        kinds = Kinds(cluster, watcher, clock=clock, metrics=metrics, log=log)
        try:
            told = await read_told(str(settings.kafka), cluster.name, partitions, log)
            watcher.memory.drifts, watcher.memory.ended = told.drifts, told.ended
            audit = hear_audit(str(settings.kafka), cluster.name, partitions, watcher.hear, clock, log)
            follow = _follow(settings, watcher, kinds, declared, clock, health, metrics)
            alerts = alert_watchers(settings, cluster, producer, partitions, clock=clock, metrics=metrics, log=log)
            await _work(watcher, kinds, leadership, follow, audit, *alerts)
            log.info("no longer leads", cluster=cluster.name)
        except (Temporary, KafkaError, ApiError) as error:
            if clock.monotonic() - began > STEADY_S:
                backoff.reset()
            metrics.inc("loop_errors_total")
            log.warning("starts over", error=str(error))
            await clock.sleep(backoff.next())


async def _work(
    watcher: Watcher, kinds: Kinds, leadership: Leadership, *parts: Coroutine[Any, Any, None]
) -> None:  # fmt: skip
    """Until leadership ends; what a part raises is raised."""
    workers = (watcher.work() for _ in range(WORKERS))
    try:
        async with background(*parts, leadership.until(False), *workers) as tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        await kinds.stop()
        watcher.queue.close()


async def _follow(
    settings: Settings, watcher: Watcher, kinds: Kinds, declared: DeclaredSource, clock: Clock, health: Health,
    metrics: Metrics,
) -> None:  # fmt: skip
    """Keep to the declared state as its files change, and compare everything anew from time to time."""
    resync = settings.resync.total_seconds()
    next_full = clock.monotonic() + resync * random.uniform(0.9, 1.1)
    looked = clock.monotonic()
    followed, done = -1, False
    baselines: set[str] = set()
    health.require("broker", watcher.unsent)
    while True:
        health.beat("follow", within=60.0)
        if followed != declared.version or not done or kinds.outdated:
            followed = declared.version
            found = declared.bound(kinds.cluster)
            baselines |= {entry.baseline for entry in found.values()}
            done = await kinds.follow(watcher.declare(found, prune_rules(declared.baselines, found)))
            health.require("watch", kinds.problem)
        _gauges(watcher, baselines, metrics)
        await clock.sleep(REFRESH_S)
        await asyncio.to_thread(declared.refresh)  # reading some thousand manifests takes seconds
        kinds.look_at_strays()
        now = clock.monotonic()
        soon = kinds.not_served or kinds.definitions.due(now)
        if kinds.definitions.due(now) or now - looked >= (REDISCOVER_SOON_S if soon else REDISCOVER_S):
            looked = now
            await kinds.rediscover()
        if now >= next_full:
            next_full = now + resync * random.uniform(0.9, 1.1)
            watcher.retell()
            kinds.relist()


def _gauges(watcher: Watcher, baselines: set[str], metrics: Metrics) -> None:
    counts = Counter(drift.baseline for drift in watcher.memory.drifts.values())
    for baseline in baselines | counts.keys():
        metrics.set("open_drifts", counts[baseline], baseline=baseline)
