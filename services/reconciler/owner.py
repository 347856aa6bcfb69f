"""Membership of the group: which partitions this process owns, one task for each, and the one reader for all of them.

The range assignor gives one member the same partition numbers of topics with the same count, so that drift, alerts,
answers and controls of a cluster meet; that is asserted at every assignment. aiokafka calls the listener in a task of
its own and swallows what it raises, so failures are kept here and raised by the reader.
"""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.reconciler.partition import Partition
from services.reconciler.shared import Shared
from services.runtime.errors import Permanent
from services.runtime.health import Health
from services.runtime.kafka import make_consumer, started
from services.runtime.tasks import cancel

POLL_MS = 1000
INPUTS = (TopicName.DRIFT, TopicName.ALERTS, TopicName.APPROVALS, TopicName.CONTROL)


class Owner(ConsumerRebalanceListener):
    """The partitions that the group has given to this process. `joined` once it has been told which."""

    def __init__(self, consumer: AIOKafkaConsumer, shared: Shared) -> None:
        self.consumer, self.shared = consumer, shared
        self.partitions: dict[int, Partition] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.joined = False
        self.failure: Exception | None = None

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """All of them, before every rebalance: nothing may be under way when the next owner loads."""
        await self.release()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Own each partition number from now on."""
        try:
            self.consumer.pause(*assigned)
            for number in sorted(co_partitioned(assigned)):
                self.partitions[number] = partition = Partition(number, self.consumer, self.shared)
                self.tasks[number] = asyncio.create_task(partition.run())
            self.joined = True
        except Exception as error:  # noqa: BLE001 - aiokafka would only log it; the reader raises it
            self.failure = error

    async def release(self) -> None:
        """Give everything up."""
        self.joined = False
        tasks, self.tasks, self.partitions = self.tasks, {}, {}
        await cancel(*tasks.values())

    def problem(self) -> str | None:
        """What stands against being ready. A member without partitions stands by, and is ready for that."""
        if not self.joined:
            return "not a member of its group yet"
        loading = [number for number, partition in self.partitions.items() if not partition.ready]
        return f"partitions not loaded: {loading}" if loading else None

    def check(self) -> None:
        """Raise what ended a partition, or failed an assignment."""
        if self.failure:
            raise self.failure
        for task in self.tasks.values():
            if task.done():
                task.result()

    async def read(self, health: Health) -> None:
        """Hand records to their partitions, until cancelled."""
        while True:
            health.beat("reader", within=15.0)
            self.check()
            batch = await self.consumer.getmany(timeout_ms=POLL_MS)
            for place, records in batch.items():
                if place.partition in self.partitions:
                    self.partitions[place.partition].take(records)
            self.shared.metrics.set("partitions_owned", sum(entry.ready for entry in self.partitions.values()))
            for partition in list(self.partitions.values()):
                partition.look_again()
                await self._room(partition)

    async def _room(self, partition: Partition) -> None:
        """Wait while a partition has too much before it; not for one that is given up meanwhile."""
        while not partition.room.is_set() and partition.ready:
            try:
                await asyncio.wait_for(partition.room.wait(), POLL_MS / 1000)
            except TimeoutError:
                self.check()


def co_partitioned(assigned: Iterable[TopicPartition]) -> set[int]:
    """The partition numbers. Raises Permanent where this process has not the same ones of every input."""
    by_topic = {topic: {place.partition for place in assigned if place.topic == topic} for topic in INPUTS}
    numbers = set().union(*by_topic.values())
    if any(found != numbers for found in by_topic.values()):
        raise Permanent(
            f"the group gave unequal partitions of the inputs to one reconciler: {by_topic}",
            "Let only reconcilers of this version be members of the group, and give the topics one partition count",
        )
    return numbers


async def own(shared: Shared, health: Health) -> None:
    """Be a member of the group until cancelled. Raises Temporary or KafkaError where the broker is away."""
    consumer = make_consumer(
        shared.bootstrap,
        client_id="setpoint-reconciler",
        group=shared.group,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )
    owner = Owner(consumer, shared)
    health.require("partitions", owner.problem)
    async with started(consumer):
        consumer.subscribe(list(INPUTS), listener=owner)
        try:
            await owner.read(health)
        finally:
            await owner.release()
