"""Write pauses and kill switches to the control topic, and take them back: a removal, then a tombstone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from schemas.events import ControlRemoved, ControlSet, Scope, make_event, stable_id
from schemas.topics import TopicName
from services.runtime.clock import Clock
from services.runtime.kafka import (
    Outgoing,
    admin,
    cluster_partition,
    make_producer,
    outgoing,
    send_all,
    shared_partitions,
    started,
)


class ControlWriter:
    """Make it with `control_writer`. `source` names who writes, as the events' source."""

    def __init__(self, producer: AIOKafkaProducer, partitions: int, clock: Clock, source: str) -> None:
        self.producer, self.partitions, self.clock, self.source = producer, partitions, clock, source

    async def put(self, control: ControlSet) -> None:
        """Set a control; one of the same name is replaced."""
        await send_all(self.producer, [self._record(control)])

    async def remove(self, removal: ControlRemoved) -> None:
        """Lift a control; no error where there is none of that name."""
        key, partition = self._place(removal.scope, removal.name)
        gone = Outgoing(TopicName.CONTROL, key.encode(), None, partition)
        await send_all(self.producer, [self._record(removal), gone])

    def _record(self, data: ControlSet | ControlRemoved) -> Outgoing:
        now = self.clock.now()
        id = stable_id(type(data).__name__, data.scope.cluster, data.name, now.isoformat())
        subject = data.scope.subject or data.scope.cluster
        event = make_event(data, id=id, source=self.source, subject=subject, time=now, correlationid=id)
        return outgoing(TopicName.CONTROL, event, *self._place(data.scope, data.name))

    def _place(self, scope: Scope, name: str) -> tuple[str, int]:
        return f"{scope.cluster}/{name}", cluster_partition(scope.cluster, self.partitions)


@asynccontextmanager
async def control_writer(bootstrap: str, clock: Clock, source: str) -> AsyncIterator[ControlWriter]:
    """A writer for the length of a block. Raises Temporary where the broker is away."""
    async with started(admin(bootstrap)) as client:
        partitions = await shared_partitions(client)
    async with started(make_producer(bootstrap, client_id=source.replace("/", "-"))) as producer:
        yield ControlWriter(producer, partitions, clock, source)
