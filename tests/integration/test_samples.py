"""Samples from the gateway's blocks to the tables, on a real broker and the real engine: each once, whatever fails."""

import re
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from schemas.topics import TopicName
from services.gateway.remote_write_reading import Form
from services.local.broker import LocalBroker
from services.recorder.batches import Limits
from services.recorder.proof import prove
from services.recorder.reader import open_reader
from services.recorder.samples_tables import SAMPLE_TABLES
from services.recorder.store import ClickHouse
from services.recorder.tables import Row, Table
from services.runtime.errors import Temporary
from services.runtime.kafka import Outgoing, make_consumer, started
from services.runtime.sampleblocks import CONTENT_TYPE
from services.runtime.settings import Settings
from tests.integration.recorder_parts import empty_store, engine_folder, own_broker, settings, store
from tests.recording import Running, produce, recorder, until
from tests.remote_write import STALE, Symbols, histogram, request1, series1, text
from tests.sampled import NOW, blocks, expected, ms, scrape

__all__ = ["empty_store", "engine_folder", "own_broker", "settings", "store"]
pytestmark = pytest.mark.integration


async def counted(store: ClickHouse, sender: str) -> tuple[int, int, float]:
    """Rows without doubles, series, and the sum of a sender's values."""
    rows = await store.query(
        "SELECT count(), uniqExact(series_id), sum(value) FROM samples FINAL "
        "WHERE series_id IN (SELECT series_id FROM series WHERE sender = {s:String})",
        {"s": sender},
    )
    return int(rows[0][0]), int(rows[0][1]), float(rows[0][2])


async def has(store: ClickHouse, sender: str, samples: int) -> None:
    """Wait for so many in every table: the blocks, which prove the offsets, are written last."""

    async def enough() -> bool:
        sql = "SELECT sum(samples) FROM sample_blocks WHERE sender = {sender:String}"
        blocks = (await store.query(sql, {"sender": sender}))[0][0] or 0
        return (await counted(store, sender))[0] >= samples <= blocks

    await until(enough)


async def test_tables_have_the_columns_that_are_written(store: ClickHouse) -> None:
    """In the types that are written."""
    for table in SAMPLE_TABLES:
        columns = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {t:String}"
        found = {str(name): str(kind) for name, kind in await store.query(columns, {"t": table.name})}
        written = dict(zip(table.columns, table.types, strict=True))
        assert {name: found.get(name, "").replace("Bool", "UInt8") for name in written} == written


