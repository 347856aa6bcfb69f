"""Two recorders of one group tell their metrics apart, also in ClickHouse."""

import pytest

from schemas.topics import TopicName
from services.local.broker import LocalBroker
from services.recorder.store import ClickHouse
from services.runtime.settings import Settings
from tests.integration.recorder_parts import empty_store, engine_folder, own_broker, settings, store
from tests.recording import change, produce, recorded, recorder, until

__all__ = ["empty_store", "engine_folder", "own_broker", "settings", "store"]
pytestmark = pytest.mark.integration
TOLD = "SELECT DISTINCT labels['instance'] FROM metrics WHERE name = 'setpoint_inserts_total' AND source = 'recorder'"


async def test_two_recorders_have_two_series(own_broker: LocalBroker, store: ClickHouse, settings: Settings) -> None:
    """Each tells its own numbers from its start on, under the service's one name."""
    async with recorder(settings, store, instance="pod-a") as one:
        await one.ready()
        async with recorder(settings, store, instance="pod-b") as other:

            async def both() -> bool:
                return {("pod-a",), ("pod-b",)} <= set(await store.query(TOLD))

            await until(both)
            await other.ready()


async def test_what_was_handed_over_is_no_ones_lag(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """The gauge of a topic that a recorder has no partition of any more says 0, not what it once was."""
    await produce(own_broker.bootstrap, [change("c-over", number) for number in range(50)])
    async with recorder(settings, store) as running:

        async def enough() -> bool:
            return await recorded(store, "c-over") == 50

        await until(enough)
        running.metrics.set("record_lag", 7, topic=TopicName.CHANGES)
    assert running.metrics.registry.get_sample_value("setpoint_record_lag", {"topic": TopicName.CHANGES}) == 0
