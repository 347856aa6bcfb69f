"""The broker and the API server killed with SIGKILL and started again, while drifts come and all services run on."""

import pytest

from tests.chaos.harness import ALL, Field
from tests.chaos.kills import away, stormy

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
ROUNDS = 2


async def test_the_broker_is_killed(battle: Field) -> None:
    """Also in the middle of transactions: what was committed counts once, what was not is done once all the same."""
    battle.start(*ALL)
    await battle.until_ready()
    async with stormy(battle):
        for _ in range(ROUNDS):
            await battle.storm.wave(12)
            await battle.broker.kill()
            await away(battle)
            await battle.broker.start()
    print(battle.summary(await battle.finish()))


async def test_the_api_server_is_killed(frail_battle: Field) -> None:
    """Watches resume without a gap, and no action is taken for done whose answer never came."""
    battle = frail_battle
    battle.start(*ALL)
    await battle.until_ready()
    async with stormy(battle):
        for _ in range(ROUNDS):
            await battle.storm.wave(12)
            await battle.plane.kill_apiserver()
            await away(battle)
            await battle.plane.start_apiserver()
    assert battle.storm.lost, "no blow fell while the API server was away: the rounds prove little"
    print(battle.summary(await battle.finish()))
