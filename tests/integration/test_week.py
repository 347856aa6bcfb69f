"""The generated week is a platform's own events: valid, complete, and as many of everything as it says."""

from datetime import UTC, datetime

import pytest
import pytest_asyncio

from schemas.events import parse_event
from schemas.topics import RECORDED
from services.recorder.store import ClickHouse
from services.runtime.topics import all_topics
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.week import Week, fill

__all__ = ["empty_store", "engine_folder", "store"]

pytestmark = pytest.mark.integration
UNTIL = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest_asyncio.fixture(loop_scope="session")
async def week(store: ClickHouse) -> Week:
    """A small one."""
    return await fill(store, scale=0.01, until=UNTIL)


async def test_every_kind_of_event_is_one_of_ours(store: ClickHouse, week: Week) -> None:
    """Twenty of each type are read as consumers read them, and no type is missing from its topic."""
    rows = await store.query(
        "SELECT event_type, payload FROM events ORDER BY cityHash64(payload) LIMIT 20 BY event_type"
    )
    for kind, payload in rows:
        event = parse_event(payload.encode())
        assert event is not None
        assert event.type == f"dev.setpoint.{kind}"
    types = await store.query("SELECT DISTINCT topic, event_type FROM events")
    assert {(topic, kind.removesuffix(".v1")) for topic, kind in types} == {
        (str(topic.name), kind) for topic in all_topics() if topic.name in RECORDED for kind in topic.events
    }


async def test_the_week_counts_what_is_in_it(store: ClickHouse, week: Week) -> None:
    """What it says without the engine is what the views say."""

    async def count(what: str) -> int:
        return int((await store.query(f"SELECT count() FROM {what}"))[0][0])

    assert await count("drift_intervals") == week.drifts
    assert await count("open_drifts") == week.open_drifts > 0
    assert await count("alerts") == week.alerts
    assert await count("open_alerts") == week.open_alerts > 0
    assert await count("open_approvals") == week.open_approvals > 0
    assert await count("changes") == week.changes
    assert await count("decisions WHERE reason = 'fight'") == week.fights > 0
    assert await count("events WHERE event_type = 'alert.fired.v1'") == week.fired
    assert await count("metrics") == week.samples
    for verdict in ("act", "ask", "wait", "deny", "observe"):
        assert await count(f"decisions WHERE verdict = '{verdict}'") == week.decisions(verdict) > 0
    for outcome in ("succeeded", "ineffective", "failed", "undone"):
        assert await count(f"actions WHERE outcome = '{outcome}'") == week.outcomes(outcome) > 0
    for asked in ("approved", "denied", "expired"):
        assert await count(f"approvals WHERE outcome = '{asked}'") == week.approvals(asked) > 0


async def test_nothing_lies_outside_of_the_week(store: ClickHouse, week: Week) -> None:
    """Every event has its time in it, and its offset follows the one before."""
    outside = (
        "SELECT count() FROM events WHERE event_time < {since:DateTime64(6)} OR event_time > {until:DateTime64(6)}"
    )
    since, until = (moment.replace(tzinfo=None) for moment in (week.since, week.until))
    assert await store.query(outside, {"since": since, "until": until}) == [(0,)]
    gaps = "SELECT count() FROM completeness WHERE doubled OR first_offset != 0 OR last_offset != rows - 1"
    assert await store.query(gaps) == [(0,)]


async def test_columns_given_beside_the_payload_are_those_taken_from_it(store: ClickHouse, week: Week) -> None:
    """Changes are inserted with their columns; the engine makes the same ones of their payloads."""
    some = "FROM events WHERE event_type = 'change.observed.v1' AND kafka_offset < 500"
    given = "payload, broker, topic, kafka_partition, kafka_offset, kafka_time, recorded_at"
    await store.command("CREATE TABLE derived AS events")
    await store.command(f"INSERT INTO derived ({given}) SELECT {given} {some}")
    order = "ORDER BY topic, kafka_partition, kafka_offset"
    assert await store.query(f"SELECT * FROM derived {order}") == await store.query(f"SELECT * {some} {order}")


async def test_the_same_week_is_made_again(store: ClickHouse, week: Week) -> None:
    """Two runs with the same end have the same events, whatever the engine's threads did."""
    digest = "SELECT groupBitXor(cityHash64(payload, topic, kafka_partition, kafka_offset, kafka_time)) FROM events"
    first = await store.query(digest)
    await store.command("TRUNCATE TABLE events")
    await fill(store, scale=0.01, until=UNTIL)
    assert await store.query(digest) == first
