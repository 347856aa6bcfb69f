"""Up to when every Falco log was read, kept where it survives a restart: a consumer group's commit on the broker.

The group reads nothing. The time stands in the commit's metadata, as text; its offset means nothing. The broker keeps a
commit for a week (`offsets.retention.minutes`), and the mark is made anew every half a minute.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas.topics import TopicName
from services.runtime.alerts.loose import moment
from services.runtime.kafka import admin, cluster_partition, make_consumer, started


class Mark:
    """Make it with `open_mark`."""

    def __init__(self, consumer: AIOKafkaConsumer, place: TopicPartition) -> None:
        self.consumer, self.place = consumer, place

    async def set(self, at: datetime) -> None:
        """Raises KafkaError where the broker does not take it: the mark stays where it was."""
        await self.consumer.commit({self.place: OffsetAndMetadata(0, at.isoformat())})


@asynccontextmanager
async def open_mark(
    bootstrap: str, group: str, cluster: str, count: int
) -> AsyncIterator[tuple[Mark, datetime | None]]:
    """The mark, and where it was when it was opened; None before there was one.

    `count` is the partition count of the topics that are keyed by cluster. Raises Temporary where the broker is away.
    """
    place = TopicPartition(TopicName.ALERTS, cluster_partition(cluster, count))
    async with started(admin(bootstrap)) as client:
        committed = await client.list_consumer_group_offsets(group, partitions=[place])
    was = moment(committed[place].metadata) if place in committed else None
    async with started(make_consumer(bootstrap, client_id="setpoint-watcher-falco", group=group)) as consumer:
        consumer.assign([place])
        consumer.pause(place)
        yield Mark(consumer, place), was
