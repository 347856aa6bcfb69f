"""The recorder on a real broker and the real engine: everything once, whatever fails."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.recorder.batches import Limits
from services.recorder.deadletters import DlqLimit
from services.recorder.store import ClickHouse
from services.recorder.tables import Row, Table
from services.runtime.errors import Permanent, Temporary
from services.runtime.kafka import Outgoing, admin, make_consumer, make_producer, started
from services.runtime.settings import Settings
from tests.integration.recorder_parts import empty_store, engine_folder, own_broker, settings, store
from tests.recording import change, produce, proved, recorded, recorder, samples, until

__all__ = ["empty_store", "engine_folder", "own_broker", "settings", "store"]
pytestmark = pytest.mark.integration
SMALL = Limits(rows=100, age=0.1, age_caught_up=0.05)


async def has(store: ClickHouse, cluster: str, count: int) -> None:
    """Wait until so many rows of a cluster are there."""

    async def enough() -> bool:
        return await recorded(store, cluster) >= count

    await until(enough)


async def test_every_record_is_recorded_once_and_proved_by_offsets(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Events are there with their parts, samples one row each, and `completeness` has no doubles."""
    await produce(own_broker.bootstrap, [change("c-all", number) for number in range(500)])
    await produce(own_broker.bootstrap, [samples("s-all", number) for number in range(40)])
    async with recorder(settings, store) as running:
        await running.ready()
        await has(store, "c-all", 500)

        async def sampled() -> bool:
            return bool((await store.query("SELECT count() >= 120 FROM metrics WHERE source = 's-all'"))[0][0])

        await until(sampled)
    await proved(store, "c-all", 500)
    assert await store.query("SELECT sum(doubled) FROM completeness") == [(0,)]
    distinct = "uniqExact(kafka_partition, kafka_offset, sample)"
    found = await store.query(f"SELECT count(), {distinct}, sum(value) FROM metrics WHERE source = 's-all'")
    assert found == [(120, 120, 120.0)]
    assert (await store.query("SELECT any(manager), any(paths), any(operation) FROM changes"))[0] == (
        "kubectl", ["/spec/replicas"], "updated",
    )  # fmt: skip


