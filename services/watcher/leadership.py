"""Which of several watchers of one cluster works: the one to whom Kafka gives the cluster's partition.

A consumer group decides it, so that no rights in the cluster are needed and the broker that a watcher cannot work
without is also what it must reach to lead. A watcher that dies is replaced within the session time-out (10 s). For a
moment two may work: their events carry the same ids and are seen as one.
"""

import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from schemas.topics import TopicName
from services.runtime.kafka import cluster_partition, make_consumer, started

POLL_MS = 10_000
"""Between two looks for records, of which there are none: as often as a member of a group must be seen to work."""


class Leadership(ConsumerRebalanceListener):
    """`leads` is set while this process is the one. Use `run` as a task."""

    def __init__(self, bootstrap: str, group: str, cluster: str, partitions: int) -> None:
        self.partition = TopicPartition(TopicName.DRIFT, cluster_partition(cluster, partitions))
        self.bootstrap, self.group = bootstrap, group
        self.consumer: AIOKafkaConsumer | None = None
        self.changed = asyncio.Event()
        self.leads = False
        self.joined = False

    async def run(self) -> None:
        """Stay in the group until cancelled; the records themselves are not read here."""
        self.consumer = consumer = make_consumer(self.bootstrap, client_id="setpoint-watcher", group=self.group)
        consumer.subscribe([TopicName.DRIFT], listener=self)
        async with started(consumer):
            try:
                while True:
                    await consumer.getmany(timeout_ms=POLL_MS)
            finally:
                self._set(False)

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        if self.partition in revoked:
            self._set(False)

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        assert self.consumer is not None
        self.consumer.pause(*assigned)
        self.joined = True
        self._set(self.partition in assigned)

    async def until(self, leads: bool) -> None:
        """Wait until this process leads, or no longer does."""
        while self.leads is not leads:
            self.changed.clear()
            await self.changed.wait()

    def problem(self) -> str | None:
        """Why nobody knows yet whether this process stands by; None once it does."""
        if not self.joined:
            return "has not joined its consumer group yet"
        return "takes over" if self.leads else None

    def _set(self, leads: bool) -> None:
        self.leads = leads
        self.changed.set()
