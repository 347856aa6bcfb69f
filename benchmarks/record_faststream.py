"""The same records into the same table by a FastStream subscriber, written the way its documentation shows.

It takes batches of typed events, as large as the recorder's, inserts their original bytes and acknowledges after that:
at least once, without the recorder's announcement, its place in each token, its dead letters and its bounds.
"""

import asyncio
import time
from itertools import count as counter
from typing import Any

import orjson
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from schemas.events import DriftDetected, Event
from schemas.topics import TopicName
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS, AuditRow


async def faststream_rate(store: ClickHouse, bootstrap: str, group: str, n: int, batch: int) -> float:
    """Rows a second from the first row to the last, with a consumer group of its own."""
    broker = KafkaBroker(bootstrap, logger=None)
    done, taken, turns, begun = asyncio.Event(), 0, counter(), 0.0

    @broker.subscriber(
        TopicName.DRIFT, group_id=group, batch=True, max_records=batch, auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK, decoder=_decoded,
    )  # fmt: skip
    async def record(events: list[Event[DriftDetected]], message: KafkaMessage) -> None:
        nonlocal taken, begun
        begun = begun or time.perf_counter()
        records = message.raw_message
        assert isinstance(records, tuple)
        rows = [
            AuditRow(one.value or b"", "faststream", one.topic, one.partition, one.offset, one.timestamp)
            for one in records
        ]
        turn = next(turns)
        await insert_rows(store, Place(group, TopicName.DRIFT, 0), Span(turn, turn), {EVENTS: rows})
        taken += len(events)
        if taken >= n:
            done.set()

    async with broker:
        begun = time.perf_counter()
        await broker.start()
        async with asyncio.timeout(300):
            await done.wait()
        return taken / (time.perf_counter() - begun)


async def _decoded(message: KafkaMessage) -> list[Any]:
    """FastStream takes JSON for such only by its own content type, and CloudEvents have theirs."""
    bodies: tuple[bytes, ...] = message.body  # type: ignore[assignment]  # of a batch, which its type does not say
    return [orjson.loads(body) for body in bodies]
