"""Services killed with SIGKILL at random moments, during a storm of drifts."""

import asyncio

import pytest

from tests.chaos.harness import ALL, Field
from tests.chaos.kills import kill_at_any_time, kill_at_work, stormy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
KILLS = (kill_at_work, kill_at_any_time, kill_at_any_time)


@pytest.mark.parametrize("victim", ALL)
async def test_one_service_is_killed_again_and_again(battle: Field, victim: str) -> None:
    """Nothing is lost, done twice or forgotten, whichever service it is and whenever it dies."""
    battle.start(*ALL)
    async with stormy(battle):
        for kill in KILLS:
            await kill(battle, victim)
    print(battle.summary(await battle.finish()))


async def test_all_services_are_killed_at_random(battle: Field) -> None:
    """Also where the one that would have taken over is dead itself."""
    battle.start(*ALL)
    await battle.until_ready()
    async with stormy(battle):
        for kill in KILLS:
            await asyncio.gather(*(kill(battle, victim) for victim in ALL))
    print(battle.summary(await battle.finish()))
