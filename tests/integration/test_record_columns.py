"""What the engine takes out of an event's bytes: the columns that queries and dashboards stand on."""

import json
from datetime import UTC, timedelta
from itertools import count
from typing import Any

import pytest

from schemas.base import EventModel
from schemas.events import (
    ActionFinished,
    ActionStarted,
    ControlKind,
    ControlSet,
    DecisionMade,
    DriftAttributed,
    DriftCleared,
    DriftDetected,
    FieldChange,
    FindingReason,
    Mode,
    Outcome,
    Reason,
    Scope,
    TriggerRef,
    Verdict,
    make_event,
)
from schemas.target import Target
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.migrations import all_migrations, migrate
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.recording import NOON, change
from tests.unit.test_recorder_rows import record

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
PLACE = Place("b", "setpoint-drift", 1)
TARGET = Target(cluster="east", group="apps", kind="Deployment", namespace="payments", name="api")
OFFSETS = count()


async def put(store: ClickHouse, *values: bytes) -> None:
    """Record these values."""
    for value in values:
        offset = next(OFFSETS)
        await insert_rows(store, PLACE, Span(offset, offset), {EVENTS: [rows_of(PLACE, record(value, offset)).event]})


def event(data: EventModel, seconds: float = 0) -> bytes:
    """An event about the target, so many seconds after noon."""
    time = NOON + timedelta(seconds=seconds)
    made = make_event(data, id=f"e{seconds}", source="s", subject=TARGET.subject, time=time, correlationid="c1")
    return made.model_dump_json().encode()


def detected(update: int = 0) -> DriftDetected:
    fields = (
        FieldChange(path="/spec/replicas", kind="changed", desired=3, live=5, manager="kubectl"),
        FieldChange(path="/metadata/labels/x", kind="removed", desired="y", manager="helm"),
        FieldChange(path="/spec/paused", kind="added", live=10**30, manager="kubectl"),
        FieldChange(path="/spec/other", kind="added", live=None),
    )
    return DriftDetected(
        target=TARGET,
        drift_id="d1",
        baseline="payments",
        state="changed",
        engine="dry-run",
        onset=NOON - timedelta(seconds=1),
        detected_at=NOON,
        update=update,
        resource_version="12",
        fields=fields,
    )


async def one(store: ClickHouse, columns: str) -> tuple[Any, ...]:
    rows = await store.query(f"SELECT {columns} FROM events")
    assert len(rows) == 1
    return rows[0]


async def test_a_drift_has_its_parts_as_columns(store: ClickHouse) -> None:
    """Target, fields, managers and onset can be asked for without opening the payload; the payload is the original."""
    await put(store, event(detected(update=2)))
    assert await one(store, "event_id, event_type, source, subject, cluster, api_group, kind, namespace, name") == (
        "e0", "drift.detected.v1", "s", TARGET.subject, "east", "apps", "Deployment", "payments", "api",
    )  # fmt: skip
    assert await one(store, "paths, managers, sequence, drift_id, baseline, state, engine, correlation_id") == (
        ["/spec/replicas", "/metadata/labels/x", "/spec/paused", "/spec/other"],
        ["helm", "kubectl"], 2, "d1", "payments", "changed", "dry-run", "c1",
    )  # fmt: skip
    assert await one(store, "dateDiff('microsecond', onset, event_time), toUnixTimestamp64Micro(event_time)") == (
        1_000_000, int(NOON.timestamp()) * 1_000_000,
    )  # fmt: skip
    assert await one(store, "payload, topic, kafka_partition") == (event(detected(update=2)).decode(), PLACE.topic, 1)


async def test_a_drift_says_why_from_where_and_which_users(store: ClickHouse) -> None:
    """The newest report's reason, message and revision stand in the interval, with everybody that audit named."""
    by = FieldChange(path="/spec/replicas", kind="changed", desired=3, live=5, manager="kubectl", user="ann")
    first = detected().model_copy(update={"revision": "abc", "fields": (by,)})
    later = first.model_copy(update={"update": 1, "revision": "def", "reason": FindingReason.INVALID, "message": "no"})
    await put(store, event(first), event(later, 1))
    assert await store.query("SELECT users, revision, reason FROM events ORDER BY sequence") == [
        (["ann"], "abc", ""), (["ann"], "def", "invalid"),
    ]  # fmt: skip
    assert await store.query("SELECT users, revision, reason, message, cleared_reason FROM open_drifts") == [
        (["ann"], "def", "invalid", "no", ""),
    ]  # fmt: skip


async def test_a_user_that_became_known_after_the_end_is_one_of_the_drifts(store: ClickHouse) -> None:
    """A correction is faster than audit; the interval stays one, with its own begin and end."""
    first = detected()
    by = FieldChange(path="/spec/replicas", kind="changed", manager="kubectl-scale", user="ann")
    late = DriftAttributed(
        target=first.target, drift_id=first.drift_id, baseline=first.baseline, onset=first.onset,
        attributed_at=NOON + timedelta(seconds=30), fields=(by,),
    )  # fmt: skip
    await put(store, event(first), event(late, 30))
    (before,) = await store.query("SELECT onset, detected_at, fields, state FROM drift_intervals")
    assert await store.query("SELECT users, has(managers, 'kubectl-scale'), reports FROM drift_intervals") == [
        (["ann"], True, 1),
    ]  # fmt: skip
    assert [moment.replace(tzinfo=UTC) for moment in before[:2]] == [first.onset, NOON]
    assert (before[2], before[3]) == ([change.path for change in first.fields], first.state)


