"""From records on the broker to rows, or to the dead letters."""

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from schemas.topics import TopicName
from services.recorder.batches import Portion
from services.recorder.deadletters import DlqCount, bury
from services.recorder.intents import Place
from services.recorder.letters import had_before
from services.recorder.rows import rows_of
from services.recorder.samples import Seen, rows_of_block
from services.recorder.values import Unreadable
from services.runtime.logging import Log
from services.runtime.metrics import Metrics


class Reading:
    """Reads records, and counts how many of them it could not."""

    def __init__(self, producer: AIOKafkaProducer, count: DlqCount, metrics: Metrics, log: Log) -> None:
        self.producer = producer
        self.count = count
        self.metrics = metrics
        self.log = log

    async def read(
        self, place: Place, records: "Sequence[ConsumerRecord[bytes, bytes]]", seen: Seen | None = None
    ) -> Portion:
        """The records of one poll of one partition, at least one. Tombstones make no rows, nor do unreadable records,
        which are buried first, nor what was sent back from there and is recorded already. `seen` is what the assignment
        knows of series.

        Raises Permanent once too many are unreadable: nothing of this portion is passed then.
        """
        portion = Portion(first=records[0].offset, last=records[-1].offset)
        for record in records:
            if record.value is None or had_before(record):
                portion.add(0, None)
                continue
            try:
                if place.topic == TopicName.SAMPLES:
                    size, rows = rows_of_block(place, record, seen if seen is not None else Seen())
                    portion.add_rows(size, rows)
                else:
                    portion.add(len(record.value), rows_of(place, record))
            except Unreadable as error:
                await self._bury(record, str(error))
                portion.add(len(record.value), None)
            else:
                self.count.good()
        return portion

    async def _bury(self, record: "ConsumerRecord[bytes, bytes]", error: str) -> None:
        self.count.bad(f"{record.topic}:{record.partition}:{record.offset} {error}")
        await bury(self.producer, record, error)
        self.metrics.inc("dead_letters_total", topic=record.topic)
        self.log.warning(
            "unreadable record put to the dead letters",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=error,
        )
