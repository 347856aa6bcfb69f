"""After a start: what was said of this cluster's alerts lately, read from the topic itself.

So that a restart neither tells an alert a second time nor forgets that one is open. Only records of this cluster are
handed on, and of each only its head is parsed: who wants more of it parses the rest.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import TopicName
from services.runtime.alerts.loose import child, text
from services.runtime.kafka import cluster_partition, make_consumer, started


class Said(NamedTuple):
    """One alert's record: its id, which service told it, whose alert it is, and the bytes."""

    id: str
    origin: str
    maker: str
    value: bytes


async def read_alerts(bootstrap: str, cluster: str, count: int, since: datetime) -> AsyncIterator[Said]:
    """The cluster's records from `since` to the end as of now, in their order.

    `count` is the partition count of the topics that are keyed by cluster. Raises Temporary where the broker is away.
    """
    place = TopicPartition(TopicName.ALERTS, cluster_partition(cluster, count))
    async with started(make_consumer(bootstrap, client_id="setpoint-watcher-told", fetch_max_wait_ms=100)) as consumer:
        end = await _seek(consumer, place, since)
        while await consumer.position(place) < end:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    found = said(record.value, cluster)
                    if found is not None:
                        yield found


def said(value: bytes | None, cluster: str) -> Said | None:
    """None for what is of another cluster, or cannot be read: who consumes it puts that to the dead letters."""
    try:
        head: Any = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    data = child(head, "data") if isinstance(head, dict) else {}
    if text(child(data, "target"), "cluster") != cluster:
        return None
    return Said(text(head, "id"), text(head, "source"), text(data, "source"), value or b"")


async def _seek(consumer: AIOKafkaConsumer, place: TopicPartition, since: datetime) -> int:
    consumer.assign([place])
    end = int((await consumer.end_offsets([place]))[place])
    found = (await consumer.offsets_for_times({place: int(since.timestamp() * 1000)}))[place]
    consumer.seek(place, end if found is None else found.offset)
    return end
