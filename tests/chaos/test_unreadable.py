"""A record that nobody can read, in the middle of a storm."""

import pytest

from schemas.topics import TopicName
from services.runtime.kafka import Outgoing, cluster_partition
from tests.chaos.harness import ALL, PARTITIONS, Field
from tests.chaos.kills import kill_at_work, stormy
from tests.recording import produce

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]
BROKEN = (b'{"type": "dev.setpoint.drift.detected.v1"', b"\xff\xfe no event", b"[]", b'{"type": 1}')


async def test_unreadable_records_do_no_harm(battle: Field) -> None:
    """They go to the dead letters as they were, once from each reader, and what stands behind them is read; also by a
    watcher that starts after them."""
    partition = cluster_partition(battle.name, PARTITIONS)
    battle.start(*ALL)
    await battle.until_ready()
    async with stormy(battle):
        for value in BROKEN:
            await battle.storm.wave(6)
            await produce(battle.broker.bootstrap, [Outgoing(TopicName.DRIFT, b"broken", value, partition)])
        await kill_at_work(battle, "watcher")
        await battle.until_ready()
    topics = await battle.finish()
    letters = [letter.value or b"" for letter in topics.of(TopicName.DEAD_LETTER)]
    assert sorted(letters) == sorted(BROKEN * 2)
    print(battle.summary(topics))
