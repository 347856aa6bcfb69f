"""The life of a drift: detected, maybe updated, cleared; one id from the first to the last."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import ClearedReason, DriftCleared, DriftDetected, DriftState, Event, FindingReason
from schemas.target import Target
from services.kube.declaration.baselines import Declared
from services.kube.declaration.packing import Packer
from services.kube.objects import Object, ObjectKey
from services.kube.pointer import FieldDiff
from services.kube.verdict.judge import IN_SYNC, MISSING, Finding
from services.watcher.lives import Observed, advance, again, cleared

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = b"a key for tests only"
OBJ: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {}}
FIELDS: Object = {"f:data": {"f:a": {}}}
TARGET = Target(cluster="c1", group="", kind="ConfigMap", namespace="n", name="c", uid="u1")


def declared(digest: str = "d1", baseline: str = "base") -> Declared:
    packer = Packer()
    key = ObjectKey("", "ConfigMap", "n", "c")
    return Declared(baseline, key, "v1", packer.pack(OBJ), packer, (), frozenset(), None, "f", 1, digest)


def changed(value: str = "2") -> Finding:
    return Finding(DriftState.CHANGED, (FieldDiff("/data/a", "changed", "1", value),), "dry-run")


def seen(finding: Finding, version: str = "10", *, minute: int = 0, **more: Any) -> Observed:
    entry = {"manager": "kubectl", "operation": "Update", "time": "2026-11-24T11:59:58Z", "fieldsV1": FIELDS}
    live = {**OBJ, "data": {"a": "2"}, "metadata": {**OBJ["metadata"], "managedFields": [entry]}}
    shown = None if finding is MISSING else live
    given: dict[str, Any] = {"target": TARGET, "declared": declared(), **more}
    return Observed(
        live=shown, finding=finding, version=version, now=NOON + timedelta(minutes=minute), mask_key=KEY, **given
    )


def step(before: Any, observed: Observed) -> tuple[Any, Any]:
    """`advance`, for tests that know which of its results are there."""
    return advance(before, observed)


def test_a_life_has_one_id_and_one_correlation() -> None:
    """Detected, updated and cleared belong together, and each says what led to it."""
    drift, first = step(None, seen(changed()))
    drift, second = step(drift, seen(changed("3"), "11"))
    over, last = step(drift, seen(IN_SYNC, "12"))
    assert over is None
    assert {event.data.drift_id for event in (first, second, last)} == {first.id}
    assert {event.correlationid for event in (first, second, last)} == {first.id}
    assert [first.causationid, second.causationid, last.causationid] == [None, first.id, second.id]
    assert len({first.id, second.id, last.id}) == 3
    assert isinstance(last.data, DriftCleared)
    assert last.data.reason is ClearedReason.IN_SYNC


def test_the_onset_is_when_the_field_was_written() -> None:
    """By managedFields, not when it was seen; it stays for the whole life."""
    drift, _ = step(None, seen(changed()))
    assert drift.onset == NOON - timedelta(seconds=2)
    updated, _ = step(drift, seen(changed("3"), "11", minute=5))
    assert (updated.onset, updated.detected_at) == (drift.onset, NOON + timedelta(minutes=5))


def test_a_drift_that_the_baseline_made_begins_when_it_is_seen() -> None:
    """The object has not changed since it was in sync, so its managers' times say nothing about it."""
    drift, _ = step(None, seen(changed(), as_told=True))
    assert drift.onset == NOON


def test_the_same_again_is_no_news() -> None:
    """Neither a second look nor a status update makes an event; another engine alone does not either."""
    drift, _ = step(None, seen(changed()))
    same, event = step(drift, seen(changed(), "11", minute=1))
    assert (same, event) == (drift, None)
    assert step(drift, seen(replace(changed(), engine="local", reason=FindingReason.FORBIDDEN), "11"))[1] is None


def test_what_is_in_sync_and_was_so_is_no_news() -> None:
    """Most looks end like this."""
    assert step(None, seen(IN_SYNC)) == (None, None)


def test_a_drift_that_becomes_another_stays_one_life() -> None:
    """Changed, then deleted, then made again as declared: one drift from the first to the last, on one target."""
    drift, _ = step(None, seen(changed()))
    gone, event = step(drift, seen(MISSING, target=TARGET.model_copy(update={"uid": None})))
    assert (gone.state, gone.drift_id, gone.target.uid) == ("missing", drift.drift_id, "u1")
    assert event.data.target.uid == "u1"


def test_two_watchers_give_one_id() -> None:
    """The id is made of facts, so that a second watcher's event is seen as the same one."""
    _, first = step(None, seen(changed(), minute=0))
    _, second = step(None, seen(changed(), minute=3))
    assert first.id == second.id


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"version": "11"}, id="another-state"),
        pytest.param({"declared": declared("d2")}, id="another-declaration"),
        pytest.param({"target": TARGET.model_copy(update={"uid": "u2"})}, id="another-object-of-that-name"),
        pytest.param({"follows": "an-earlier-one"}, id="after-another-life"),
    ],
)
def test_another_drift_has_another_id(other: dict[str, Any]) -> None:
    """Also when a baseline is edited there and back while the object stands still."""
    _, first = step(None, seen(changed()))
    _, second = step(None, seen(changed(), **other))
    assert first.id != second.id


def test_saying_it_again_counts_as_an_update() -> None:
    """Consumers see a newer event of the same life, not a new drift."""
    drift, _ = step(None, seen(changed()))
    told, event = again(drift, NOON + timedelta(days=2))
    assert (told.drift_id, told.update, told.onset) == (drift.drift_id, 1, drift.onset)
    assert event.id == f"{drift.drift_id}-1"


def test_what_is_no_longer_declared_is_closed_as_such() -> None:
    """Nobody corrected it."""
    drift, _ = step(None, seen(changed()))
    event = cleared(drift, NOON, "10", None, ClearedReason.NOT_DECLARED)
    assert (event.data.reason, event.data.drift_id) == (ClearedReason.NOT_DECLARED, drift.drift_id)


FINDINGS = st.sampled_from([IN_SYNC, MISSING, changed("2"), changed("3"), changed("4")])


@given(st.lists(st.tuples(FINDINGS, st.booleans()), max_size=30))
def test_any_sequence_of_findings_gives_whole_lives(steps: list[tuple[Finding, bool]]) -> None:
    """Every life is detected once, updated in order and cleared at most once, and no id is used twice.

    `steps` are findings, and whether the object was written before each: a verdict may change because the baseline did.
    """
    drift: DriftDetected | None = None
    ended, version = "", 1
    events: list[Event[Any]] = []
    for finding, written in steps:
        version += written
        before = drift
        drift, event = advance(drift, seen(finding, str(version), follows=ended))
        if before and drift is None:
            ended = before.drift_id
        if event:
            events.append(event)
        assert (drift is None) == (finding.state is None)
    assert len({event.id for event in events}) == len(events)
    open_life: str | None = None
    expected_update = 0
    for event in events:
        if isinstance(event.data, DriftDetected):
            expected_update = expected_update + 1 if open_life else 0
            assert event.data.update == expected_update
            assert event.data.drift_id == (open_life or event.data.drift_id)
            open_life = event.data.drift_id
        else:
            assert event.data.drift_id == open_life
            open_life = None
