"""What the services said on the topics about each object, read beside them.

Events are read as plain JSON here: a storm is measured on the same cores, and the models would cost more than the rest
of the reading.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from schemas.events import TYPES, ActionFinished, DecisionMade, DriftCleared, DriftDetected
from schemas.topics import TopicName
from services.runtime.kafka import make_consumer, started
from services.runtime.tasks import background

READ = (TopicName.DRIFT, TopicName.DECISIONS, TopicName.ACTIONS)
DETECTED, CLEARED, DECIDED, FINISHED = (
    TYPES[model] for model in (DriftDetected, DriftCleared, DecisionMade, ActionFinished)
)
Event = dict[str, Any]


class Told:
    """The newest event of each type, by the object's name. `arrived` is the Unix time at which a drift was read."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Event]] = {DETECTED: {}, CLEARED: {}, DECIDED: {}, FINISHED: {}}
        self.arrived: dict[str, float] = {}
        self.changed = asyncio.Event()

    def take(self, value: bytes | None) -> None:
        """One record."""
        event: Event = orjson.loads(value) if value else {}
        kept = self.events.get(event.get("type", ""))
        if kept is not None:
            name = str(event["subject"]).rpartition("/")[2]
            kept[name] = event
            if kept is self.events[DETECTED]:
                self.arrived[name] = time.time()

    def complete(self, name: str) -> bool:
        """Whether everything was told about this object's drift."""
        return all(name in kept for kept in self.events.values())

    async def over(self, names: set[str]) -> None:
        """Wait until the drifts of all these objects are told to be cleared, and their actions to be finished."""
        while left := names - self.events[CLEARED].keys() | names - self.events[FINISHED].keys():
            self.changed.clear()
            await self.changed.wait()
            names = left

    def time(self, type: str, name: str) -> float:
        """The Unix time that an event carries."""
        return unix(self.events[type][name]["time"])


def unix(text: str) -> float:
    """RFC 3339 as Unix time."""
    return datetime.fromisoformat(text).timestamp()


@asynccontextmanager
async def reading(bootstrap: str, *, at_once: bool) -> AsyncIterator[Told]:
    """Read the topics from their ends on, for the length of a block; `at_once` for who wants to know when."""
    told = Told()
    pace: dict[str, Any] = {} if at_once else {"fetch_min_bytes": 256 * 1024, "fetch_max_wait_ms": 250}
    consumer = make_consumer(bootstrap, *READ, client_id="setpoint-bench", **pace)
    async with started(consumer):
        await consumer.seek_to_end()
        async with background(_read(consumer, told)):
            yield told


async def _read(consumer: AIOKafkaConsumer, told: Told) -> None:
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                told.take(record.value)
        told.changed.set()
