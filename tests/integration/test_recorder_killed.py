"""A recorder's process, engine included, killed again and again in the middle of its work.

`SETPOINT_KILLS` says how often; `make soak` takes a hundred.
"""

import asyncio
import json
import os
import random
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.runtime.kafka import admin, make_consumer, started
from tests.integration.recorder_parts import own_broker
from tests.recording import change, produce, samples, until

__all__ = ["own_broker"]
pytestmark = pytest.mark.integration
MODULE = "tests.integration.recorder_process"
ROUNDS = int(os.environ.get("SETPOINT_KILLS") or 8)
SEED = random.SystemRandom().randrange(2**32)


async def start(bootstrap: str, folder: Path, prefix: str, log: Path) -> Process:
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, "run", bootstrap, str(folder), prefix, stdout=file, stderr=file
        )


async def ask(folder: Path, sql: str) -> list[Any]:
    """Read the engine that no process has open."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, "ask", str(folder), sql, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return list(json.loads(output))


async def killed(process: Process) -> None:
    process.kill()
    await process.wait()


async def works(log: Path, times: int) -> bool:
    """Whether recorders have said so many times that they record."""
    return log.read_text().count('"event":"recording"') >= times


async def all_passed(bootstrap: str, prefix: str) -> bool:
    """Nothing announced is open, and everything produced is passed."""
    topics = (TopicName.CHANGES, TopicName.METRICS)
    wanted = [TopicPartition(str(topic), number) for topic in topics for number in (0, 1)]
    async with started(admin(bootstrap)) as client:
        commits = await client.list_consumer_group_offsets(f"{prefix}-recorder", partitions=wanted)
    async with started(make_consumer(bootstrap, client_id="test")) as consumer:
        ends = await consumer.end_offsets(wanted)
    return all(commits[partition].offset == ends[partition] and not commits[partition].metadata for partition in wanted)


async def test_no_row_is_missing_or_double_after_many_kills(own_broker: LocalBroker, tmp_path: Path) -> None:
    """SIGKILL at random moments, while records keep coming: at the end each record has its rows exactly once, and the
    roll-ups have each row's number exactly once."""
    chance, prefix, log = random.Random(SEED), f"test-{uuid4().hex[:8]}", tmp_path / "recorder.log"
    print(f"seed {SEED}, log {log}")
    produced = 0
    for number in range(ROUNDS):
        feeding = asyncio.create_task(feed(own_broker.bootstrap, produced, 1500))
        process = await start(own_broker.bootstrap, tmp_path / "engine", prefix, log)
        await until(lambda number=number: works(log, number + 1))  # type: ignore[misc]
        await asyncio.sleep(chance.random() * 0.3)
        await killed(process)
        await feeding
        produced += 1500
    process = await start(own_broker.bootstrap, tmp_path / "engine", prefix, log)

    async def passed() -> bool:
        return await all_passed(own_broker.bootstrap, prefix)

    try:
        await until(passed, within=90)
    finally:
        await killed(process)
    events = "SELECT count(), uniqExact(JSONExtractString(payload, 'data', 'resource_version')) FROM events"
    assert await ask(tmp_path / "engine", f"{events} WHERE cluster = 'c-kill'") == [[produced, produced]], SEED
    metrics = "SELECT count(), uniqExact(name, labels['n']) FROM metrics WHERE source = 's-kill'"
    assert await ask(tmp_path / "engine", metrics) == [[produced // 10 * 3, produced // 10 * 3]], SEED
    assert await ask(tmp_path / "engine", "SELECT sum(doubled) FROM completeness") == [[0]]
    hourly = "SELECT sum(events) FROM events_hourly WHERE cluster = 'c-kill'"
    assert await ask(tmp_path / "engine", hourly) == [[produced]], SEED
    (everything,) = await ask(tmp_path / "engine", "SELECT count() FROM events")
    for rollup in ("events_hourly", "delay_hourly"):
        assert await ask(tmp_path / "engine", f"SELECT sum(events) FROM {rollup}") == [everything], (rollup, SEED)
    assert "took up an open intent" in log.read_text(), "no kill hit the middle of an insert: the rounds prove nothing"


async def feed(bootstrap: str, first: int, count: int) -> None:
    """Changes and metrics, in small portions."""
    for start in range(first, first + count, 100):
        numbers = range(start, start + 100)
        records = [change("c-kill", number) for number in numbers]
        await produce(bootstrap, records + [samples("s-kill", number) for number in numbers if number % 10 == 0])
