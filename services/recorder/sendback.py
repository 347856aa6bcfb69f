"""Send dead letters back to where they came from, after whatever could not read them was corrected.

The original bytes and key go to the original partition, and a mark (an empty record with the same `original-…` headers)
goes beside the letter in the same Kafka transaction: so a letter goes back once, however this ends. A second run at the
same time ends the first one, since both have one transactional id.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ProducerFenced
from aiokafka.structs import ConsumerRecord

from schemas.topics import RECORDED, TopicName
from services.recorder.deadletters import buried
from services.recorder.letters import Item, Letter, Origin, Room, letter_of, origin_of, plan, sent_back
from services.recorder.queries import recorded_at
from services.recorder.reader import Reader
from services.runtime.errors import Temporary
from services.runtime.kafka import admin, make_consumer, make_producer, started
from services.runtime.topics import all_topics

NAME = "setpoint-replay"
MOST_RECORDS, MOST_BYTES = 200, 4 * 1024 * 1024
"""Of one transaction."""
MARK = "replayed"


@dataclass(frozen=True)
class Chosen:
    """Which letters are meant. `group` is the recorder's, whose progress counts."""

    group: str
    limit: int
    topic: str | None = None
    since: datetime | None = None
    again: bool = False

    def means(self, letter: Letter) -> bool:
        """Whether it is one of them."""
        here = self.topic is None or (letter.origin is not None and letter.origin[0] == self.topic)
        return here and (self.since is None or letter.buried_at >= self.since)


async def look(bootstrap: str, reader: Reader, chosen: Chosen) -> list[Item]:
    """What would become of each letter. Changes nothing. Raises Temporary where a part is away."""
    async with started(admin(bootstrap, NAME)) as client, started(_consumer(bootstrap)) as consumer:
        return await _planned(client, consumer, reader, chosen)


async def send_back(bootstrap: str, reader: Reader, chosen: Chosen) -> list[Item]:
    """Send back what may go, and tell of all. Raises Temporary where a part is away or another run took over."""
    producer = make_producer(bootstrap, client_id=NAME, transactional_id=NAME)
    async with started(producer), started(admin(bootstrap, NAME)) as client, started(_consumer(bootstrap)) as consumer:
        items = await _planned(client, consumer, reader, chosen)  # after the start, which ends every other run
        going = {item.letter.offset: item for item in items if item.why is None}
        try:
            async for batch in _batches(consumer, going):
                await _send(producer, batch)
        except ProducerFenced as error:
            raise Temporary("another replay was started meanwhile and goes on with what is left") from error
        return items


def _consumer(bootstrap: str) -> AIOKafkaConsumer:
    return make_consumer(bootstrap, client_id=NAME, fetch_max_wait_ms=100)


async def _planned(
    client: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, reader: Reader, chosen: Chosen
) -> list[Item]:
    letters, done = [], set()
    async for record in buried(consumer):
        if record.value is None:
            done.add(origin_of(record.headers))
        else:
            letters.append(letter_of(record))
    meant = [letter for letter in letters if chosen.means(letter)]
    room = await _room(client, chosen.group, {origin for origin in done if origin})
    first = plan(meant, room, chosen.limit, again=chosen.again)
    going = [item.letter.origin for item in first if item.why is None and item.letter.origin]
    broker = str((await client.describe_cluster())["cluster_id"])
    known = replace(room, recorded=await _recorded(reader, broker, going))
    return plan(meant, known, chosen.limit, again=chosen.again)


async def _room(client: AIOKafkaAdminClient, group: str, done: set[Origin]) -> Room:
    ours = [entry for entry in all_topics() if entry.name != TopicName.DEAD_LETTER]
    there = set(await client.list_topics())
    found = await client.describe_topics([str(entry.name) for entry in ours if entry.name in there])
    partitions = {str(entry["topic"]): len(entry["partitions"]) for entry in found}
    wanted = [TopicPartition(name, at) for name, many in partitions.items() if name in RECORDED for at in range(many)]
    commits = await client.list_consumer_group_offsets(group, partitions=wanted)
    return Room(
        partitions,
        compacted={str(entry.name) for entry in ours if entry.compacted},
        done=done,
        passed={(place.topic, place.partition): commit.offset for place, commit in commits.items()},
    )


async def _recorded(reader: Reader, broker: str, origins: Iterable[Origin]) -> set[Origin]:
    by_topic: dict[str, list[int]] = defaultdict(list)
    for topic, _, offset in origins:
        by_topic[topic].append(offset)
    return {
        (topic, int(row["kafka_partition"]), int(row["kafka_offset"]))
        for topic, offsets in by_topic.items()
        for row in await reader.rows(recorded_at(broker, topic, offsets))
    }


Batch = list[tuple[Item, "ConsumerRecord[bytes, bytes]"]]


async def _batches(consumer: AIOKafkaConsumer, going: Mapping[int, Item]) -> AsyncIterator[Batch]:
    """The letters' records, read once more: all of them together may be more than fits into memory."""
    batch: Batch = []
    if not going:
        return
    async for record in buried(consumer, min(going), max(going)):
        if record.offset in going:
            batch.append((going[record.offset], record))
        if len(batch) >= MOST_RECORDS or sum(len(one.value or b"") for _, one in batch) >= MOST_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


async def _send(producer: AIOKafkaProducer, batch: Batch) -> None:
    async with producer.transaction():
        for item, record in batch:
            topic = item.letter.origin[0] if item.letter.origin else ""
            await producer.send(
                topic, key=record.key, value=record.value, partition=item.partition, headers=sent_back(record, item)
            )
            mark = [*(pair for pair in record.headers if pair[0].startswith("original-")), (MARK, b"1")]
            await producer.send(
                TopicName.DEAD_LETTER, key=record.key, value=None, partition=record.partition, headers=mark
            )