async def test_a_control_is_found_by_its_scope(store: ClickHouse) -> None:
    """A pause of a namespace has that namespace, its author, and its kind."""
    scope = Scope(cluster="east", namespace="payments")
    await put(store, event(ControlSet(name="p", kind=ControlKind.PAUSE, scope=scope, by="ann")))
    assert await one(store, "cluster, namespace, name, state, manager") == ("east", "payments", "p", "pause", "ann")


async def test_an_unknown_event_keeps_what_it_shares(store: ClickHouse) -> None:
    """A newer producer's event has its envelope's columns; parts of other types are empty and do no harm."""
    value = json.loads(change("east", 1).value or b"")
    value |= {"type": "dev.setpoint.comet.seen.v9"}
    value["data"] |= {"attempt": "many", "fields": 7, "plan_ms": None, "resumed": "no", "paths": None, "reason": 5}
    await put(store, json.dumps(value).encode())
    assert await one(store, "event_type, cluster, sequence, paths, plan_ms, resumed") == (
        "comet.seen.v9", "east", 0, [], 0.0, 0,
    )  # fmt: skip


async def test_one_drift_from_onset_to_its_end(store: ClickHouse) -> None:
    """The views put its events together: its life, its decision, its action, and the milliseconds between."""
    trigger = TriggerRef(type="drift.detected", id="e0")
    decision = DecisionMade(
        decision_id="n1", target=TARGET, trigger=trigger, drift_id="d1", policy="heal", mode=Mode.ENFORCE,
        verdict=Verdict.ACT, reason=Reason.POLICY, action_id="a1",
    )  # fmt: skip
    begun = ActionStarted(
        action_id="a1", decision_id="n1", target=TARGET, drift_id="d1", action="revert", policy="heal", attempt=1
    )
    ended = ActionFinished(
        action_id="a1", target=TARGET, drift_id="d1", action="revert", policy="heal", attempt=1,
        outcome=Outcome.SUCCEEDED, reason=Reason.VERIFIED, started_at=NOON, finished_at=NOON,
        plan_ms=1.5, apply_ms=2, verify_ms=3, resumed=True,
    )  # fmt: skip
    over = DriftCleared(
        target=TARGET, drift_id="d1", baseline="payments", onset=NOON - timedelta(seconds=1), cleared_at=NOON,
        reason="in-sync", resource_version="13", manager="setpoint",
    )  # fmt: skip
    await put(store, event(detected()), event(decision, 0.01), event(begun, 0.02))
    assert await store.query("SELECT action_id, outcome, finished_at FROM actions") == [("a1", "", None)]
    assert len(await store.query("SELECT * FROM open_drifts")) == 1
    await put(store, event(detected(update=1), 0.03), event(ended, 0.05), event(over, 0.1))
    assert await store.query("SELECT * FROM open_drifts") == []
    assert await store.query("SELECT reports, cleared_reason, cleared_by, managers FROM drift_intervals") == [
        (2, "in-sync", "setpoint", ["helm", "kubectl"])
    ]
    assert await store.query("SELECT verdict, reason, trigger_id, mode FROM decisions") == [
        ("act", "policy", "e0", "enforce")
    ]
    assert await store.query(
        "SELECT outcome, attempt, decision_id, plan_ms, apply_ms, verify_ms, resumed FROM actions"
    ) == [("succeeded", 1, "n1", 1.5, 2.0, 3.0, 1)]
    columns = "detect_ms, decide_ms, act_ms, correct_ms, total_ms, outcome, attempts"
    assert await store.query(f"SELECT {columns} FROM time_to_correct") == [(1000, 10, 30, 100, 1100, "succeeded", 1)]


async def test_a_drift_without_an_action_has_no_times_for_one(store: ClickHouse) -> None:
    """Absent is NULL, not 1970."""
    await put(store, event(detected()))
    columns = "decided_at, action_started_at, action_finished_at, cleared_at, decide_ms, act_ms, total_ms, outcome"
    assert await store.query(f"SELECT {columns} FROM time_to_correct") == [(None,) * 7 + ("",)]


async def test_rows_of_an_older_schema_stay_readable(empty_store: ClickHouse) -> None:
    """A migration of a filled database: what the old rows could not know is empty, and new rows stand beside them."""
    first, *_ = all_migrations()
    await migrate(empty_store, [first])
    await put(empty_store, event(detected()))
    await migrate(empty_store)
    by = FieldChange(path="/spec/replicas", kind="changed", user="ann")
    await put(empty_store, event(detected(update=1).model_copy(update={"fields": (by,), "revision": "abc"}), 1))
    assert await empty_store.query("SELECT sequence, managers, users, revision FROM events ORDER BY sequence") == [
        (0, ["helm", "kubectl"], [], ""), (1, [], ["ann"], "abc"),
    ]  # fmt: skip
    assert await empty_store.query("SELECT users, revision, reports FROM drift_intervals") == [(["ann"], "abc", 2)]
