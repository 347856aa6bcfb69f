"""One partition of a topic that others write, from assignment to revocation: records in, events out, exactly once.

Events, dead letters and the offset up to which they reach are one transaction. Each partition has a transactional id of
its own: who takes it over fences the one before, and only then asks for the offset (see `runtime/journal.py`).
Whatever is raised here, the intake starts over.
"""

from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.gateway.defects import place_of
from services.gateway.foreign import Reader, Taken
from services.gateway.source import Sender, Source
from services.runtime.clock import Clock
from services.runtime.intakes import IntakeSetting
from services.runtime.journal import Journal, open_journal
from services.runtime.logging import Log
from services.runtime.metrics import Metrics

OUTPUTS = (TopicName.ALERTS, TopicName.AUDIT, TopicName.DEAD_LETTER)
POLL_MS, MOST_RECORDS = 1000, 500


@dataclass(frozen=True)
class Desk:
    """What all intakes of a gateway share."""

    bootstrap: str
    prefix: str
    clock: Clock
    metrics: Metrics
    log: Log
    client: str = "setpoint-gateway-intake"

    def group(self, topic: str) -> str:
        """A topic's consumer group, and the beginning of its transactional ids."""
        return f"{self.prefix}-intake-{topic}"


@dataclass(frozen=True)
class Foreign:
    """A topic that others write, and how it is read."""

    topic: str
    source: Source
    setting: IntakeSetting

    def sender(self) -> Sender:
        """In the place of whom HTTP would have proved."""
        setting = self.setting
        return Sender(setting.cluster or self.topic, setting.clusters, setting.cluster_label)


class Taking:
    """Owned from the first step of `run` to its end; `ready` once the one before is fenced and the offset known."""

    def __init__(self, place: TopicPartition, consumer: AIOKafkaConsumer, foreign: Foreign, desk: Desk) -> None:
        self.place, self.consumer, self.foreign, self.desk = place, consumer, foreign, desk
        self.reader = Reader(foreign.source, foreign.sender(), self._defect)
        self.ready = False

    async def run(self) -> None:
        """Own it until cancelled. Raises KafkaError or OSError where the broker is away, Permanent past the limit."""
        group = self.desk.group(self.foreign.topic)
        journal = await open_journal(self.desk.bootstrap, f"{group}-{self.place.partition}", group, OUTPUTS)
        try:
            await self._position(journal)
            self.ready = True
            while True:
                await self._round(journal)
        finally:
            self.ready = False
            await journal.close()

    async def _round(self, journal: Journal) -> None:
        """One transaction over what is there; nothing where nothing is."""
        found = await self.consumer.getmany(self.place, timeout_ms=POLL_MS, max_records=MOST_RECORDS)
        records = found.get(self.place)
        if not records:
            return
        taken, after = self.reader.take(records, self.desk.clock.now()), records[-1].offset + 1
        await journal.commit(taken.events, taken.dead, {self.place: after})
        self._tell(taken, after)

    async def _position(self, journal: Journal) -> None:
        """Go on where the last transaction ended.

        One that is read for the first time begins where records are young enough. That is kept at once, so that what
        comes while the gateway is away is read however long that takes.
        """
        offset = await self.consumer.committed(self.place)
        if offset is None:
            offset = await self._first()
            await journal.commit([], [], {self.place: offset})
        self.consumer.seek(self.place, offset)
        self.desk.log.info("a partition is taken up", topic=self.place.topic, number=self.place.partition, at=offset)

    async def _first(self) -> int:
        """The end is asked for first: what comes meanwhile lies behind it."""
        since = self.desk.clock.now() - self.foreign.setting.look_back
        end = (await self.consumer.end_offsets([self.place]))[self.place]
        found = (await self.consumer.offsets_for_times({self.place: int(since.timestamp() * 1000)}))[self.place]
        return int(found.offset if found else end)

    def _defect(self, error: Exception) -> None:
        topic, kind = self.foreign.topic, type(error).__name__
        self.desk.log.error("a record failed", topic=topic, kind=kind, place=place_of(error))

    def _tell(self, taken: Taken, after: int) -> None:
        metrics, source, topic = self.desk.metrics, self.foreign.source.name, self.foreign.topic
        metrics.inc("ingested_events_total", len(taken.events), source=source)
        for why, times in taken.passed_over.items():
            metrics.inc("passed_over_total", times, source=source, why=why)
        for letter in taken.dead:
            headers = dict(letter.headers)
            metrics.inc("dead_letters_total", topic=topic)
            self.desk.log.warning(
                "unreadable record put to the dead letters", topic=topic, partition=self.place.partition,
                offset=headers["original-offset"].decode(), error=headers["error"].decode(),
            )  # fmt: skip
        behind = max(0, (self.consumer.highwater(self.place) or after) - after)
        metrics.set("intake_lag", behind, topic=topic, partition=str(self.place.partition))
