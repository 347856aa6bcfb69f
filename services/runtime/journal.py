"""The transactions of one partition: everything that a batch came to, and the offsets it was read up to, or nothing.

Used by who turns records into records: the reconciler, and the gateway's intake. One transactional id a partition:
opening a journal fences whoever held the partition before, waits until their open transaction is ended, and only then
may the committed offsets, and any state on the broker, be read. Whatever is raised here, the caller drops what it holds
and opens anew: the outcome of a commit that raised is unknown.
"""

import asyncio
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.runtime.deadletters import DeadLetter
from services.runtime.kafka import HEADERS, Outgoing, make_producer

Offsets = dict[TopicPartition, int]
CLOSE_S = 5.0


class Journal:
    """Made by `open_journal`."""

    def __init__(self, producer: AIOKafkaProducer, group: str) -> None:
        self.producer = producer
        self.group = group

    async def commit(self, records: Sequence[Outgoing], dead: Sequence[DeadLetter], offsets: Offsets) -> None:
        """Write it all in one transaction. Raises KafkaError, also ProducerFenced; its outcome is unknown then."""
        try:
            await self._commit(records, dead, offsets)
        except (IllegalOperation, AssertionError) as error:  # the producer's background task was faster to fail
            raise self._why_broken() from error

    async def _commit(self, records: Sequence[Outgoing], dead: Sequence[DeadLetter], offsets: Offsets) -> None:
        """Nothing waits between the sends, so that the partitions join the transaction in one request."""
        await self.producer.begin_transaction()
        sent = [await self._put(entry.topic, entry.key, entry.value, HEADERS, entry.partition) for entry in records]
        for letter in dead:
            sent.append(await self._put(TopicName.DEAD_LETTER, letter.key, letter.value, list(letter.headers), None))
        if offsets:
            await self.producer.send_offsets_to_transaction(offsets, self.group)
        await asyncio.gather(*sent)
        await self.producer.commit_transaction()

    async def _put(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int | None,
    ) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = await self.producer.send(
            topic, key=key, value=value, headers=headers, partition=partition
        )
        future.add_done_callback(_looked_at)
        return future

    def _why_broken(self) -> BaseException:
        sender = self.producer._sender.sender_task
        error = sender.exception() if sender and sender.done() and not sender.cancelled() else None
        return error or KafkaError("the producer can write no more")

    async def close(self) -> None:
        """Let go of the connections, soon even where the broker is away and the last transaction hangs."""
        stopping = asyncio.ensure_future(self.producer.stop())
        done, _ = await asyncio.wait([stopping], timeout=CLOSE_S)
        sender = self.producer._sender.sender_task
        while not done and sender is not None and not sender.done():
            sender.cancel()  # the first one makes it wait for its requests, the next ones end those
            await asyncio.wait([sender], timeout=0.1)
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        await self.producer.client.close()


def _looked_at(future: "asyncio.Future[object]") -> None:
    """A failed record's error comes with the transaction's; asyncio need not complain that nobody read it."""
    if not future.cancelled():
        future.exception()


async def open_journal(bootstrap: str, transactional_id: str, group: str, outputs: Iterable[TopicName]) -> Journal:
    """Fence the one before, and be the only writer, of `outputs` and of `group`'s offsets.

    Raises KafkaError or OSError where the broker is away.
    """
    producer = make_producer(bootstrap, client_id=transactional_id, transactional_id=transactional_id)
    journal = Journal(producer, group)
    try:
        await producer.start()
        for topic in outputs:  # known now, so that no send has to ask first
            await producer.partitions_for(topic)
    except BaseException:
        await journal.close()
        raise
    return journal


def fenced(error: BaseException) -> bool:
    """Whether an error means that somebody else owns the partition now."""
    return isinstance(error, ProducerFenced) or isinstance(error.__cause__, ProducerFenced)


__all__ = ["Journal", "Offsets", "ProducerFenced", "fenced", "open_journal"]
