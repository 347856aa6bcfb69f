"""The recorder at its limits: ClickHouse away for an hour, slow, or full; events of 10 MB; two under one name.

Nothing is lost and nothing doubled, in the rows and in the hourly numbers, and the group does not fall apart meanwhile.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.events import ChangeObserved, make_event, stable_id
from schemas.target import Target
from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.recorder import loop
from services.recorder.batches import Limits
from services.recorder.service import run_recorder
from services.recorder.session import Session
from services.recorder.store import ClickHouse
from services.recorder.tables import Row, Table
from services.runtime.clock import Clock, SystemClock
from services.runtime.deadletters import MOST_VALUE, SIZE
from services.runtime.errors import Temporary
from services.runtime.health import Health
from services.runtime.kafka import Outgoing, admin, make_producer, outgoing, send_all, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from tests.integration.recorder_parts import empty_store, engine_folder, own_broker, settings, store
from tests.recording import NOON, Running, change, produce, proved, recorded, until

__all__ = ["empty_store", "engine_folder", "own_broker", "settings", "store"]
pytestmark = pytest.mark.integration
HOUR_S = 3600.0
LARGE = 10_000_000
ROLLUPS = ("events_hourly", "delay_hourly")


class Leaping:
    """A clock on which waiting is over at once, and has taken its time all the same."""

    def __init__(self) -> None:
        self.leapt = 0.0
        self.sleeps = 0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.leapt)

    def monotonic(self) -> float:
        return time.monotonic() + self.leapt

    async def sleep(self, seconds: float) -> None:
        self.leapt += max(0.0, seconds)
        self.sleeps += 1
        await asyncio.sleep(0.002)


class Away:
    """The engine, of which nothing is to be had before `until` on the clock; then everything works."""

    def __init__(self, store: ClickHouse, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.until = 0.0

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        self._check()
        await self.store.insert(table, rows, token)

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        self._check()
        return await self.store.query(sql, parameters)

    async def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        self._check()
        await self.store.command(sql, parameters)

    def _check(self) -> None:
        if self.clock.monotonic() < self.until:
            raise Temporary("ClickHouse: nobody answers")


class Slow:
    """The engine, whose first inserts take longer than the group waits for a member that is silent."""

    def __init__(self, store: ClickHouse, seconds: float, times: int) -> None:
        self.store, self.seconds, self.left = store, seconds, times

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        await self.store.insert(table, rows, token)
        if self.left:
            self.left -= 1
            await asyncio.sleep(self.seconds)

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        return await self.store.query(sql, parameters)

    async def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        await self.store.command(sql, parameters)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    """Every assignment that a recorder of this test was given."""
    made: list[Session] = []

    class Counted(Session):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(loop, "Session", Counted)
    return made


@asynccontextmanager
async def recorder(
    settings: Settings, store: Any, clock: Clock | None = None, limits: Limits | None = None, member: str | None = None
) -> AsyncIterator[Running]:
    """One beside the test, with a clock, limits and a name of its own."""
    stop, own = asyncio.Event(), clock or SystemClock()
    health, metrics = Health("recorder", own), Metrics("recorder")
    task = asyncio.create_task(
        run_recorder(
            settings, clock=own, health=health, metrics=metrics, log=get_log("recorder"), stop=stop, store=store,
            limits=limits, member=member,
        )
    )  # fmt: skip
    try:
        yield Running(health, metrics, stop, task)
    finally:
        stop.set()
        await asyncio.wait({task})
        task.result()


async def has(store: ClickHouse, cluster: str, count: int, within: float = 120.0) -> None:
    async def enough() -> bool:
        return await recorded(store, cluster) >= count

    await until(enough, within)


async def agree(store: ClickHouse) -> None:
    """Assert that the hourly numbers are those of the rows."""
    rows = await store.query("SELECT count() FROM events")
    for rollup in ROLLUPS:
        assert await store.query(f"SELECT sum(events) FROM {rollup}") == rows, rollup


async def test_an_hour_without_clickhouse_is_caught_up(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings, sessions: list[Session]
) -> None:
    """It is asked at a bounded pace, memory stays bounded, the assignment stays; then the whole backlog is there."""
    clock = Leaping()
    away = Away(store, clock)
    limits = Limits(rows=1000, in_memory_rows=3000)
    await produce(own_broker.bootstrap, [change("l-hour", number) for number in range(2000)])
    async with recorder(settings, away, clock, limits) as running:
        await running.ready()
        await has(store, "l-hour", 2000)
        assigned, asleep = len(sessions), clock.sleeps
        began = clock.monotonic()
        away.until = began + HOUR_S
        await produce(own_broker.bootstrap, [change("l-hour", number) for number in range(2000, 20_000)])

        async def over() -> bool:
            assert running.counted("buffered_rows") <= 3000 + 1000
            return clock.monotonic() > away.until

        await until(over)
        assert clock.sleeps - asleep < HOUR_S / 5
        await has(store, "l-hour", 20_000)
        await running.ready()
        assert len(sessions) == assigned
        assert running.counted("replays_total") == 0
    await proved(store, "l-hour", 20_000)
    await agree(store)


async def test_a_slow_clickhouse_costs_no_assignment(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings, sessions: list[Session]
) -> None:
    """One insert takes longer than the group's session: reading pauses, and nobody is taken for dead."""
    await produce(own_broker.bootstrap, [change("l-slow", number) for number in range(1500)])
    async with recorder(settings, Slow(store, 12.0, 1), limits=Limits(rows=200, in_memory_rows=500)) as running:
        await has(store, "l-slow", 1500)
        assert len(sessions) == 1
        assert running.counted("replays_total") == running.counted("repairs_total") == 0
    await proved(store, "l-slow", 1500)
    await agree(store)


