"""The recorder over a disk that is full: it waits, says so, and has lost nothing once there is room again."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.runtime.kafka import admin, started
from tests.integration.recorder_parts import own_broker
from tests.integration.test_recorder_killed import ask, killed, start, works
from tests.recording import change, produce, until

__all__ = ["own_broker"]
pytestmark = pytest.mark.integration
SMALL, LARGE = "48m", "1g"
RECORDS = 6000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory, for the engine's folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.call(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "setpoint", folder]):
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.check_call(["umount", folder])


async def test_a_full_disk_loses_nothing(own_broker: LocalBroker, small_disk: Path, tmp_path: Path) -> None:
    """Inserts fail with the engine's own error until there is room; what was read stays announced and is not passed."""
    prefix, log, ballast = f"test-{uuid4().hex[:8]}", tmp_path / "recorder.log", small_disk / "ballast"
    process = await start(own_broker.bootstrap, small_disk / "engine", prefix, log)

    async def recording() -> bool:
        return await works(log, 1)

    async def complained() -> bool:
        return "does not take rows" in log.read_text()

    async def passed() -> bool:
        return await passed_by(own_broker.bootstrap, prefix) == RECORDS

    try:
        await until(recording)
        free = os.statvfs(small_disk)
        ballast.write_bytes(b"\0" * (free.f_bavail * free.f_frsize - 64 * 1024))
        await produce(own_broker.bootstrap, [change("c-disk", number) for number in range(RECORDS)])
        await until(complained)
        assert not await passed()
        ballast.unlink()
        await asyncio.to_thread(subprocess.check_call, ["mount", "-o", f"remount,size={LARGE}", small_disk])
        await until(passed)
    finally:
        await killed(process)
    events = "SELECT count(), uniqExact(JSONExtractString(payload, 'data', 'resource_version')) FROM events"
    assert await ask(small_disk / "engine", f"{events} WHERE cluster = 'c-disk'") == [[RECORDS, RECORDS]]
    assert await ask(small_disk / "engine", "SELECT sum(events) FROM events_hourly WHERE cluster = 'c-disk'") == [
        [RECORDS]
    ]
    assert "NOT_ENOUGH_SPACE" in log.read_text() or "No space left" in log.read_text()


async def passed_by(bootstrap: str, prefix: str) -> int:
    """How many changes the recorder's group is done with."""
    wanted = [TopicPartition(str(TopicName.CHANGES), number) for number in (0, 1)]
    async with started(admin(bootstrap)) as client:
        commits = await client.list_consumer_group_offsets(f"{prefix}-recorder", partitions=wanted)
    return sum(max(commit.offset, 0) for commit in commits.values())
