"""Clients of the broker, set up the one way that loses nothing, and the little that aiokafka leaves to its users.

Producers: idempotent, acks=all. Consumers: read committed, from the earliest, never committing by themselves.
`retry_backoff_ms` is low because Kafka 4 answers NOT_ENOUGH_REPLICAS while the markers of the previous transaction are
still being written; the default of 100 ms would be in the tail of every correction.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError
from aiokafka.partitioner import murmur2

from schemas.events import CONTENT_TYPE, Event
from schemas.topics import TopicName
from services.runtime.errors import Permanent, Temporary
from services.runtime.settings import Settings
from services.runtime.topics import all_topics, partition_count

HEADERS = [("content-type", CONTENT_TYPE.encode())]
REQUEST_TIMEOUT_MS = 20_000
MOST_OF_A_BATCH = 256 * 1024
"""A cluster's events are on one partition, which has one batch under way at a time: with aiokafka's 16 KiB, and a dozen
events in each, senders would wait for each other. Well below what brokers take by default, 1 MiB."""
SETTLE_S, SETTLE_TRIES = 0.1, 50


class Outgoing(NamedTuple):
    """One record to send; `partition` None leaves it to the key. `content_type` is an event's if not given."""

    topic: TopicName
    key: bytes
    value: bytes | None
    partition: int | None = None
    content_type: bytes = CONTENT_TYPE.encode()


def make_producer(bootstrap: str, *, client_id: str, transactional_id: str | None = None) -> AIOKafkaProducer:
    """A producer that is not started yet. With a transactional id, starting it fences every older one of that id."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        transactional_id=transactional_id,
        transaction_timeout_ms=60_000,
        linger_ms=0,
        max_batch_size=MOST_OF_A_BATCH,
        retry_backoff_ms=5,
        max_request_size=16 * 1024 * 1024,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )


def make_consumer(
    bootstrap: str, *topics: str, client_id: str, group: str | None = None, **more: Any
) -> AIOKafkaConsumer:
    """A consumer that is not started yet; `more` overrides single settings."""
    settings: dict[str, Any] = {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "fetch_max_wait_ms": 500,
        "retry_backoff_ms": 50,
        "max_partition_fetch_bytes": 16 * 1024 * 1024,
        "session_timeout_ms": 10_000,
        "heartbeat_interval_ms": 2_000,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    return AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, client_id=client_id, group_id=group, **{**settings, **more}
    )


@asynccontextmanager
async def started(client: Any) -> AsyncIterator[Any]:
    """A producer, consumer or admin client for the length of a block. Raises Temporary where the broker is away."""
    try:
        async with _heeded():
            await client.start()
    except (KafkaConnectionError, OSError) as error:
        await _close(client)
        raise Temporary(f"the broker does not answer: {error}") from error
    except BaseException:  # cancelled in between
        await _close(client)
        raise
    try:
        yield client
    finally:
        await _close(client)


@asynccontextmanager
async def _heeded() -> AsyncIterator[None]:
    """Raise a cancellation that came within the block: aiokafka takes it for its own tasks' where it waits for them to
    end, and whoever has cancelled would wait for ever."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    yield
    if task and task.cancelling() > before:
        raise asyncio.CancelledError


async def _close(client: Any) -> None:
    """Close it. A consumer that waits out a failed fetch raises the cancellation of its own task then: it is not ours,
    and would end a whole service."""
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    try:
        async with _heeded():
            await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())
    except asyncio.CancelledError:
        if task is None or task.cancelling() > cancelled:
            raise
        await client._client.close()  # it has come no further than its fetches


def admin(bootstrap: str, client_id: str = "setpoint-admin") -> AIOKafkaAdminClient:
    """An admin client that is not started yet."""
    return AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id=client_id, request_timeout_ms=REQUEST_TIMEOUT_MS)


def cluster_partition(cluster: str, count: int) -> int:
    """The partition of a cluster's events: what Kafka's default partitioner makes of the cluster's name."""
    return int((murmur2(cluster.encode()) & 0x7FFFFFFF) % count)


def outgoing(topic: TopicName, event: Event[Any], key: str, partition: int | None = None) -> Outgoing:
    """An event as a record."""
    return Outgoing(topic, key.encode(), event.model_dump_json().encode(), partition)


async def send(producer: AIOKafkaProducer, record: Outgoing) -> Any:
    """Put one record into the producer; the returned future ends when all replicas have it."""
    return await producer.send(
        record.topic,
        key=record.key,
        value=record.value,
        partition=record.partition,
        headers=[("content-type", record.content_type)],
    )


async def send_all(producer: AIOKafkaProducer, records: Iterable[Outgoing]) -> None:
    """Send and wait for every acknowledgement; the first failure is raised."""
    for future in [await send(producer, record) for record in records]:
        await future


async def ensure_topics(settings: Settings) -> list[str]:
    """Create the topics that are missing; the names of those created. Existing ones are never changed.

    Raises Permanent where an existing topic that is keyed by cluster has another partition count than its siblings.
    """
    bootstrap = str(settings.need("kafka", "--kafka"))
    async with started(admin(bootstrap)) as client:
        present = set(await client.list_topics())
        missing = [entry for entry in all_topics() if entry.name not in present]
        new = [
            NewTopic(
                entry.name,
                partition_count(entry, settings.partitions),
                settings.replication,
                topic_configs=entry.config(),
            )
            for entry in missing
        ]
        if new:
            with suppress(TopicAlreadyExistsError):  # another process was faster; the check below still holds
                await client.create_topics(new, timeout_ms=REQUEST_TIMEOUT_MS)
        await shared_partitions(client)
    return [str(entry.name) for entry in missing]


async def shared_partitions(client: AIOKafkaAdminClient) -> int:
    """The one partition count of all topics that are keyed by cluster. Raises Permanent where they differ."""
    shared = [str(entry.name) for entry in all_topics() if entry.shared]
    counts = await _partition_counts(client, shared)
    for _ in range(SETTLE_TRIES):
        if 0 not in counts.values():
            break
        await asyncio.sleep(SETTLE_S)  # a topic that was made a moment ago has no partitions yet on a busy broker
        counts = await _partition_counts(client, shared)
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise Permanent(
            f"topics that are keyed by cluster must have one partition count, found {counts}",
            "Create the missing ones with 'setpoint topics --create', or recreate the odd one",
        )
    return next(iter(counts.values()))


async def _partition_counts(client: AIOKafkaAdminClient, topics: list[str]) -> dict[str, int]:
    return {found["topic"]: len(found["partitions"]) for found in await client.describe_topics(topics)}


__all__ = [
    "HEADERS", "KafkaConnectionError", "KafkaError", "Outgoing", "admin", "cluster_partition", "ensure_topics",
    "make_consumer", "make_producer", "outgoing", "send", "send_all", "shared_partitions", "started",
]  # fmt: skip
