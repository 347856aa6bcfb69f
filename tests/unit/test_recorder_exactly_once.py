"""The recorder's real session and replay, over a broker and an engine in memory that end it at any call."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.errors import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from services.recorder.batches import Limits
from services.recorder.deadletters import DlqCount, DlqLimit
from services.recorder.intents import Place, Span, token
from services.recorder.keep import keep
from services.recorder.parts import Parts
from services.recorder.reading import Reading
from services.recorder.replay import Stale, open_partitions
from services.recorder.rows import rows_of
from services.recorder.session import Session
from services.recorder.tables import EVENTS
from services.runtime.errors import Temporary
from services.runtime.health import Health
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from tests.unit.recorder_model import PARTITION, ROLLUPS, Consumer, Dead, Engine, Fault, Faults, Log, records

MOST_LIVES = 200
PLACE = Place("b", PARTITION.topic, 0)


class NoTime:
    """A clock on which waiting takes no time at all."""

    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def parts_of(log: Log, engine: Engine, chunk: int) -> Parts:
    consumer: Any = Consumer(log, chunk)
    clock = NoTime()
    health, metrics = Health("recorder", clock), Metrics("recorder")
    return Parts(consumer, consumer, consumer, engine, "b", "g", clock, health, metrics, get_log("recorder"))


async def live(log: Log, engine: Engine, chunk: int, limits: Limits) -> None:
    """One life, from the assignment until everything is passed. Raises Dead, or what fencing raises."""
    parts = parts_of(log, engine, chunk)
    session = Session([PARTITION], parts, limits)
    reading = Reading(parts.producer, DlqCount(DlqLimit()), parts.metrics, parts.log)
    await open_partitions(session, reading)
    session.start()
    while polled := await parts.consumer.getmany():
        session.add(PARTITION, await reading.read(session.place(PARTITION), polled[PARTITION]), behind=0)
        await asyncio.sleep(0)
    await session.close(grace=10, drain=True)


async def lives(log: Log, engine: Engine, chunk: int, limits: Limits) -> int:
    """Start again after every end; how often it took."""
    for count in range(MOST_LIVES):
        try:
            await live(log, engine, chunk, limits)
        except (Dead, CommitFailedError, Stale):
            continue
        return count
    raise AssertionError("it never ends")


faults = st.lists(st.sampled_from(Fault), max_size=25)
gaps = st.lists(st.integers(1, 3), min_size=1, max_size=30)


@settings(max_examples=300, deadline=None)
@given(plan=faults, steps=gaps, dead=st.sets(st.integers(0, 60)), chunk=st.integers(1, 7), rows=st.integers(1, 6))
def test_every_record_is_there_once_however_it_ends(
    plan: list[Fault], steps: list[int], dead: set[int], chunk: int, rows: int
) -> None:
    """Whatever dies, at whatever call, as often as it likes: no row is missing, none is double, and the roll-ups have
    the numbers of exactly these rows."""
    shared = Faults(list(plan))
    offsets = [sum(steps[: index + 1]) for index in range(len(steps))]
    log, engine = Log(shared, records(offsets, frozenset(dead))), Engine(shared)
    asyncio.run(lives(log, engine, chunk, Limits(rows=rows)))
    engine.catch_up()
    found = sorted(row[EVENTS.columns.index("kafka_offset")] for row in engine.rows.get("events", []))
    assert found == [offset for offset in offsets if offset not in dead]
    assert {name: +numbers for name, numbers in engine.numbers.items()} == dict.fromkeys(ROLLUPS, engine.truth())
    assert log.commit.metadata == ""
    assert log.commit.offset == offsets[-1] + 1


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
@pytest.mark.parametrize("call", range(8))
async def test_one_fault_at_one_call(fault: Fault, call: int) -> None:
    """Each fault, at each of the first calls."""
    shared = Faults([Fault.NONE] * call + [fault])
    log, engine = Log(shared, records(range(10), frozenset())), Engine(shared)
    await lives(log, engine, 3, Limits(rows=4))
    engine.catch_up()
    found = sorted(row[EVENTS.columns.index("kafka_offset")] for row in engine.rows["events"])
    assert found == list(range(10))
    assert {name: +numbers for name, numbers in engine.numbers.items()} == dict.fromkeys(ROLLUPS, engine.truth())


async def test_an_engine_that_never_keeps_is_said_aloud() -> None:
    """It is no success to have been told so."""
    engine = Engine(Faults())
    rows = [rows_of(PLACE, record).event for record in records(range(3), frozenset())]
    engine.tokens = {("events", token(PLACE, Span(0, 2), repair)) for repair in range(100)}
    with pytest.raises(Temporary, match="does not keep them"):
        await keep(engine, PLACE, Span(0, 2), {EVENTS: rows}, NoTime())


async def test_only_what_is_missing_is_put_back() -> None:
    """A half-kept insert is completed, not repeated."""
    engine = Engine(Faults())
    rows = [rows_of(PLACE, record).event for record in records(range(4), frozenset())]
    engine.rows["events"] = [rows[0], rows[2]]
    assert await keep(engine, PLACE, Span(0, 3), {EVENTS: rows}, NoTime()) == 2
    assert sorted(row[EVENTS.columns.index("kafka_offset")] for row in engine.rows["events"]) == [0, 1, 2, 3]


async def test_nothing_is_inserted_when_the_commit_is_refused() -> None:
    """The fence: an owner that the group has left behind announces in vain."""
    shared = Faults([Fault.FENCED])
    log, engine = Log(shared, records(range(3), frozenset())), Engine(shared)
    with pytest.raises(CommitFailedError):
        await live(log, engine, 10, Limits())
    assert engine.rows == {}


async def test_rows_past_their_time_are_not_waited_for() -> None:
    """The engine drops rows that are older than the table keeps them, at the insert already."""
    engine = Engine(Faults())
    old = [rows_of(PLACE, record).event._replace(kafka_time=1) for record in records(range(3), frozenset())]
    assert await keep(engine, PLACE, Span(0, 2), {EVENTS: old}, NoTime()) == 0
