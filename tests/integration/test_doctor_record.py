"""`setpoint doctor --record` proves the record, and names what is not there."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.topics import TopicName
from services.cli.main import main
from services.local.broker import LocalBroker
from services.recorder.proof import prove
from services.recorder.reader import Reader
from services.recorder.rollups import ROLLUPS
from services.recorder.store import ClickHouse
from services.runtime.settings import Settings
from tests.integration.recorder_parts import empty_store, engine_folder, own_broker, settings, store
from tests.recording import change, produce, recorded, recorder, until

__all__ = ["empty_store", "engine_folder", "own_broker", "settings", "store"]
pytestmark = pytest.mark.integration


@pytest.fixture
async def filled(own_broker: LocalBroker, store: ClickHouse, settings: Settings) -> None:
    """A record of 300 changes and of what stood on the broker before them, all of it passed."""
    await produce(own_broker.bootstrap, [change("doctor", number, names=1) for number in range(300)])

    async def passed() -> bool:
        proofs = await prove(own_broker.bootstrap, Reader(store.client), f"{settings.group_prefix}-recorder", 1_000_000)
        late = [proof for proof in proofs if proof.lag and proof.topic != TopicName.METRICS]  # its own samples go on
        return await recorded(store, "doctor") >= 300 and not late

    async with recorder(settings, store) as running:
        await running.ready()
        await until(passed)


async def test_a_complete_record_is_proved(
    filled: None, own_broker: LocalBroker, store: ClickHouse, settings: Settings, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Exit code 0, every topic with its counts, and every roll-up."""
    code, checks = await doctor(own_broker, store, settings, capsys, monkeypatch)
    assert code == 0, checks
    assert {"setpoint-changes", "setpoint-dead-letter", "setpoint-samples", *ROLLUPS} <= set(checks)
    detail = checks["setpoint-changes"]["detail"]
    assert detail.endswith("records, 0 missing, 0 doubled, lag 0")
    assert int(detail.split()[0]) >= 300


async def test_gaps_and_wrong_numbers_are_named(
    filled: None, own_broker: LocalBroker, store: ClickHouse, settings: Settings, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Rows that are gone are named by partition and offsets; a roll-up that counts others is named with its repair."""
    ((partition, first),) = await store.query(
        "SELECT any(kafka_partition), min(kafka_offset) FROM events WHERE cluster = 'doctor'"
    )
    for gap in ((10, 12), (40, 40)):
        await store.command(
            f"DELETE FROM events WHERE kafka_partition = {partition} AND cluster = 'doctor' "
            f"AND kafka_offset BETWEEN {first + gap[0]} AND {first + gap[1]}"
        )
    code, checks = await doctor(own_broker, store, settings, capsys, monkeypatch, "--days", "3650")
    assert code == 1
    changes = checks["setpoint-changes"]
    assert not changes["ok"]
    assert (
        f"4 missing at {partition}:{first + 10}-{first + 12}, {partition}:{first + 40}-{first + 40}"
        in changes["detail"]
    )
    hourly = checks["events_hourly"]
    assert not hourly["ok"]
    assert "setpoint migrate --rebuild-rollups --since" in hourly["fix"]


async def test_the_running_hour_is_proved_as_well(
    filled: None, own_broker: LocalBroker, store: ClickHouse, settings: Settings, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Numbers that were lost a moment ago are named, and not only once their hour is over."""
    await produce(
        own_broker.bootstrap, [change("doctor", number, since=datetime.now(UTC)) for number in range(300, 310)]
    )

    async def enough() -> bool:
        return await recorded(store, "doctor") >= 310

    async with recorder(settings, store):
        await until(enough)
    await store.command("DELETE FROM events_hourly WHERE hour >= now() - INTERVAL 2 HOUR")
    code, checks = await doctor(own_broker, store, settings, capsys, monkeypatch)
    assert code == 1
    assert not checks["events_hourly"]["ok"]
    assert checks["delay_hourly"]["ok"]


async def doctor(
    broker: LocalBroker, store: ClickHouse, settings: Settings, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, *more: str,
) -> tuple[int, dict[str, Any]]:  # fmt: skip
    """The exit code, and each check by what it looked at."""
    monkeypatch.setenv("SETPOINT_GROUP_PREFIX", settings.group_prefix)
    arguments = ["doctor", "--record", "--kafka", broker.bootstrap, "--clickhouse", store.url, "-o", "json", *more]
    capsys.readouterr()
    code = await asyncio.to_thread(main, arguments)
    return code, {check["what"]: check for check in json.loads(capsys.readouterr().out)}
