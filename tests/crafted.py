"""A small crafted history, for tests that compute by hand what views and roll-ups must say of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from aiokafka.structs import ConsumerRecord

from schemas.base import EventModel
from schemas.events import ChangeObserved, Event, make_event
from schemas.target import Target
from schemas.topics import TopicName
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.rows import rows_of
from services.recorder.store import Store
from services.recorder.tables import EVENTS
from services.runtime.topics import all_topics
from tests.recording import NOON

TOPIC_OF = {event: entry.name for entry in all_topics() for event in entry.events}
OFFSETS = count()
NOON_MS = int(NOON.timestamp() * 1000)


def target(name: str = "api", namespace: str = "pay", cluster: str = "east", kind: str = "Deployment") -> Target:
    """An object of the platform."""
    return Target(cluster=cluster, group="apps", kind=kind, namespace=namespace, name=name)


@dataclass(frozen=True)
class Told:
    """What was said, so many seconds after noon; `on` is the partition."""

    data: EventModel
    seconds: float
    on: int = 0
    correlation: str = "c1"

    @property
    def at(self) -> datetime:
        """The event's own time."""
        return NOON + timedelta(seconds=self.seconds)

    def event(self, offset: int) -> Event[Any]:
        """With an id of its own."""
        subject = getattr(self.data, "target", target()).subject
        return make_event(
            self.data, id=f"e{offset}", source="s", subject=subject, time=self.at, correlationid=self.correlation
        )


def change(seconds: float, manager: str | None, *paths: str, of: Target | None = None, on: int = 0) -> Told:
    """A write to an object."""
    data = ChangeObserved(
        target=of or target(), operation="updated", resource_version=str(seconds), paths=paths or ("/spec/replicas",),
        manager=manager, time=NOON,
    )  # fmt: skip
    return Told(data, seconds, on)


def place_of(told: Told) -> Place:
    """The partition that it stands in."""
    kind = told.event(0).type.removeprefix("dev.setpoint.").rpartition(".v")[0]
    return Place("b", TOPIC_OF.get(kind, TopicName.ACTIONS), told.on)


async def put(store: Store, history: Iterable[Told], kafka_ms: int = NOON_MS) -> list[tuple[Place, int]]:
    """Record it, each event by an insert of its own; where each stands."""
    stands = []
    for told in history:
        offset = next(OFFSETS)
        value, place = told.event(offset).model_dump_json().encode(), place_of(told)
        record = ConsumerRecord(place.topic, place.partition, offset, kafka_ms, 0, b"k", value, 0, 1, len(value), ())
        await insert_rows(store, place, Span(offset, offset), {EVENTS: [rows_of(place, record).event]})
        stands.append((place, offset))
    return stands
