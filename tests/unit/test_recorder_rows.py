"""From a record's bytes to rows, and what is no event."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiokafka.structs import ConsumerRecord

from schemas.events import (
    MODELS,
    TYPES,
    ActionFinished,
    ControlKind,
    ControlSet,
    DriftDetected,
    FieldChange,
    Outcome,
    Reason,
    Scope,
    make_event,
)
from schemas.target import Target
from services.recorder.intents import Place
from services.recorder.rows import REQUIRED, Made, rows_of
from services.recorder.tables import EVENTS, METRICS, key_of
from services.recorder.values import Unreadable
from tests.recording import NOON, change, samples

PLACE = Place("b", "setpoint-drift", 1)
TARGET = Target(cluster="east", group="apps", kind="Deployment", namespace="payments", name="api")


KAFKA_TIME = int(datetime.now(UTC).timestamp() * 1000)  # the engine drops rows past their time


def record(value: bytes | None, offset: int = 7) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord("t", 1, offset, KAFKA_TIME, 0, b"k", value, 0, 1, len(value or b""), ())


def read(value: bytes | None) -> Made:
    return rows_of(PLACE, record(value))


def altered(**changes: Any) -> bytes:
    """A valid event with some of its envelope replaced; `data` is merged."""
    event = orjson.loads(change("east", 1).value or b"")
    data = changes.pop("data", {})
    event |= changes
    if isinstance(data, dict) and isinstance(event["data"], dict):
        event["data"] |= data
    return orjson.dumps({key: value for key, value in event.items() if value is not ...})


def test_a_drift_has_its_parts_as_columns() -> None:
    """Target, fields, managers and onset can be asked for without opening the payload; the payload is the original."""
    fields = (
        FieldChange(path="/spec/replicas", kind="changed", desired=3, live=5, manager="kubectl"),
        FieldChange(path="/metadata/labels/x", kind="removed", desired="y", manager="helm"),
        FieldChange(path="/spec/paused", kind="added", live=True, manager="kubectl"),
    )
    data = DriftDetected(
        target=TARGET,
        drift_id="d1",
        baseline="payments",
        state="changed",
        engine="dry-run",
        onset=NOON - timedelta(seconds=1),
        detected_at=NOON,
        update=2,
        resource_version="12",
        fields=fields,
    )
    value = make_event(
        data, id="e1", source="w", subject=TARGET.subject, time=NOON, correlationid="c1"
    ).model_dump_json()
    row = read(value.encode()).event
    assert row.event_type == "drift.detected.v1"
    assert (row.cluster, row.api_group, row.kind, row.namespace, row.name) == (
        "east", "apps", "Deployment", "payments", "api",
    )  # fmt: skip
    assert row.paths == ["/spec/replicas", "/metadata/labels/x", "/spec/paused"]
    assert (row.managers, row.sequence, row.drift_id) == (["helm", "kubectl"], 2, "d1")
    assert row.event_time - row.onset == 1_000_000
    assert row.event_time == int(NOON.timestamp()) * 1_000_000
    assert row.payload == value.encode()
    assert (row.broker, row.topic, row.kafka_partition, row.kafka_offset, row.kafka_time) == (
        "b", "setpoint-drift", 1, 7, KAFKA_TIME,
    )  # fmt: skip


def test_an_action_keeps_its_phases() -> None:
    """Where the time of an action went is a column each."""
    data = ActionFinished(
        action_id="a1",
        target=TARGET,
        action="revert",
        policy="p",
        attempt=2,
        outcome=Outcome.SUCCEEDED,
        reason=Reason.VERIFIED,
        started_at=NOON,
        finished_at=NOON,
        plan_ms=1.5,
        apply_ms=2,
        verify_ms=3,
        resumed=True,
    )
    event = make_event(data, id="e", source="r", subject=TARGET.subject, time=NOON, correlationid="c")
    row = read(event.model_dump_json().encode()).event
    assert (row.outcome, row.reason, row.sequence, row.resumed) == ("succeeded", "verified", 2, 1)
    assert (row.plan_ms, row.apply_ms, row.verify_ms) == (1.5, 2.0, 3.0)
    assert row.started_at == row.event_time


def test_a_control_is_found_by_its_scope() -> None:
    """A pause of a namespace has that namespace, its author, and its kind."""
    data = ControlSet(name="p", kind=ControlKind.PAUSE, scope=Scope(cluster="east", namespace="payments"), by="ann")
    event = make_event(data, id="e", source="cli", subject="east", time=NOON, correlationid="c")
    row = read(event.model_dump_json().encode()).event
    assert (row.cluster, row.namespace, row.name, row.state, row.manager) == ("east", "payments", "p", "pause", "ann")


def test_metrics_have_a_row_each_and_one_in_the_audit() -> None:
    """So that completeness can be counted in one table, and samples can be told apart within their record."""
    made = read(samples("watcher", 1, count=4).value)
    assert (made.event.event_type, made.event.payload) == ("metric.sampled.v1", b"")
    assert [row.name for row in made.samples] == ["m0", "m1", "m2", "m3"]
    assert [key_of(METRICS, row) for row in made.samples] == [(7, 0), (7, 1), (7, 2), (7, 3)]
    assert key_of(EVENTS, made.event) == (7,)


def test_a_sample_that_is_no_number_is_kept_as_such() -> None:
    """pydantic writes NaN as null."""
    event = orjson.loads(samples("watcher", 1, count=1).value or b"")
    event["data"]["samples"][0]["value"] = None
    assert math.isnan(read(orjson.dumps(event)).samples[0].value)


def test_an_unknown_type_is_recorded_as_it_is() -> None:
    """A newer producer's events are history too."""
    row = read(altered(type="dev.setpoint.comet.seen.v9", data={"new": [1]})).event
    assert row.event_type == "comet.seen.v9"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        pytest.param(b"\x00\xff", "not JSON", id="not json"),
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"[1]", "not a JSON object", id="a list"),
        pytest.param(altered(type=...), "'type'", id="no type"),
        pytest.param(altered(id=7), "'id'", id="id is a number"),
        pytest.param(altered(time="yesterday"), "'time'", id="no time"),
        pytest.param(altered(time="2026-11-24T10:00:00"), "'time'", id="time without zone"),
        pytest.param(altered(time="9999-01-01T00:00:00Z"), "'time'", id="time beyond the engine's"),
        pytest.param(altered(time=...), "'time'", id="time missing"),
        pytest.param(altered(data={"target": "x"}), "'target'", id="target is text"),
        pytest.param(altered(data={"attempt": -1}), "'attempt'", id="negative count"),
        pytest.param(altered(data={"attempt": 2**40}), "'attempt'", id="count beyond the column"),
        pytest.param(altered(data={"plan_ms": "fast"}), "'plan_ms'", id="text for a number"),
        pytest.param(altered(data={"paths": [1]}), "'paths'", id="paths are numbers"),
        pytest.param(altered(data={"resumed": "yes"}), "'resumed'", id="text for a boolean"),
    ],
)
def test_what_is_no_event_says_where(value: bytes, why: str) -> None:
    """Every value that the engine would refuse makes this one record unreadable, not a whole batch."""
    with pytest.raises(Unreadable, match=why):
        read(value)


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_a_known_event_must_have_what_it_cannot_do_without(kind: str) -> None:
    """The required fields follow from the models."""
    event = orjson.loads(change("east", 1).value or b"") | {"type": kind, "data": {}}
    with pytest.raises(Unreadable, match=rf"'data\.{REQUIRED[kind][0]}' is missing"):
        read(orjson.dumps(event))
    assert len(REQUIRED) == len(TYPES)