async def test_a_caught_up_recorder_does_not_wait_for_its_batch(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Neither for its size nor for its age, which would both take an hour here."""
    async with recorder(settings, store, Limits(rows=1_000_000, age=3600.0)) as running:
        await running.ready()
        await produce(own_broker.bootstrap, [change("c-warm", 0)])
        await has(store, "c-warm", 1)
        await produce(own_broker.bootstrap, [change("c-quick", 0)])
        await has(store, "c-quick", 1)
        assert await recorded(store, "c-quick") == 1


async def test_a_restart_goes_on_where_it_stopped(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """An orderly stop leaves nothing open: no replay, no double."""
    await produce(own_broker.bootstrap, [change("c-restart", number) for number in range(300)])
    async with recorder(settings, store, SMALL):
        await has(store, "c-restart", 50)
    await produce(own_broker.bootstrap, [change("c-restart", number) for number in range(300, 400)])
    async with recorder(settings, store, SMALL) as second:
        await has(store, "c-restart", 400)
        assert second.counted("replays_total") == 0
    await proved(store, "c-restart", 400)


async def test_two_recorders_share_the_work_and_one_may_vanish(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Members come and go while records flow; each record is recorded once."""
    async with recorder(settings, store, SMALL) as first:
        await first.ready()
        for step in range(6):
            await produce(
                own_broker.bootstrap, [change("c-two", number) for number in range(step * 200, step * 200 + 200)]
            )
            async with recorder(settings, store, SMALL) as second:
                if step % 2:
                    await second.ready()
                await produce(
                    own_broker.bootstrap,
                    [change("c-two", number) for number in range(1200 + step * 50, 1250 + step * 50)],
                )
        await has(store, "c-two", 1500)
    await proved(store, "c-two", 1500)


async def test_an_unreadable_record_goes_to_the_dead_letters(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Original bytes, key and place; the records around it are recorded, and it is never read again."""
    value = b'{"type": "\xff'
    await produce(
        own_broker.bootstrap,
        [change("c-bad", 0), Outgoing(TopicName.CHANGES, b"key", value, 1), change("c-bad", 1)],
    )
    async with recorder(settings, store) as running:
        await has(store, "c-bad", 2)

        async def buried() -> Any:
            letters = await read_all(own_broker.bootstrap, TopicName.DEAD_LETTER)
            found = next((letter for letter in letters if letter.value == value), None)
            return found if running.counted("dead_letters_total{") >= 1 else None

        letter = await until(buried)
    headers = dict(letter.headers)
    assert letter.key == b"key"
    assert headers["original-topic"] == b"setpoint-changes"
    assert headers["original-partition"] == b"1"
    assert headers["original-offset"].isdigit()
    assert headers["error"] == b"not JSON"
    async with recorder(settings, store) as again:
        await again.ready()
        assert again.counted("dead_letters_total{") == 0


async def test_too_many_unreadable_records_stop_it_and_pass_nothing_over(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Draining a topic into the dead letters would hide a wrong version."""
    junk = [Outgoing(TopicName.CONTROL, b"k", b"junk", 0) for _ in range(5)]
    await produce(own_broker.bootstrap, junk)
    with pytest.raises(Permanent, match="unreadable records"):
        async with recorder(settings, store, dlq=DlqLimit(consecutive=2)) as running:
            await asyncio.wait({running.task}, timeout=120)
    commit = await committed(own_broker.bootstrap, settings, TopicName.CONTROL, 0)
    assert commit is None or commit.offset <= await end_of(own_broker.bootstrap, TopicName.CONTROL, 0) - 2
    async with recorder(settings, store) as running:  # the default limit is wider
        await running.ready()

        async def passed() -> bool:
            commit = await committed(own_broker.bootstrap, settings, TopicName.CONTROL, 0)
            return (
                commit is not None
                and commit.metadata == ""
                and commit.offset == await end_of(own_broker.bootstrap, TopicName.CONTROL, 0)
            )

        await until(passed)


async def test_tombstones_are_passed(own_broker: LocalBroker, store: ClickHouse, settings: Settings) -> None:
    """A removed control leaves an empty record behind, which is no event and no dead letter."""
    await produce(own_broker.bootstrap, [Outgoing(TopicName.CONTROL, b"east/pause", None, 1)])
    end = await end_of(own_broker.bootstrap, TopicName.CONTROL, 1)

    async def passed() -> bool:
        commit = await committed(own_broker.bootstrap, settings, TopicName.CONTROL, 1)
        return commit == OffsetAndMetadata(end, "")

    async with recorder(settings, store):
        await until(passed)
    assert await store.query("SELECT count() FROM events WHERE topic = 'setpoint-control'") == [(0,)]
    letters = await read_all(own_broker.bootstrap, TopicName.DEAD_LETTER)
    assert not [letter for letter in letters if ("original-partition", b"1") in _control(letter)]


def _control(letter: Any) -> list[tuple[str, bytes]]:
    """The headers of a dead letter from the control topic, nothing for others."""
    return list(letter.headers) if ("original-topic", b"setpoint-control") in letter.headers else []


class Troubled:
    """The engine behind an unreliable way: `plan` says of each insert what happens; then everything works."""

    def __init__(self, store: ClickHouse, plan: list[str]) -> None:
        self.store, self.plan = store, plan
        self.done = 0

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        fault = self.plan.pop(0) if self.plan else "works"
        if fault != "refused":
            await self.store.insert(table, rows, token)
        if fault != "works":
            raise Temporary(f"ClickHouse: {fault}")
        self.done += 1

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        return await self.store.query(sql, parameters)

    async def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        await self.store.command(sql, parameters)


async def test_nothing_is_skipped_or_doubled_while_clickhouse_is_away(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Refused inserts and inserts of unknown end: reading pauses, says so, and catches up; the group stays as it is."""
    await produce(own_broker.bootstrap, [change("c-away", number) for number in range(400)])
    troubled = Troubled(store, ["refused", "unsure", "refused", "unsure", "works", "unsure"])
    async with recorder(settings, troubled, SMALL) as running:

        async def complains() -> bool:
            return "clickhouse" in running.health.problems()

        await until(complains)
        await has(store, "c-away", 400)
        await running.ready()
        assert running.counted("replays_total") == 0
    await proved(store, "c-away", 400)


async def test_reading_stops_at_the_limit_of_memory(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """With the engine away nothing is buffered without bound."""
    await produce(own_broker.bootstrap, [change("c-full", number) for number in range(3000)])
    limits = Limits(rows=100, in_memory_rows=300)
    troubled = Troubled(store, ["refused"] * 3)
    async with recorder(settings, troubled, limits) as running:

        async def complains() -> bool:
            return "clickhouse" in running.health.problems()

        await until(complains)
        assert running.counted("buffered_rows") <= 300 + 1000
        await has(store, "c-full", 3000)
    await proved(store, "c-full", 3000)


async def test_a_group_with_another_name_goes_on_behind_the_record(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Expired offsets, or a new prefix over the same database: nothing is recorded twice."""
    await produce(own_broker.bootstrap, [change("c-group", number) for number in range(100)])
    async with recorder(settings, store):
        await has(store, "c-group", 100)
    await produce(own_broker.bootstrap, [change("c-group", number) for number in range(100, 150)])
    other = settings.model_copy(update={"group_prefix": f"{settings.group_prefix}-other"})
    async with recorder(other, store):
        await has(store, "c-group", 150)
    await proved(store, "c-group", 150)


async def test_a_broker_that_comes_back_is_read_on(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """The broker dies in the middle and returns on its data."""
    await produce(own_broker.bootstrap, [change("c-broker", number) for number in range(500)])
    async with recorder(settings, store, SMALL):
        await has(store, "c-broker", 100)
        await own_broker.kill()
        await own_broker.start()
        await produce(own_broker.bootstrap, [change("c-broker", number) for number in range(500, 700)])
        await has(store, "c-broker", 700)
    await proved(store, "c-broker", 700)


async def test_an_announced_span_that_the_broker_dropped_is_no_end(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Retention may overtake an interrupted insert: what is gone is said, and the rest is recorded."""
    await produce(own_broker.bootstrap, [change("c-gone", number, names=1) for number in range(60)])
    partition = await partition_of(own_broker.bootstrap, "c-gone")
    end = await end_of(own_broker.bootstrap, partition.topic, partition.partition)
    group = f"{settings.group_prefix}-recorder"
    async with started(make_consumer(own_broker.bootstrap, client_id="t", group=group)) as consumer:
        consumer.assign([partition])
        await consumer.commit({partition: OffsetAndMetadata(end - 60, f"1:{end - 31}")})
    async with started(admin(own_broker.bootstrap)) as client:
        await client.delete_records({partition: RecordsToDelete(before_offset=end - 10)})
    async with recorder(settings, store) as running:
        await has(store, "c-gone", 10)
        await running.ready()
    rows = await store.query("SELECT count(), uniqExact(kafka_offset) FROM events WHERE cluster = 'c-gone'")
    assert rows == [(10, 10)]


async def read_all(bootstrap: str, topic: str) -> list[Any]:
    """Every record of a topic's first partition."""
    partition = TopicPartition(topic, 0)
    found: list[Any] = []
    async with started(make_consumer(bootstrap, client_id="test")) as consumer:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        while await consumer.position(partition) < end:
            found += (await consumer.getmany(partition, timeout_ms=1000)).get(partition, [])
    return found


async def partition_of(bootstrap: str, cluster: str) -> TopicPartition:
    """Where the first change of a cluster went."""
    async with started(make_producer(bootstrap, client_id="test")) as producer:
        record = change(cluster, 0, names=1)
        sent = await producer.send_and_wait(TopicName.CONTROL, key=record.key, value=None)
        return TopicPartition(str(TopicName.CHANGES), sent.partition)


async def end_of(bootstrap: str, topic: str, number: int) -> int:
    partition = TopicPartition(str(topic), number)
    async with started(make_consumer(bootstrap, client_id="test")) as consumer:
        consumer.assign([partition])
        return int((await consumer.end_offsets([partition]))[partition])


async def committed(bootstrap: str, settings: Settings, topic: str, number: int) -> OffsetAndMetadata | None:
    """The recorder's commit, None when there is none, or no group yet."""
    partition = TopicPartition(str(topic), number)
    async with started(admin(bootstrap)) as client:
        try:
            found = await client.list_consumer_group_offsets(
                f"{settings.group_prefix}-recorder", partitions=[partition]
            )
        except KafkaError:
            return None
    commit = found[partition]
    return commit if commit.offset >= 0 else None
