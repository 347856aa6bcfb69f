"""Read what is on the broker: every committed record of every topic, and how far a group has come."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.structs import OffsetAndMetadata, TopicPartition

from schemas.base import EventModel
from schemas.events import Event, parse_event
from schemas.ledger import TargetState
from schemas.topics import RECORDED, TopicName
from services.runtime.kafka import admin, make_consumer, started


@dataclass(frozen=True)
class Told:
    """One record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None

    @property
    def place(self) -> tuple[str, int, int]:
        """What tells it from every other record of this broker."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True)
class Topics:
    """Everything that was committed, in the order of each partition."""

    records: tuple[Told, ...]

    def of(self, *names: TopicName) -> list[Told]:
        """The records of some topics."""
        return [record for record in self.records if record.topic in names]

    def data(self, *models: type[EventModel]) -> list[Any]:
        """The data of every readable event of these types."""
        return [event.data for event in self.events() if isinstance(event.data, models)]

    def events(self) -> list[Event[Any]]:
        """Every readable event of the recorded topics."""
        found = []
        for record in self.of(*RECORDED):
            event = readable(record)
            if event is not None:
                found.append(event)
        return found

    def ends(self) -> dict[TopicPartition, int]:
        """One more than the last record's offset; the broker's own end may be further, by a transaction's marker."""
        return {TopicPartition(record.topic, record.partition): record.offset + 1 for record in self.records}

    def ledger(self) -> dict[str, TargetState]:
        """The rows as they stand at the end."""
        rows: dict[str, TargetState] = {}
        for record in self.of(TopicName.LEDGER):
            subject = (record.key or b"").decode()
            if record.value is None:
                rows.pop(subject, None)
            else:
                rows[subject] = TargetState.model_validate_json(record.value)
        return rows


def readable(record: Told) -> Event[Any] | None:
    """The record's event, None where there is none in it."""
    try:
        return parse_event(record.value) if record.value is not None else None
    except ValueError:
        return None


async def read_topics(bootstrap: str, names: Iterable[TopicName] = tuple(TopicName)) -> Topics:
    """Every committed record from the beginning to the end as of now."""
    records: list[Told] = []
    async with started(make_consumer(bootstrap, client_id="chaos-reader", fetch_max_wait_ms=50)) as consumer:
        places = []
        for name in names:
            numbers = await _partitions(consumer, str(name))
            places += [TopicPartition(str(name), number) for number in numbers]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        for place in places:
            while await consumer.position(place) < ends[place]:
                for some in (await consumer.getmany(timeout_ms=100)).values():
                    records += [Told(one.topic, one.partition, one.offset, one.key, one.value) for one in some]
    return Topics(tuple(sorted(records, key=lambda record: record.place)))


async def _partitions(consumer: Any, topic: str) -> list[int]:
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        await consumer._client.add_topic(topic)
        numbers = consumer.partitions_for_topic(topic)
    return sorted(numbers)


Commits = dict[TopicPartition, OffsetAndMetadata]


async def commits_of(bootstrap: str, group: str) -> Commits:
    """The group's commits; no entry where it has none."""
    async with started(admin(bootstrap)) as client:
        found: Commits = await client.list_consumer_group_offsets(group)
    return {place: commit for place, commit in found.items() if commit.offset >= 0}
