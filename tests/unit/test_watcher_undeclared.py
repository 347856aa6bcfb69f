"""What nobody declares: earlier drifts end, and what carries a baseline's label is unwanted until it is gone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.baseline import PruneMode
from schemas.events import ClearedReason, DriftCleared, DriftDetected, DriftState, Event
from schemas.target import Target
from services.kube.objects import Object, ObjectKey
from services.kube.verdict.judge import MISSING
from services.kube.verdict.unwanted import LABEL, PruneRule, Unwanted, unwanted_by
from services.watcher.lives import Observed, advance
from services.watcher.undeclared import undeclared

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = ObjectKey("", "ConfigMap", "n", "c")
TARGET = Target(cluster="c1", group="", kind="ConfigMap", namespace="n", name="c", uid="u1")
RULE = PruneRule("base", PruneMode.ASK, LABEL, "base", "v1", frozenset({"n"}))
CONTROLLED: dict[str, Any] = {"ownerReferences": [{"kind": "ReplicaSet", "name": "r", "controller": True}]}


def live(version: str = "5", **metadata: Any) -> Object:
    own = {"name": "c", "namespace": "n", "uid": "u1", "resourceVersion": version, "labels": {LABEL: "base"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**own, **metadata}}


def step(
    before: DriftDetected | None, obj: Object | None, rule: PruneRule | None = RULE, *, asked: bool = True
) -> tuple[DriftDetected | None, list[Event[Any]]]:
    found = unwanted_by((rule,), KEY, obj) if rule and obj else None
    unwanted = Unwanted(KEY, found, obj) if found and obj else None
    return undeclared(before, TARGET, obj, unwanted, asked=asked, follows="", now=NOON, mask_key=b"k")


def words(events: list[Event[Any]]) -> list[str]:
    return [e.data.reason if isinstance(e.data, DriftCleared) else f"{e.data.state} {e.data.prune}" for e in events]


def test_one_life_from_first_sight_to_the_end() -> None:
    """Writes in between are no news, and neither is that it is ending."""
    drift, first = step(None, live())
    assert words(first) == ["unwanted ask"]
    assert step(drift, live("6")) == (drift, [])
    assert step(drift, live("7", deletionTimestamp="2026-11-24T12:00:00Z")) == (drift, [])
    over, last = step(drift, None)
    assert (over, words(last)) == (None, [ClearedReason.IN_SYNC])
    assert last[0].data.drift_id == first[0].data.drift_id


@pytest.mark.parametrize(
    ("obj", "rule", "asked"),
    [
        pytest.param(live(labels={}), RULE, True, id="unlabelled"),
        pytest.param(live(**CONTROLLED), RULE, True, id="taken-over-by-a-controller"),
        pytest.param(live(), None, False, id="no-longer-asked-for"),
        pytest.param(None, None, False, id="no-longer-looked-at"),
    ],
)
def test_what_may_be_there_after_all_is_no_longer_told(obj: Object | None, rule: PruneRule | None, asked: bool) -> None:
    """It is not said to be gone."""
    drift, _ = step(None, live())
    over, events = step(drift, obj, rule, asked=asked)
    assert (over, words(events)) == (None, [ClearedReason.NOT_DECLARED])


def test_a_drift_of_the_time_when_it_was_declared_ends_before_it_is_unwanted() -> None:
    """Two lives with two ids."""
    declared = Unwanted(KEY, RULE, live())
    earlier, _ = advance(None, Observed(TARGET, declared, None, MISSING, "4", NOON, b"k"))
    assert earlier
    drift, events = step(earlier, live())
    assert words(events) == [ClearedReason.NOT_DECLARED, "unwanted ask"]
    assert drift
    assert drift.drift_id != earlier.drift_id


def test_what_mode_changes_is_told_in_the_same_life() -> None:
    """Whoever asked for a report now wants it gone."""
    drift, _ = step(None, live())
    later, events = step(drift, live(), PruneRule("base", PruneMode.DELETE, LABEL, "base", "v1", frozenset({"n"})))
    assert words(events) == ["unwanted delete"]
    assert drift
    assert later
    assert (later.drift_id, later.update, later.state) == (drift.drift_id, 1, DriftState.UNWANTED)


@pytest.mark.parametrize(
    ("metadata", "wanted"),
    [
        pytest.param({}, True, id="labelled"),
        pytest.param({"labels": {LABEL: "other"}}, False, id="another-value"),
        pytest.param({"labels": None}, False, id="no-labels"),
        pytest.param({"labels": "odd"}, False, id="odd-labels"),
        pytest.param(CONTROLLED, False, id="controlled"),
        pytest.param({"ownerReferences": [{"name": "r"}]}, True, id="owned-and-not-controlled"),
        pytest.param({"deletionTimestamp": "2026-11-24T12:00:00Z"}, False, id="ending"),
        pytest.param({"annotations": {"setpoint.dev/paused": "true"}}, False, id="paused"),
        pytest.param(
            {"labels": {LABEL: "base", "helm.toolkit.fluxcd.io/name": "x"}}, False, id="of-another-tool"
        ),
    ],
)  # fmt: skip
def test_what_is_unwanted(metadata: dict[str, Any], wanted: bool) -> None:
    """By its label alone, unless somebody else answers for it."""
    assert (unwanted_by((RULE,), KEY, live(**metadata)) is RULE) is wanted


def test_never_outside_the_namespaces_that_the_baseline_declares_objects_in() -> None:
    """Whatever its label says."""
    assert unwanted_by((RULE,), KEY._replace(namespace="other"), live(namespace="other")) is None