async def test_samples_are_there_with_their_labels(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """One row a sample, one a series and month, one a block; labels by the view; the offsets prove it."""
    for step in range(20):
        await produce(own_broker.bootstrap, scrape("s-all", step))
    async with recorder(settings, store) as running:
        await running.ready()
        await has(store, "s-all", 1000)

        async def told() -> bool:
            return running.counted('rows_total{topic="setpoint-samples"}') >= 1000 + 50 + 20

        await until(told)
    assert await counted(store, "s-all") == expected(20)
    assert (await store.query("SELECT count() FROM series WHERE sender = 's-all'"))[0][0] in (50, 100)
    assert await store.query("SELECT count(), sum(samples) FROM sample_blocks WHERE sender = 's-all'") == [(20, 1000)]
    rows = await store.query(
        "SELECT labels, value FROM labelled_samples WHERE name = 'm' AND labels['n'] = '7' AND sender = 's-all' "
        "ORDER BY time"
    )
    assert rows == [({"job": "x", "n": "7"}, step * 1000.0 + 7) for step in range(20)]
    assert await store.query("SELECT sum(doubled) FROM completeness WHERE topic = 'setpoint-samples'") == [(0,)]
    async with open_reader(store.url) as reader:
        proofs = await prove(own_broker.bootstrap, reader, f"{settings.group_prefix}-recorder", 10_000)
    ours = [proof for proof in proofs if proof.topic == TopicName.SAMPLES]
    ((blocks_in_all,),) = await store.query("SELECT count() FROM sample_blocks")
    assert sum(proof.records for proof in ours) == blocks_in_all >= 20
    assert [(proof.missing, proof.doubled, proof.lag) for proof in ours] == [(0, 0, 0)] * len(ours)


async def test_what_comes_twice_or_late_is_there_once(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """A sender that heard nothing sends again; another order is no other data; the later word holds."""
    steps = [3, 1, 2, 1, 0, 3, 3]
    for step in steps:
        await produce(own_broker.bootstrap, scrape("s-twice", step))
    async with recorder(settings, store):
        await has(store, "s-twice", 200)
    assert await counted(store, "s-twice") == expected(4)


async def test_a_stale_marker_ends_a_series(own_broker: LocalBroker, store: ClickHouse, settings: Settings) -> None:
    """Its bits arrive, it is no value of the series, and the series is not among the current ones any more."""
    time = ms(datetime.now(UTC)) - 20_000  # what is current is so by the engine's own clock
    gone = series1({"__name__": "up", "i": "gone"}, [(time, 1.0), (time + 5000, STALE)])
    here = series1({"__name__": "up", "i": "here"}, [(time, 1.0), (time + 5000, float("nan"))])
    await produce(own_broker.bootstrap, blocks("s-stale", request1(gone, here)))
    async with recorder(settings, store):
        await has(store, "s-stale", 4)
    values = await store.query("SELECT value FROM samples WHERE name = 'up' AND stale")
    assert [struct.pack("<d", value) for (value,) in values] == [struct.pack("<d", STALE)]
    rows = await store.query(
        "SELECT labels['i'], count() FROM labelled_samples WHERE name = 'up' GROUP BY 1 ORDER BY 1"
    )
    assert rows == [("gone", 1), ("here", 2)]
    assert await store.query("SELECT labels['i'] FROM current_samples WHERE name = 'up'") == [("here",)]


async def test_histograms_and_families_are_there(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Buckets by index; what a family says of itself, the last word."""
    request = Symbols()
    more = text(3, histogram(ms(NOW), 7.5, [(-1, 2), (3, 1)], [2, 1, -2]))
    request.add({"__name__": "took", "job": "x"}, more=more, type=3, help="how long it took")
    await produce(own_broker.bootstrap, blocks("s-native", request.request(), Form.TWO))
    async with recorder(settings, store):

        async def there() -> bool:
            return bool((await store.query("SELECT count() FROM histograms"))[0][0])

        await until(there)
        await until(lambda: blocks_of(store, "s-native"))
    rows = await store.query("SELECT name, count, sum, schema, positive, stale FROM histograms FINAL")
    assert rows == [("took", 6.0, 7.5, 3, {-1: 2.0, 0: 3.0, 4: 1.0}, False)]
    rows = await store.query("SELECT labels FROM series WHERE sender = 's-native'")
    assert rows == [({"job": "x"},)]
    rows = await store.query("SELECT name, type, help FROM metric_families FINAL WHERE sender = 's-native'")
    assert rows == [("took", "histogram", "how long it took")]


async def blocks_of(store: ClickHouse, sender: str) -> int:
    rows = await store.query("SELECT count() FROM sample_blocks WHERE sender = {s:String}", {"s": sender})
    return int(rows[0][0])


class Troubled:
    """The engine behind an unreliable way: `plan` says of each insert what happens; then everything works."""

    def __init__(self, store: ClickHouse, plan: list[str]) -> None:
        self.store, self.plan = store, plan

    async def insert(self, table: Table, rows: Sequence[Row], token: str) -> None:
        fault = self.plan.pop(0) if self.plan else "works"
        if fault != "refused":
            await self.store.insert(table, rows, token)
        if fault != "works":
            raise Temporary(f"ClickHouse: {fault}")

    async def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
        return await self.store.query(sql, parameters)

    async def command(self, sql: str, parameters: dict[str, Any] | None = None) -> None:
        await self.store.command(sql, parameters)


async def test_nothing_is_lost_or_doubled_while_clickhouse_is_away(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Inserts that fail between the tables of one block, before and after they had their effect."""
    for step in range(10):
        await produce(own_broker.bootstrap, scrape("s-away", step))
    plan = ["refused", "unsure", "works", "refused", "works", "works", "unsure", "works", "works", "unsure", "refused"]
    async with recorder(settings, Troubled(store, plan), Limits(rows=3, age=0.1)):
        await has(store, "s-away", 500)
        await until(lambda: ten(store))
    assert await counted(store, "s-away") == expected(10)
    assert await blocks_of(store, "s-away") == 10


async def ten(store: ClickHouse) -> bool:
    return await blocks_of(store, "s-away") == 10


async def test_an_open_intent_is_taken_up(own_broker: LocalBroker, store: ClickHouse, settings: Settings) -> None:
    """What an earlier owner announced, and inserted or not, is there once; series are written by who takes it up."""
    for step in range(6):
        await produce(own_broker.bootstrap, scrape("s-open", step))
    async with recorder(settings, store):
        await has(store, "s-open", 300)
    partition, first, last = await place_of(own_broker.bootstrap, b"s-open")
    await store.command("ALTER TABLE series DELETE WHERE sender = 's-open' SETTINGS mutations_sync = 2")
    other = settings.model_copy(update={"group_prefix": f"{settings.group_prefix}-other"})
    group = f"{other.group_prefix}-recorder"
    async with started(make_consumer(own_broker.bootstrap, client_id="t", group=group)) as consumer:
        consumer.assign([partition])
        await consumer.commit({partition: OffsetAndMetadata(first, f"1:{last}")})
    async with recorder(other, store) as running:
        await running.ready()
        assert running.counted("replays_total") == 1
        await has(store, "s-open", 300)
    assert await counted(store, "s-open") == expected(6)
    assert await blocks_of(store, "s-open") == 6


async def test_the_documented_query_answers(own_broker: LocalBroker, store: ClickHouse, settings: Settings) -> None:
    """As people copy it from the page: a rate, with a counter's numbers."""
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    (query,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    minute = ms(datetime.now(UTC)) // 60_000 * 60_000 - 120_000  # it asks for the last hour
    labels = {"__name__": "container_cpu_usage_seconds_total", "namespace": "payments"}
    pods = [series1({**labels, "pod": pod}, [(minute + n * 15_000, n * 15.0) for n in range(4)]) for pod in "ab"]
    other = series1({**labels, "namespace": "checkout"}, [(minute, 0.0), (minute + 15_000, 1000.0)])
    await produce(own_broker.bootstrap, blocks("s-doc", request1(*pods, other)))
    async with recorder(settings, store):
        await has(store, "s-doc", 10)
    assert [value for _, value in await store.query(query)] == [2 * 45 / 60]


async def test_a_block_that_is_none_goes_to_the_dead_letters(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """Others around it are recorded."""
    junk = Outgoing(TopicName.SAMPLES, b"s-bad", b"SPS1 and nothing of the kind", content_type=CONTENT_TYPE)
    await produce(own_broker.bootstrap, [*scrape("s-bad", 0), junk, *scrape("s-bad", 1)])
    async with recorder(settings, store) as running:
        await has(store, "s-bad", 100)
        assert dead(running) == 1


def dead(running: Running) -> float:
    return running.counted('dead_letters_total{topic="setpoint-samples"}')


async def place_of(bootstrap: str, key: bytes) -> tuple[TopicPartition, int, int]:
    """Where a sender's blocks are, and the first and last of their offsets."""
    async with started(make_consumer(bootstrap, client_id="test")) as consumer:
        partitions = [TopicPartition(TopicName.SAMPLES, number) for number in (0, 1)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        found: list[Any] = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [record for record in records if record.key == key]
    return TopicPartition(found[0].topic, found[0].partition), found[0].offset, found[-1].offset
