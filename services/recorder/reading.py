"""From a record on the broker to its rows, or to the dead letters."""

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from services.recorder.deadletters import DlqCount, bury
from services.recorder.intents import Place
from services.recorder.rows import Made, rows_of
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

    async def read(self, place: Place, record: "ConsumerRecord[bytes, bytes]") -> tuple[int, Made | None]:
        """The record's size and its rows; None for a tombstone, and for an unreadable one, which is buried first.

        Raises Permanent once too many are unreadable: this one is not passed then.
        """
        if record.value is None:
            return 0, None
        try:
            made = rows_of(place, record)
        except Unreadable as error:
            await self._bury(record, str(error))
            return len(record.value), None
        self.count.good()
        return len(record.value), made

    async def _bury(self, record: "ConsumerRecord[bytes, bytes]", error: str) -> None:
        self.count.bad(f"{record.topic}:{record.partition}:{record.offset} {error}")
        await bury(self.producer, record, error)
        self.metrics.inc("dead_letters_total", topic=record.topic)
        self.log.warning("unreadable record put to the dead letters", topic=record.topic, partition=record.partition,
                         offset=record.offset, error=error)  # fmt: skip
