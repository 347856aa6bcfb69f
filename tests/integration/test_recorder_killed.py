"""A recorder's process, engine included, killed again and again in the middle of its work.

`SETPOINT_KILLS` says how often; `make soak` takes a hundred. All along some records are unreadable for the recorder,
which is a version too old for them; then a newer one takes over, and they are sent back, under kills as well.
"""

import asyncio
import json
import os
import random
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.structs import TopicPartition

from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.runtime.kafka import admin, make_consumer, started
from tests.integration.recorder_parts import own_broker
from tests.integration.recorder_process import REFUSED
from tests.recording import change, produce, samples, until

__all__ = ["own_broker"]
MODULE = "tests.integration.recorder_process"
ROUNDS = int(os.environ.get("SETPOINT_KILLS") or 16)
pytestmark = [pytest.mark.integration, pytest.mark.timeout(300 + 30 * ROUNDS)]
SEED = random.SystemRandom().randrange(2**32)
A_ROUND = 1500
LETTERS_AT_ONCE = 150
OURS = "NOT ({0} > now() - INTERVAL 1 DAY AND {0} < now() + INTERVAL 1 DAY)"
"""Leaves out what the recorder tells of itself, at which the last kill of all may hit it."""


async def start(bootstrap: str, folder: Path, prefix: str, log: Path, what: str = "run") -> Process:
    """A recorder, or with `older` one that cannot read some of the changes."""
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, what, bootstrap, str(folder), prefix, stdout=file, stderr=file
        )


async def replay(bootstrap: str, folder: Path, prefix: str) -> Process:
    """Some dead letters back. It has begun when this returns."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, "replay", bootstrap, str(folder), prefix, str(LETTERS_AT_ONCE),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begins\n"
    return process


async def fates(process: Process) -> dict[str, int]:
    """How many letters had which fate in a replay that nobody kills."""
    output, _ = await process.communicate()
    assert process.returncode == 0
    return dict(json.loads(output))


async def ask(folder: Path, sql: str) -> list[Any]:
    """Read the engine that no process has open."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", MODULE, "ask", str(folder), sql, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return list(json.loads(output))


async def killed(process: Process) -> None:
    """A replay may have ended by itself before."""
    with suppress(ProcessLookupError):
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


@dataclass
class Run:
    """One test's broker, engine folder and group, the recorder's log, and how many changes were produced."""

    bootstrap: str
    folder: Path
    prefix: str
    log: Path
    chance: random.Random
    produced: int = 0
    starts: int = 0
    processes: list[Process] = field(default_factory=list)

    def end(self) -> None:
        """Leave no process behind, however the test ends."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()

    async def recorder(self, what: str) -> Process:
        """Running until it says that it records."""
        process = await start(self.bootstrap, self.folder, self.prefix, self.log, what)
        self.processes.append(process)
        self.starts += 1
        await until(lambda: works(self.log, self.starts), within=180)
        return process

    async def soon(self, process: Process, within: float = 0.3) -> None:
        """Kill it at a random moment."""
        await asyncio.sleep(self.chance.random() * within)
        await killed(process)

    async def feed(self, count: int) -> None:
        """So many more changes."""
        first, self.produced = self.produced, self.produced + count
        await feed(self.bootstrap, first, count)

    async def drained(self, what: str) -> None:
        """A recorder until everything is passed; then it is killed as well."""
        process = await self.recorder(what)
        try:
            await until(lambda: all_passed(self.bootstrap, self.prefix), within=180)
        finally:
            await killed(process)

    async def sent_back(self) -> int:
        """Replay until there is nothing left to send; how many letters that were."""
        sent = 0
        while True:
            found = await fates(await replay(self.bootstrap, self.folder, self.prefix))
            if "sent" not in found:
                assert found["already-replayed"] >= self.produced // REFUSED
                return sent
            sent += found["sent"]


async def test_no_row_is_missing_or_double_after_many_kills(own_broker: LocalBroker, tmp_path: Path) -> None:
    """SIGKILL at random moments, while records keep coming and while dead letters go back: at the end each record has
    its rows exactly once, and the roll-ups have each row's number exactly once."""
    log = tmp_path / "recorder.log"
    run = Run(own_broker.bootstrap, tmp_path / "engine", f"test-{uuid4().hex[:8]}", log, random.Random(SEED))
    print(f"seed {SEED}, log {log}")
    try:
        await played(run)
        await proved(run)
    finally:
        run.end()
    assert "took up an open intent" in log.read_text(), "no kill hit the middle of an insert: the rounds prove nothing"


async def played(run: Run) -> None:
    """The kills: of an older version, of the replay of what it could not read, and of the newer version."""
    for _ in range(ROUNDS):
        feeding = asyncio.create_task(run.feed(A_ROUND))
        await run.soon(await run.recorder("older"))
        await feeding
    await run.drained("older")
    buried = run.produced // REFUSED
    assert await events(run) == [run.produced - buried, run.produced - buried], SEED
    for _ in range(max(2, ROUNDS // 10)):
        await run.soon(await replay(run.bootstrap, run.folder, run.prefix), within=1.0)
        await run.soon(await run.recorder("run"))
    print(f"{await run.sent_back()} of {buried} letters sent back after the last kill")
    await run.feed(100)  # behind the markers of the replays' transactions, so that all_passed means what it says
    await run.drained("run")


async def events(run: Run) -> list[int]:
    """The changes' rows, and how many of them are different."""
    (found,) = await ask(
        run.folder,
        "SELECT count(), uniqExact(JSONExtractString(payload, 'data', 'resource_version')) FROM events "
        "WHERE cluster = 'c-kill'",
    )
    return list(found)


async def proved(run: Run) -> None:
    """Assert that every change and every sample is there once, and counted once."""
    assert await events(run) == [run.produced, run.produced], SEED
    metrics = "SELECT count(), uniqExact(name, labels['n']) FROM metrics WHERE source = 's-kill'"
    assert await ask(run.folder, metrics) == [[run.produced // 10 * 3, run.produced // 10 * 3]], SEED
    assert await ask(run.folder, "SELECT sum(doubled) FROM completeness") == [[0]]
    hourly = "SELECT sum(events) FROM events_hourly WHERE cluster = 'c-kill'"
    assert await ask(run.folder, hourly) == [[run.produced]], SEED
    (everything,) = await ask(run.folder, f"SELECT count() FROM events WHERE {OURS.format('event_time')}")
    for rollup in ("events_hourly", "delay_hourly"):
        sums = f"SELECT sum(events) FROM {rollup} WHERE {OURS.format('hour')}"
        assert await ask(run.folder, sums) == [everything], (rollup, SEED)


async def feed(bootstrap: str, first: int, count: int) -> None:
    """Changes and metrics, in small portions."""
    for start in range(first, first + count, 100):
        numbers = range(start, start + 100)
        records = [change("c-kill", number) for number in numbers]
        await produce(bootstrap, records + [samples("s-kill", number) for number in numbers if number % 10 == 0])
