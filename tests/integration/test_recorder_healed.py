"""Rows that have no numbers in the roll-ups: an engine that dies exactly between the two is put right at the start."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.runtime.kafka import admin, make_consumer, started
from tests.integration.recorder_parts import own_broker
from tests.integration.test_recorder_killed import ask, killed, start, works
from tests.recording import change, produce, until

__all__ = ["own_broker"]
pytestmark = pytest.mark.integration
MANY = 300
COUNTED = (
    "SELECT (SELECT count() FROM events WHERE topic = 'setpoint-changes'), "
    "(SELECT sum(events) FROM {} WHERE topic = 'setpoint-changes')"
)


async def counted(folder: Path, rollup: str) -> tuple[int, int]:
    """Rows, and the sum of a roll-up's numbers."""
    ((rows, numbers),) = await ask(folder, COUNTED.format(rollup))
    return int(rows), int(numbers)


async def passed(bootstrap: str, prefix: str) -> bool:
    """Whether the recorder has passed every change."""
    places = [TopicPartition(str(TopicName.CHANGES), number) for number in (0, 1)]
    async with started(admin(bootstrap)) as client:
        commits = await client.list_consumer_group_offsets(f"{prefix}-recorder", partitions=places)
    async with started(make_consumer(bootstrap, client_id="test")) as consumer:
        ends = await consumer.end_offsets(places)
    return all(commits[place].offset == ends[place] and not commits[place].metadata for place in places)


@pytest.mark.parametrize(
    ("when", "why"),
    [
        pytest.param("at-once", "took up an open intent", id="before-they-were-passed"),
        pytest.param("later", "counted an hour again", id="after-they-were-passed"),
    ],
)
async def test_numbers_that_an_engine_never_wrote_are_there_after_the_start(
    own_broker: LocalBroker, tmp_path: Path, when: str, why: str
) -> None:
    """What the killed one had announced is replayed, and compared with it; what it had passed is found by comparing
    the last hours. Either way it is done before the recorder says that it records."""
    cluster = prefix = f"test-{uuid4().hex[:8]}"
    folder, log = tmp_path / "engine", tmp_path / "recorder.log"
    now = datetime.now(UTC)
    await produce(own_broker.bootstrap, [change(cluster, number, since=now) for number in range(MANY)])
    process = await halved(own_broker.bootstrap, folder, prefix, when, log)
    try:
        if when == "later":
            await until(lambda: passed(own_broker.bootstrap, prefix))
            await killed(process)
        await asyncio.wait_for(process.wait(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    rows, numbers = await counted(folder, "events_hourly")
    assert rows > numbers, "the engine was not killed in between: this proves nothing"

    before = log.read_text().count('"event":"recording"')
    process = await start(own_broker.bootstrap, folder, prefix, log)
    try:
        await until(lambda: works(log, before + 1))
    finally:
        await killed(process)
    assert why in log.read_text()
    for rollup in ("events_hourly", "delay_hourly"):
        rows, numbers = await counted(folder, rollup)
        assert rows == numbers > 0, rollup


async def halved(bootstrap: str, folder: Path, prefix: str, when: str, log: Path) -> asyncio.subprocess.Process:
    """A recorder whose engine keeps rows and no numbers."""
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.recorder_halved", bootstrap, str(folder), prefix, when,
            stdout=file, stderr=file,
        )  # fmt: skip
