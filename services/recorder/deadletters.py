"""Records that cannot be read: their original bytes go to the dead letters before their offset is passed.

More than a set share of them stops the consumer instead: that many unreadable records are a wrong version or a wrong
topic, and draining a topic into the dead letters would hide it.
"""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from schemas.topics import TopicName
from services.runtime.deadletters import dead_letter
from services.runtime.errors import Permanent


@dataclass(frozen=True)
class DlqLimit:
    """How much may be unreadable: so many in a row, or such a share of the last `window` records."""

    consecutive: int = 100
    share: float = 0.25
    window: int = 1000


class DlqCount:
    """Counts readable and unreadable records against a limit."""

    def __init__(self, limit: DlqLimit) -> None:
        self.limit = limit
        self.in_a_row = 0
        self.unreadable = 0
        self.recent: deque[bool] = deque(maxlen=limit.window)

    def good(self) -> None:
        """A record was read."""
        self.in_a_row = 0
        self._add(False)

    def bad(self, what: str) -> None:
        """A record was not. Raises Permanent, naming `what`, once the limit is passed."""
        self.in_a_row += 1
        self._add(True)
        full = len(self.recent) == self.limit.window
        if self.in_a_row > self.limit.consecutive or (full and self.unreadable > self.limit.share * self.limit.window):
            raise Permanent(
                f"{self.in_a_row} unreadable records in a row, {self.unreadable} of the last {len(self.recent)}; "
                f"the last one: {what}",
                "Find out which producer writes them; nothing was passed over, so a version that can read them "
                "continues here",
            )

    def _add(self, unreadable: bool) -> None:
        if len(self.recent) == self.limit.window:
            self.unreadable -= self.recent[0]
        self.recent.append(unreadable)
        self.unreadable += unreadable


async def bury(producer: AIOKafkaProducer, record: "ConsumerRecord[bytes, bytes]", error: str) -> None:
    """Send the record's original key and bytes to the dead letters; returns once all replicas have it."""
    letter = dead_letter(record, error)
    await producer.send_and_wait(
        TopicName.DEAD_LETTER, key=letter.key, value=letter.value, headers=list(letter.headers)
    )


async def buried(
    consumer: AIOKafkaConsumer, first: int | None = None, last: int | None = None
) -> "AsyncIterator[ConsumerRecord[bytes, bytes]]":
    """The dead letters that are there now, in their order, with the marks of those that were sent back: records without
    a value. `first` and `last` are offsets. The consumer gets this topic assigned, instead of whatever it had."""
    place = TopicPartition(TopicName.DEAD_LETTER, 0)
    consumer.assign([place])
    end = (await consumer.end_offsets([place]))[place]
    if last is not None:
        end = min(end, last + 1)
    begin = (await consumer.beginning_offsets([place]))[place]
    consumer.seek(place, max(begin, first or 0))
    while await consumer.position(place) < end:
        for records in (await consumer.getmany(place, timeout_ms=1000, max_records=500)).values():
            for record in records:
                if record.offset < end:
                    yield record
