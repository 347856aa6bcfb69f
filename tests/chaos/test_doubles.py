"""Two of each service at once, and one of them killed."""

import asyncio

import pytest

from tests.chaos.harness import ALL, Field
from tests.chaos.kills import kill_at_work, stormy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


async def test_the_second_of_each_takes_over(battle: Field) -> None:
    """Two at once disturb nothing; whoever is left does the work alone, and gives half of it back to the next.

    An engine's folder belongs to one process: the second recorder waits for it.
    """
    battle.start(*ALL)
    await battle.until_ready()
    battle.start("watcher-2", "reconciler-2", "recorder-2")
    await battle.until_ready("watcher-2", "reconciler-2")
    async with stormy(battle):
        await battle.storm.wave(12)
        await asyncio.gather(*(battle.services[label].kill() for label in ALL))
        await battle.until_ready("watcher-2", "reconciler-2", "recorder-2")
        await battle.storm.wave(12)
        for label in ALL:
            battle.services[label].start()
        await battle.until_ready("watcher", "reconciler")
        await battle.storm.wave(12)
    print(battle.summary(await battle.finish()))


async def test_two_recorders_on_one_engine(battle: Field) -> None:
    """They share the partitions; killed together and started again, they have recorded everything once."""
    battle.start("watcher", "reconciler", "recorders")
    async with stormy(battle):
        await kill_at_work(battle, "recorders")
        await battle.until_ready("recorders")
    print(battle.summary(await battle.finish()))