async def test_two_recorders_fight_for_the_partitions(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings, sessions: list[Session]
) -> None:
    """Members come and go while records keep coming, so partitions change hands in the middle of inserts."""
    limits = Limits(rows=100, age=0.05, age_caught_up=0.02)

    async def feed() -> None:
        for first in range(0, 6000, 200):
            await produce(own_broker.bootstrap, [change("l-two", number) for number in range(first, first + 200)])
            await asyncio.sleep(0.1)

    async with recorder(settings, store, limits=limits) as one:
        await one.ready()
        feeding = asyncio.create_task(feed())
        while not feeding.done():
            async with recorder(settings, store, limits=limits) as other:
                await other.ready()
        await feeding
        await has(store, "l-two", 6000)
    assert len(sessions) > 4
    await proved(store, "l-two", 6000)
    await agree(store)


async def test_two_under_one_name_lose_and_double_nothing(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """A wrong set-up: each takes the other's place in the group. Slow at worst, and every row is there once."""
    limits = Limits(rows=100, age=0.05, age_caught_up=0.02)
    async with recorder(settings, store, limits=limits, member="twin") as one:
        await one.ready()
        async with recorder(settings, store, limits=limits, member="twin"):
            for first in range(0, 3000, 300):
                await produce(own_broker.bootstrap, [change("l-twin", number) for number in range(first, first + 300)])
            await asyncio.sleep(3)
        await has(store, "l-twin", 3000)
    await proved(store, "l-twin", 3000)
    await agree(store)


async def test_an_event_of_10_mb_is_recorded_whole(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Where the topic takes it; the ones around it are as quick as ever, and one that cannot be read does not stop
    them: its beginning goes to the dead letters, and says how long it was."""
    await allow(own_broker, TopicName.CHANGES, 2 * LARGE)
    junk = Outgoing(TopicName.CHANGES, b"large", b"\xff" * LARGE, 0)
    async with started(make_producer(own_broker.bootstrap, client_id="test")) as producer:
        await send_all(producer, [change("l-large", 0), large("l-large", 1), junk, change("l-large", 2)])
    async with recorder(settings, store) as running:
        await has(store, "l-large", 3)
        await running.ready()

        async def told() -> list[Row]:
            return await store.query(
                "SELECT JSONExtractUInt(payload, 'data', 'bytes') FROM events "
                "WHERE topic = 'setpoint-dead-letter' AND position(payload, 'not JSON') > 0"
            )

        lengths = await until(told)
    await proved(store, "l-large", 3)
    assert any(LARGE <= length < LARGE + 100 for (length,) in lengths), (lengths, SIZE, MOST_VALUE)
    ((size,),) = await store.query("SELECT max(length(payload)) FROM events WHERE cluster = 'l-large'")
    assert size > LARGE
    await agree(store)


async def allow(broker: LocalBroker, topic: TopicName, size: int) -> None:
    """Let a topic take records of so many bytes."""
    async with started(admin(broker.bootstrap)) as client:
        change = {"max.message.bytes": str(size), "cleanup.policy": "delete"}
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, str(topic), change)])


def large(cluster: str, number: int) -> Outgoing:
    """A change with some 10 MB of paths."""
    target = Target(cluster=cluster, group="", kind="ConfigMap", namespace="payments", name="huge")
    paths = tuple(f"/data/{at:07}/{'x' * 84}" for at in range(LARGE // 96))
    data = ChangeObserved(
        target=target, operation="updated", resource_version=str(number), paths=paths, manager="kubectl", time=NOON
    )
    id = stable_id(cluster, number)
    event = make_event(data, id=id, source="setpoint/watcher", subject=target.subject, time=NOON, correlationid=id)
    return outgoing(TopicName.CHANGES, event, target.subject)
