"""Everything killed at random, for as long as it is told: `SETPOINT_SOAK_SECONDS`, by default one short round.

A cycle is some kills in a storm, then calm until all is settled; everything is proved at the end. Run it with `-s` to
see how it goes.
"""

import asyncio
import os
import time

import pytest

from tests.chaos.harness import ALL, SETTLED_WITHIN_S, Field
from tests.chaos.kills import away, kill_at_any_time, kill_at_work, stormy

SECONDS = float(os.environ.get("SETPOINT_SOAK_SECONDS") or 10)
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600 + 2 * SECONDS)]
CYCLE_S = 45.0


async def test_soak(frail_battle: Field) -> None:
    """At the end every drift is corrected or has its reason, nothing was done twice, and no row is missing."""
    battle, began = frail_battle, time.monotonic()
    battle.start(*ALL)
    await battle.until_ready()
    cycles = 0
    while cycles == 0 or time.monotonic() - began < SECONDS:
        cycles += 1
        kills = await cycle(battle, min(began + SECONDS, time.monotonic() + CYCLE_S))
        await battle.until_settled(within=SETTLED_WITHIN_S + SECONDS / 20)
        spent = time.monotonic() - began
        print(f"{spent:6.0f} s  cycle {cycles}: {battle.storm.blows} blows; {', '.join(kills)}", flush=True)
    print(battle.summary(await battle.finish()))


async def cycle(battle: Field, until: float) -> list[str]:
    """Kill one thing after the other in a storm; what was killed."""
    kills: list[str] = []
    async with stormy(battle):
        while not kills or time.monotonic() < until:
            kills.append(await kill_something(battle))
    return kills


async def kill_something(battle: Field) -> str:
    """One or several services, the broker or the API server."""
    what = battle.chance.choice((*ALL, "services", "broker", "apiserver"))
    if what == "broker":
        await battle.broker.kill()
        await away(battle)
        await battle.broker.start()
    elif what == "apiserver":
        await battle.plane.kill_apiserver()
        await away(battle)
        await battle.plane.start_apiserver()
    elif what == "services":
        await asyncio.gather(*(kill_at_any_time(battle, label) for label in ALL))
    else:
        await kill_at_work(battle, what)
    return what
