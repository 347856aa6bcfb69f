"""Where an alert is from and whether it lasts are columns: of new rows, and of those from before there were any."""

import pytest

from schemas.events import Reason, Verdict
from services.recorder.migrations import all_migrations, migrate
from services.recorder.store import ClickHouse
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.integration.test_record_alerts import decision, fired, put, resolved
from tests.recording import until

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
LIVES = "SELECT alert_id, source, lasting, sender, repeats, labels['team.x/y'] FROM alerts ORDER BY alert_id"


async def test_alerts_from_before_have_their_source_and_last(empty_store: ClickHouse) -> None:
    """At once by their payload, and the same once the engine has written their columns in the background."""
    await migrate(empty_store, all_migrations()[:8])
    await put(empty_store, (fired(), 0), (fired("a2", lasting=False), 1), (fired(), 2))
    before = await empty_store.query(LIVES)
    await migrate(empty_store)
    assert await empty_store.query(LIVES) == before

    async def written() -> bool:
        waiting = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
        return await empty_store.query(waiting) == [(0,)]

    await until(written)
    await put(empty_store, (resolved(), 60), (fired("a3"), 61))
    assert await empty_store.query(LIVES) == [
        ("a1", "alertmanager", 1, "east", 1, "pay"),
        ("a2", "alertmanager", 0, "east", 0, "pay"),
        ("a3", "alertmanager", 1, "east", 0, "pay"),
    ]
    assert await empty_store.query("SELECT alert_id FROM open_alerts") == [("a3",)]


@pytest.mark.parametrize("columns_first", [0, 1])
async def test_the_funnel_is_the_same_whichever_name_is_preferred(store: ClickHouse, columns_first: int) -> None:
    """Some servers take a name for the column where a result is called so, too."""
    await put(store, (fired(), 0), (decision("d1", Verdict.DENY, Reason.COOLDOWN), 1), (fired("a2"), 2))
    rows = await store.query(
        "SELECT alert_id, source, verdict, reason, outcome, stage FROM alert_funnel ORDER BY alert_id "
        f"SETTINGS prefer_column_name_to_alias = {columns_first}"
    )
    assert rows == [
        ("a1", "alertmanager", "deny", "cooldown", "", "deny"), ("a2", "alertmanager", "", "", "", "fired"),
    ]  # fmt: skip


async def test_what_was_acted_on_says_its_source_and_kind(store: ClickHouse) -> None:
    """So that Falco's alerts, and those about pods, are chosen without a second look at all alerts."""
    await put(store, (fired(), 0), (decision("d1", Verdict.DENY, Reason.COOLDOWN), 1))
    assert await store.query("SELECT source, kind, decide_ms FROM time_to_act") == [("alertmanager", "Pod", 1000)]
