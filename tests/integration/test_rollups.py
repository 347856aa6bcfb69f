"""Hourly numbers: equal to what Python counts from the same history, and put right where they are not."""

import asyncio
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.events import (
    ActionFinished,
    ChangeObserved,
    ClearedReason,
    DecisionMade,
    DriftCleared,
    Mode,
    Outcome,
    Reason,
    TriggerRef,
    Verdict,
)
from services.cli.migrate import command
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows, keep
from services.recorder.migrations import all_migrations, migrate
from services.recorder.rollups import ROLLUPS, Cut, agree, differences, fill, kept_since
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS
from services.runtime.clock import SystemClock
from tests.crafted import Told, change, place_of, put, target
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.recording import NOON
from tests.unit.test_recorder_rows import record

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
HOUR = 3600


def decision(seconds: float, verdict: Verdict, reason: Reason, namespace: str) -> Told:
    data = DecisionMade(
        decision_id=f"d{seconds}", target=target(namespace=namespace), trigger=TriggerRef(type="drift", id="e"),
        policy="heal", mode=Mode.ENFORCE, verdict=verdict, reason=reason,
    )  # fmt: skip
    return Told(data, seconds)


def corrected(seconds: float, lasted: float, namespace: str) -> Told:
    data = DriftCleared(
        target=target(namespace=namespace), drift_id=f"x{seconds}", baseline="b",
        onset=NOON + timedelta(seconds=seconds - lasted), cleared_at=NOON, reason=ClearedReason.IN_SYNC,
        resource_version="1",
    )  # fmt: skip
    return Told(data, seconds)


def acted(seconds: float, lasted: float, outcome: Outcome) -> Told:
    data = ActionFinished(
        action_id=f"a{seconds}", target=target(), action="revert", policy="heal", attempt=1, outcome=outcome,
        reason=Reason.VERIFIED, started_at=NOON + timedelta(seconds=seconds - lasted), finished_at=NOON,
        plan_ms=lasted * 100, apply_ms=lasted * 200, verify_ms=lasted * 300,
    )  # fmt: skip
    return Told(data, seconds)


def a_day(seed: int, many: int = 60) -> list[Told]:
    """Events at random times of some hours, the same for the same seed."""
    chance, told = random.Random(seed), []
    for _ in range(many):
        seconds, namespace = chance.uniform(0, 4 * HOUR), chance.choice(["pay", "shop"])
        told.append(
            chance.choice([
                change(seconds, chance.choice(["kubectl", "helm", None]), of=target(namespace=namespace),
                       on=chance.randrange(2)),
                decision(seconds, *chance.choice([(Verdict.ACT, Reason.POLICY), (Verdict.DENY, Reason.COOLDOWN)]),
                         namespace),
                corrected(seconds, chance.uniform(0.1, 900), namespace),
                acted(seconds, chance.uniform(0.1, 30), chance.choice([Outcome.SUCCEEDED, Outcome.FAILED])),
            ])
        )  # fmt: skip
    return told


def hour_of(told: Told) -> datetime:
    return told.at.replace(minute=0, second=0, microsecond=0)


def counts(history: list[Told]) -> Counter[tuple[Any, ...]]:
    """What `events_hourly` must say, in some of its columns."""
    found: Counter[tuple[Any, ...]] = Counter()
    for told in history:
        data: Any = told.data
        manager = (data.manager or "") if isinstance(data, ChangeObserved | DriftCleared) else ""
        words = [str(getattr(data, name, "") or "") for name in ("policy", "verdict", "reason", "outcome")]
        kind = told.event(0).type.removeprefix("dev.setpoint.")
        found[hour_of(told), kind, data.target.namespace, *words, manager, told.on] += 1
    return found


async def counted(store: ClickHouse) -> Counter[tuple[Any, ...]]:
    rows = await store.query(
        "SELECT hour, event_type, namespace, policy, verdict, reason, outcome, manager, kafka_partition, sum(events) "
        "FROM events_hourly GROUP BY ALL"
    )
    return Counter({(hour.replace(tzinfo=UTC), *rest): times for hour, *rest, times in rows})


async def whole(store: ClickHouse) -> Cut:
    return Cut(await kept_since(store))


