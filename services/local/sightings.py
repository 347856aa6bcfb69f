"""What Setpoint says about itself, read from its topics by somebody who only listens.

Used by the demo to see drift, decisions and outcomes as any other consumer would: from the current end, committed
records only, in no group.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import ValidationError

from schemas.events import Event, parse_event
from schemas.topics import TopicName
from services.local.stream import Stream
from services.runtime.clock import Clock
from services.runtime.kafka import make_consumer, started

TOPICS = (TopicName.DRIFT, TopicName.DECISIONS, TopicName.ACTIONS, TopicName.CHANGES, TopicName.APPROVALS)

Sightings = Stream[Event[Any]]


@asynccontextmanager
async def listening(bootstrap: str, clock: Clock) -> AsyncIterator[Sightings]:
    """Follow the topics for the length of a block; what is sent after this returns is seen.

    A broker that went away meanwhile is raised at the block's end.
    """
    stream: Sightings = Stream(clock)
    consumer = make_consumer(bootstrap, *TOPICS, client_id="setpoint-demo", auto_offset_reset="latest")
    async with started(consumer):
        for partition in consumer.assignment():
            await consumer.position(partition)  # now, not at the first fetch
        task = asyncio.create_task(_read(consumer, stream))
        try:
            yield stream
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _read(consumer: Any, stream: Sightings) -> None:
    async for record in consumer:
        event = read_event(record.value)
        if event is not None:
            stream.add(event)


def read_event(value: bytes | None) -> Event[Any] | None:
    """A record's event, or None for a tombstone, a type of another version, or bytes that are no event."""
    try:
        return parse_event(value) if value else None
    except ValidationError:
        return None
