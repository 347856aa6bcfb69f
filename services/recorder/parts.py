"""What every step of the recorder works with, bound together once by `service.py`."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from schemas.base import rfc3339
from services.recorder.rollups import Difference
from services.recorder.store import Store
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.health import Health
from services.runtime.logging import Log
from services.runtime.metrics import Metrics


@dataclass
class Parts:
    """`broker` is the Kafka cluster's id; `problem` is the last failure of ClickHouse, None once it works again."""

    consumer: AIOKafkaConsumer
    producer: AIOKafkaProducer
    admin: AIOKafkaAdminClient
    store: Store
    broker: str
    group: str
    clock: Clock
    health: Health
    metrics: Metrics
    log: Log
    problem: str | None = None

    def wrote(self, topic: str, rows: int, seconds: float) -> None:
        """An insert was acknowledged."""
        self.problem = None
        self.metrics.inc("rows_total", rows, topic=topic)
        self.metrics.inc("inserts_total")
        self.metrics.observe("insert_seconds", seconds)

    def failed(self, error: Temporary) -> None:
        """ClickHouse did not take an insert; it is tried again."""
        if self.problem is None:
            self.log.warning("ClickHouse does not take rows; reading pauses until it does", error=str(error))
        self.problem = str(error)
        self.metrics.inc("loop_errors_total")

    def counted_again(self, wrong: Sequence[Difference]) -> None:
        """Hours whose numbers did not agree with their rows when partitions were taken up."""
        for one in wrong:
            self.metrics.inc("recounts_total")
            self.log.warning(
                "counted an hour again, whose numbers did not agree with its rows",
                rollup=one.rollup,
                hour=rfc3339(one.hour),
                topic=one.topic,
                partition=one.partition,
                counted=one.counted,
                rows=one.rows,
            )

    def kept(self, repaired: int) -> None:
        """A span was checked row by row."""
        if self.problem is not None:
            self.log.info("ClickHouse takes rows again")
        self.problem = None
        if repaired:
            self.metrics.inc("repairs_total", repaired)
            self.log.warning("put back rows that the engine had acknowledged and not kept", rows=repaired)