async def wrong(store: ClickHouse) -> list[tuple[Any, ...]]:
    """Every difference, in short."""
    cut = await whole(store)
    found = [entry for rollup in ROLLUPS for entry in await differences(store, rollup, cut)]
    return [(entry.rollup, entry.hour.hour, entry.topic, entry.counted, entry.rows) for entry in found]


async def test_an_hour_has_the_events_that_are_in_it(store: ClickHouse) -> None:
    """By type, namespace, policy, verdict, reason, outcome, manager and partition."""
    history = a_day(1)
    await put(store, history)
    assert await counted(store) == counts(history)
    assert await wrong(store) == []


async def test_an_hour_has_its_durations(store: ClickHouse) -> None:
    """Of corrections from the drift's onset, and of actions with their parts: how many, their sum, their quantiles."""
    history = a_day(2)
    await put(store, history)
    wanted: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for told in history:
        data = told.data
        if isinstance(data, DriftCleared):
            wanted[hour_of(told), "correct"].append((told.at - data.onset) / timedelta(milliseconds=1))
        if isinstance(data, ActionFinished):
            wanted[hour_of(told), "act"].append((told.at - data.started_at) / timedelta(milliseconds=1))
            for part in ("plan", "apply", "verify"):
                wanted[hour_of(told), part].append(getattr(data, f"{part}_ms"))
    rows = await store.query(
        "SELECT hour, what, sum(events), sum(total_ms), max(most_ms), quantilesTDigestMerge(0.5, 0.95, 0.99)(took_ms) "
        "FROM durations_hourly GROUP BY hour, what"
    )
    assert {(hour.replace(tzinfo=UTC), what) for hour, what, *_ in rows} == set(wanted)
    for hour, what, times, total, most, quantiles in rows:
        values = sorted(wanted[hour.replace(tzinfo=UTC), what])
        assert (times, total, most) == (len(values), pytest.approx(sum(values)), pytest.approx(values[-1]))
        assert values[0] * 0.99 <= quantiles[0] <= quantiles[2] <= values[-1] * 1.01


async def test_the_delay_is_from_an_events_time_to_its_rows(store: ClickHouse) -> None:
    """By topic and hour; the longest one is exact."""
    history = a_day(3, many=20)
    await put(store, history)
    rows = await store.query(
        "SELECT hour, topic, events, most_ms, p50_ms <= p95_ms AND p95_ms <= p99_ms FROM ingest_delay"
    )
    recorded: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for topic, event_time, recorded_at in await store.query("SELECT topic, event_time, recorded_at FROM events"):
        hour = event_time.replace(minute=0, second=0, microsecond=0)
        recorded[hour, topic].append((recorded_at - event_time) / timedelta(milliseconds=1))
    assert {(hour, topic) for hour, topic, *_ in rows} == set(recorded)
    for hour, topic, events, most, ordered in rows:
        delays = recorded[hour, topic]
        assert (events, most, ordered) == (len(delays), pytest.approx(max(delays), rel=1e-6), 1)


async def test_a_repeated_insert_counts_once(store: ClickHouse) -> None:
    """Rows and numbers alike: each roll-up has a deduplication window of its own."""
    told = change(0, "kubectl")
    place, value = place_of(told), told.event(7).model_dump_json().encode()
    rows = {EVENTS: [rows_of(place, record(value, 7)).event]}
    for _ in range(3):
        await insert_rows(store, place, Span(7, 7), rows)
    assert await store.query("SELECT sum(events) FROM events_hourly") == [(1,)]
    assert await store.query("SELECT sum(events) FROM delay_hourly") == [(1,)]


async def test_rows_from_before_the_rollups_are_in_them(empty_store: ClickHouse) -> None:
    """A migration of a filled database leaves nothing out, and what comes afterwards is counted once."""
    await migrate(empty_store, all_migrations()[:5])
    before, after = a_day(4, many=30), a_day(5, many=10)
    await put(empty_store, before)
    await migrate(empty_store)
    assert await counted(empty_store) == counts(before)
    await put(empty_store, after)
    assert await counted(empty_store) == counts(before) + counts(after)
    assert await wrong(empty_store) == []


