"""Topics that others write, such as falcosidekick's: each record becomes events exactly once, over any crash.

One `Intake` a topic, with a consumer group of its own, of which every gateway is a member; `taking` reads a partition.
A topic that is not there yet, or that cannot be read, holds up nobody else: it is said in health, and tried again. It
does not make the gateway unready, since what is sent over HTTP is still taken.
"""

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.structs import TopicPartition

from services.gateway.about import CLUSTER
from services.gateway.source import Source
from services.gateway.taking import Desk, Foreign, Taking
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Temporary, UsageError
from services.runtime.health import Health
from services.runtime.intakes import EXAMPLE, IntakeSetting
from services.runtime.kafka import KafkaError, admin, make_consumer, started
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.runtime.tasks import cancel

FETCHED_BYTES = 1024 * 1024
LOOK_S, STOPPED_S = 10.0, 300.0
"""Seconds between two looks for a topic that is not there, and before one that cannot be read is tried again."""


class Intake(ConsumerRebalanceListener):
    """One topic. Use `run` as a task."""

    def __init__(self, foreign: Foreign, desk: Desk) -> None:
        self.foreign, self.desk = foreign, desk
        self.trouble: str | None = "it has not started yet"
        self.taking: list[Taking] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.consumer: AIOKafkaConsumer | None = None

    def problem(self) -> str | None:
        """What stands against it now, for health."""
        waiting = [taking.place.partition for taking in self.taking if not taking.ready]
        return self.trouble or (f"partitions not taken up yet: {waiting}" if waiting else None)

    async def run(self) -> None:
        """Take records in until cancelled."""
        backoff = Backoff(first=0.5)
        while True:
            try:
                await self._until_there()
                await self._consume(backoff)
            except Permanent as error:
                wait, self.trouble = STOPPED_S, str(error)
                self.desk.log.error("an intake stopped", topic=self.foreign.topic, error=self.trouble)
            except (Temporary, KafkaError, OSError) as error:
                wait, self.trouble = backoff.next(), f"{type(error).__name__}: {error}"
                self.desk.log.warning("an intake starts over", topic=self.foreign.topic, error=self.trouble)
                self.desk.metrics.inc("loop_errors_total")
            await self.desk.clock.sleep(wait)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let go of all, before every rebalance; what is not committed is read again by the next owner."""
        await self._release()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Read each from now on. A member without any stands by, and nothing is wrong with that."""
        assert self.consumer is not None
        self.taking = [Taking(place, self.consumer, self.foreign, self.desk) for place in assigned]
        self.tasks = [asyncio.create_task(taking.run()) for taking in self.taking]
        self.trouble = None

    async def _until_there(self) -> None:
        """Wait for the topic; asking for it by its name could make it."""
        async with started(admin(self.desk.bootstrap, self.desk.client)) as client:
            while self.foreign.topic not in await client.list_topics():
                self.trouble = "the topic is not there yet"
                await self.desk.clock.sleep(LOOK_S)

    async def _consume(self, backoff: Backoff) -> None:
        self.trouble = "not a member of its group yet"
        self.consumer = make_consumer(
            self.desk.bootstrap, client_id=self.desk.client, group=self.desk.group(self.foreign.topic),
            max_partition_fetch_bytes=FETCHED_BYTES, max_poll_interval_ms=2**31 - 1,  # nobody polls without a partition
        )  # fmt: skip
        async with started(self.consumer):
            self.consumer.subscribe([self.foreign.topic], listener=self)
            try:
                while True:
                    await self._look()
                    if self.problem() is None:
                        backoff.reset()
            finally:
                await self._release()

    async def _look(self) -> None:
        """Wait a little; raises what ended a partition."""
        if not self.tasks:
            await self.desk.clock.sleep(1.0)
            return
        done, _ = await asyncio.wait(self.tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()

    async def _release(self) -> None:
        self.trouble = "not a member of its group yet"
        tasks, self.tasks, self.taking = self.tasks, [], []
        await cancel(*tasks)


def intakes_of(
    settings: Settings, sources: Mapping[str, Source], *, clock: Clock, health: Health, metrics: Metrics, log: Log
) -> list[Intake]:
    """Those that are set. Raises UsageError for a source that there is not, and for what is no cluster's name."""
    desk = Desk(str(settings.need("kafka", "--kafka")), settings.group_prefix, clock, metrics, log)
    made = []
    for topic, setting in settings.intake.items():
        intake = Intake(Foreign(topic, _source(topic, setting, sources), setting), desk)
        health.note(f"intake {topic}", intake.problem)
        made.append(intake)
    return made


def _source(topic: str, setting: IntakeSetting, sources: Mapping[str, Source]) -> Source:
    where, known = f"SETPOINT_INTAKE, topic {topic}", ", ".join(sorted(sources))
    if setting.source not in sources:
        raise UsageError(f"{where}: there is no source {setting.source!r}", f"Known ones are {known}")
    if setting.cluster and not (CLUSTER.fullmatch(setting.cluster) and setting.cluster.isprintable()):
        raise UsageError(f"{where}: 'cluster' is no cluster's name", f"Write {EXAMPLE}")
    return sources[setting.source]
