"""How chaos tests kill: at moments drawn from the field's seeded chance."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.chaos.harness import Field

BUSY_S = 0.7  # a gust is decided, acted on and recorded within about that time
ANY_TIME_S = 12.0  # covers a start, and the 10 s after which the group notices the death before


@asynccontextmanager
async def stormy(battle: Field, pace: float = 1.0) -> AsyncIterator[None]:
    """A storm for the length of a block; an error of its own ends the test."""
    stop = asyncio.Event()
    storm = asyncio.create_task(battle.storm.blow(stop, pace))
    try:
        yield
    finally:
        stop.set()
        await storm


async def kill_at_work(battle: Field, label: str) -> None:
    """Let a service come to its work, give it a gust to work on, kill it in the middle and start it anew."""
    service = battle.services[label]
    await service.until_ready()
    gust = asyncio.create_task(battle.storm.wave(12))
    await asyncio.sleep(battle.chance.uniform(0, BUSY_S))  # the random moment itself, no waiting for anything
    await service.kill()
    service.start()
    await gust


async def kill_at_any_time(battle: Field, label: str) -> None:
    """Kill a service that may not have come up, or not have been let into its group, and start it anew."""
    await asyncio.sleep(battle.chance.uniform(0, ANY_TIME_S))
    await battle.services[label].kill()
    battle.services[label].start()


async def away(battle: Field) -> None:
    """A random while, in which a part is away."""
    await asyncio.sleep(battle.chance.uniform(0, 4))