async def test_two_that_migrate_at_once_count_once(empty_store: ClickHouse) -> None:
    """Two recorders may start together on a filled database: whoever is last looks again."""
    await migrate(empty_store, all_migrations()[:5])
    history = a_day(7, many=30)
    await put(empty_store, history)
    await asyncio.gather(migrate(empty_store), migrate(empty_store), migrate(empty_store))
    assert await counted(empty_store) == counts(history)
    assert await wrong(empty_store) == []


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("DELETE FROM events_hourly WHERE kafka_partition = 1", id="lost"),
        pytest.param(
            "INSERT INTO events_hourly SELECT * FROM events_hourly SETTINGS insert_deduplicate = 0", id="double"
        ),
    ],
)
async def test_a_wrong_hour_is_named_and_counted_again(store: ClickHouse, damage: str) -> None:
    """As often as it takes, and right every time: what is counted again is not taken for a repeated insert."""
    history = a_day(6, many=30)
    await put(store, history)
    for _ in range(2):
        await store.command(damage)
        assert await wrong(store)
        await fill(store)
        assert await counted(store) == counts(history)
        assert await wrong(store) == []


async def test_only_the_partitions_own_hours_are_counted_again(store: ClickHouse) -> None:
    """Its recorder alone writes there; of what others write it keeps its hands off."""
    first, other = change(0, "kubectl", on=0), change(1, "kubectl", on=1)
    late = change(2 * HOUR, "kubectl", on=0)
    ((place, offset), *_) = await put(store, [first, late, other])
    await store.command("DELETE FROM events_hourly WHERE 1")
    assert await agree(store, place, Span(offset, offset), SystemClock().sleep) == 1
    assert await wrong(store) == [
        ("events_hourly", 12, place.topic, 0, 1), ("events_hourly", 14, place.topic, 0, 1),
    ]  # fmt: skip


async def test_numbers_that_an_engine_lost_are_back_after_the_replay(store: ClickHouse) -> None:
    """The rows are there, their numbers are not, and the engine takes the repeated insert for done."""
    told = [change(number, "kubectl") for number in range(3)]
    stands = await put(store, told)
    place, span = stands[0][0], Span(stands[0][1], stands[-1][1])
    values = [told[n].event(offset).model_dump_json().encode() for n, (_, offset) in enumerate(stands)]
    rows = [rows_of(place, record(value, offset)).event for value, (_, offset) in zip(values, stands, strict=True)]
    await store.command("DELETE FROM events_hourly WHERE 1")
    await store.command("DELETE FROM delay_hourly WHERE 1")
    assert await keep(store, place, span, {EVENTS: rows}, SystemClock()) == 0
    assert await store.query("SELECT sum(events) FROM events_hourly") == [(3,)]
    assert await wrong(store) == []


async def test_numbers_outlive_their_rows(store: ClickHouse) -> None:
    """What has passed its time is not compared and not counted again, or counting would delete all that is left."""
    await put(store, [change(0, "kubectl")])
    old = NOON - timedelta(days=380)
    await store.command(
        "INSERT INTO events_hourly (hour, event_type, broker, topic, kafka_partition, month, events) "
        f"VALUES ('{old:%Y-%m-%d %H}:00:00', 'change.observed.v1', 'b', 'setpoint-changes', 0, "
        f"'{old.replace(day=1) - timedelta(days=31):%Y-%m-01}', 5)"
    )
    assert await wrong(store) == []
    await fill(store, anyway=True)
    assert await store.query("SELECT sum(events) FROM events_hourly") == [(6,)]


async def test_the_command_counts_a_time_again(store: ClickHouse) -> None:
    """Whole hours from --since, before --until; the others stay as they are."""
    await put(store, [change(0, "kubectl"), change(HOUR, "kubectl"), change(2 * HOUR, "kubectl")])
    await store.command("DELETE FROM events_hourly WHERE 1")
    call = [
        "--rebuild-rollups", "--clickhouse", store.url,
        "--since", "2026-11-24T13:30:00Z", "--until", "2026-11-24T14:00:00Z",
    ]  # fmt: skip
    result = await asyncio.to_thread(CliRunner().invoke, command, call, standalone_mode=False)
    assert result.exception is None, result.output
    assert [hour for _, hour, *_ in await wrong(store)] == [12, 14]


async def test_a_place_without_rows_has_nothing_to_agree(store: ClickHouse) -> None:
    """A span of tombstones and dead letters."""
    assert await agree(store, Place("b", "setpoint-changes", 0), Span(0, 9), SystemClock().sleep) == 0
