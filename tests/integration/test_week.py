"""The generated week is a platform's own events: valid, complete, and as many of everything as it says."""

import json
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from aiokafka.structs import ConsumerRecord

from schemas.events import parse_event
from schemas.topics import RECORDED, TopicName
from services.recorder.intents import Place
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse
from services.runtime.deadletters import dead_letter
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
        f"SELECT event_type, payload FROM events WHERE topic != '{TopicName.DEAD_LETTER}' "
        "ORDER BY cityHash64(payload) LIMIT 20 BY event_type"
    )
    for kind, payload in rows:
        event = parse_event(payload.encode())
        assert event is not None
        assert event.type == f"dev.setpoint.{kind}"
    types = await store.query(f"SELECT DISTINCT topic, event_type FROM events WHERE topic != '{TopicName.DEAD_LETTER}'")
    assert {(topic, kind.removesuffix(".v1")) for topic, kind in types} == {
        (str(topic.name), kind) for topic in all_topics() if topic.name in RECORDED for kind in topic.events
    }


async def test_a_record_that_could_not_be_read_is_one_as_the_recorder_makes_them(store: ClickHouse, week: Week) -> None:
    """The same parts, and where it stood there is no row; what was sent back stands there a second time, late."""
    unread = ConsumerRecord(TopicName.ALERTS, 0, 7, 0, 0, b"k", b"{", 0, 1, 1, ())
    letter = dead_letter(unread, "not JSON")
    buried = ConsumerRecord("dead", 0, 0, 0, 0, letter.key, letter.value, 0, 1, 1, letter.headers)
    ours = json.loads(rows_of(Place("b", TopicName.DEAD_LETTER, 0), buried).event.payload)
    found = await store.query("SELECT payload FROM events WHERE event_type = 'record.unreadable.v1'")
    assert len(found) == week.letters > 0
    for (payload,) in found:
        event = json.loads(payload)
        assert ours.keys() <= event.keys()
        assert ours["data"].keys() == event["data"].keys()
    origins = "SELECT original_topic, original_partition, original_offset FROM dead_letters"
    stood = f"(topic, kafka_partition, kafka_offset) IN ({origins})"
    late = "event_type = 'alert.fired.v1' AND recorded_at > event_time + INTERVAL 59 MINUTE"
    assert await store.query(f"SELECT countIf({stood}), countIf({late}) FROM events") == [(0, week.sent_back)]


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
    """Every event has its time in it, and its offset follows the one before; only unreadable records have no row."""
    outside = (
        "SELECT count() FROM events WHERE event_time < {since:DateTime64(6)} OR event_time > {until:DateTime64(6)}"
    )
    since, until = (moment.replace(tzinfo=None) for moment in (week.since, week.until))
    assert await store.query(outside, {"since": since, "until": until}) == [(0,)]
    gaps = "SELECT countIf(doubled OR first_offset != 0), sum(last_offset + 1 - rows) FROM completeness"
    assert await store.query(gaps) == [(0, week.letters)]


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
