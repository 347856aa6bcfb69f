"""The recorder: every topic → ClickHouse, each record exactly once.

In: the recorded topics, with the group's own commits as memory. Out: the tables `events` and `metrics`, and the dead
letters. Steps: `reading` makes rows, `session` announces, inserts and passes, `replay` takes up what an owner left.
"""

import asyncio
from contextlib import AsyncExitStack, suppress

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from services.recorder.batches import Limits
from services.recorder.deadletters import DlqCount, DlqLimit
from services.recorder.loop import MAX_POLL_INTERVAL_MS, Loop
from services.recorder.parts import Parts
from services.recorder.reading import Reading
from services.recorder.schema import bring_up, insist, wanted_of
from services.recorder.store import Store, open_store
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.health import Health
from services.runtime.kafka import admin, make_consumer, make_producer, started
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.sampling import publish_metrics
from services.runtime.settings import Settings
from services.runtime.tasks import background

NAME = "recorder"
STEADY_S = 60.0


async def run_recorder(
    settings: Settings,
    *,
    clock: Clock,
    health: Health,
    metrics: Metrics,
    log: Log,
    stop: asyncio.Event,
    store: Store | None = None,
    limits: Limits | None = None,
    dlq: DlqLimit | None = None,
    member: str | None = None,
) -> None:
    """Record until `stop`. What is away is waited for; raises Permanent when waiting would not help.

    `store` is for a process that has the engine open already: it is used and left open. `member` is a name that this
    recorder keeps over restarts (Kafka's static membership): after a crash it goes on at once, where the group would
    otherwise wait for the session of the dead one to end. No two may have the same.
    """
    bootstrap, url = str(settings.need("kafka", "--kafka")), str(settings.need("clickhouse", "--clickhouse"))
    wanted = wanted_of(settings)
    backoff, count = Backoff(first=0.5), DlqCount(dlq or DlqLimit())
    troubles = ["it has not started yet"]
    health.require("start", lambda: troubles[-1] if troubles else None)

    async def record_once() -> None:
        async with AsyncExitStack() as stack:
            engine = store or await _opened(stack, url, settings)
            await (insist(engine) if settings.migrate == "refuse" else bring_up(engine, wanted))
            group = f"{settings.group_prefix}-{NAME}"
            client = await stack.enter_async_context(started(admin(bootstrap, f"setpoint-{NAME}-admin")))
            producer = await stack.enter_async_context(started(make_producer(bootstrap, client_id=NAME)))
            consumer = await stack.enter_async_context(started(_consumer(bootstrap, group, member)))
            broker = str((await client.describe_cluster())["cluster_id"])
            parts = Parts(consumer, producer, client, engine, broker, group, clock, health, metrics, log)
            loop = Loop(parts, Reading(producer, count, metrics, log), limits or Limits())
            await stack.enter_async_context(background(publish_metrics(producer, metrics, NAME, clock, stop)))
            troubles.clear()
            await loop.run(stop)

    while not stop.is_set():
        begun = clock.monotonic()
        try:
            await record_once()
        except (Temporary, KafkaError) as error:
            if clock.monotonic() - begun > STEADY_S:
                backoff.reset()
            troubles.append(f"{type(error).__name__}: {error}")
            log.warning("the recorder could not go on and starts again", error=troubles[-1])
            metrics.inc("loop_errors_total")
            await _pause(backoff.next(), stop)


def _consumer(bootstrap: str, group: str, member: str | None) -> AIOKafkaConsumer:
    return make_consumer(
        bootstrap,
        client_id=NAME,
        group=group,
        group_instance_id=member,
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        rebalance_timeout_ms=30_000,
        metadata_max_age_ms=30_000,
    )


async def _opened(stack: AsyncExitStack, url: str, settings: Settings) -> Store:
    engine = await open_store(url, create=settings.migrate == "apply", cluster=settings.clickhouse_cluster)
    stack.push_async_callback(engine.close)
    return engine


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
