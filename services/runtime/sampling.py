"""A service's own metrics as events, so that they are recorded with everything else."""

import asyncio
import contextlib

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.events import make_event, stable_id
from schemas.topics import TopicName
from services.runtime.clock import Clock
from services.runtime.kafka import outgoing, send
from services.runtime.metrics import Metrics

EVERY_S = 30.0
"""Each publication of each service is an insert of its own in ClickHouse."""


async def publish_metrics(
    producer: AIOKafkaProducer,
    metrics: Metrics,
    key: str,
    clock: Clock,
    stop: asyncio.Event,
    every: float = EVERY_S,
) -> None:
    """Publish all metrics at once, every `every` seconds, and at `stop`. `key` names the series' source, such as the
    service, or the cluster and the service; it is the record's key and the event's subject.

    At once, so that a process' first failure is more than the 0 before it: a counter that is first seen at 1 has not
    grown as far as anybody can tell. A sample that the broker does not take is dropped: the next one says the same,
    newer. `producer` must not be a transactional one.
    """
    await _publish_once(producer, metrics, key, clock)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)
        await _publish_once(producer, metrics, key, clock)


async def _publish_once(producer: AIOKafkaProducer, metrics: Metrics, key: str, clock: Clock) -> None:
    now = clock.now()
    data = metrics.sampled(now)
    if not data.samples:
        return
    id = stable_id(metrics.service, key, *metrics.told_apart.values(), now.isoformat())
    event = make_event(data, id=id, source=f"setpoint/{metrics.service}", subject=key, time=now, correlationid=id)
    with contextlib.suppress(KafkaError):
        await (await send(producer, outgoing(TopicName.METRICS, event, key)))
