"""The process that holds the ClickHouse engine, killed while an insert is under way."""

import asyncio

import pytest

from services.runtime.kafka import admin, started
from tests.chaos.harness import ALL, Field
from tests.chaos.kills import stormy
from tests.recording import change, produce, samples

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
ROUNDS = 2
RECORDS = 3000


async def test_the_engine_is_killed_during_inserts(battle: Field) -> None:
    """Each round ends between the announcement of an insert and its end: every row is there once after it."""
    battle.start(*ALL)
    await battle.until_ready()
    produced = 0
    async with stormy(battle):
        for _ in range(ROUNDS):
            await battle.services["recorder"].until_ready()
            feeding = asyncio.create_task(feed(battle, produced))
            await until_announced(battle)
            await battle.services["recorder"].kill()
            battle.services["recorder"].start()
            await feeding
            produced += RECORDS
    topics = await battle.finish()
    logs = "".join(path.read_text() for path in battle.logs.glob("recorder.*"))
    assert "took up an open intent" in logs, "no kill hit the middle of an insert: the rounds prove nothing"
    print(battle.summary(topics))


async def feed(battle: Field, first: int) -> None:
    """A flood of changes of other objects, and of metrics."""
    for start in range(first, first + RECORDS, 500):
        numbers = range(start, start + 500)
        flood = [change(battle.name, number) for number in numbers]
        await produce(battle.broker.bootstrap, flood + [samples("chaos", number) for number in numbers[::10]])


async def until_announced(battle: Field, within: float = 30.0) -> None:
    """Wait until the recorder has said that it is about to insert, and not yet that it has."""
    async with asyncio.timeout(within), started(admin(battle.broker.bootstrap)) as client:
        while True:
            commits = await client.list_consumer_group_offsets(f"{battle.name}-recorder")
            if any(commit.metadata for commit in commits.values()):
                return
