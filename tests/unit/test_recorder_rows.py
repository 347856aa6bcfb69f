"""From a record's bytes to rows, and what is no event."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiokafka.structs import ConsumerRecord

from schemas.events import MODELS, TYPES
from services.recorder.intents import Place
from services.recorder.rows import REQUIRED, Made, rows_of
from services.recorder.tables import EVENTS, METRICS, AuditRow, key_of
from services.recorder.values import Unreadable
from tests.recording import change, samples

PLACE = Place("b", "setpoint-drift", 1)


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
    event["data"] = event["data"] | data if isinstance(data, dict) else data
    return orjson.dumps({key: value for key, value in event.items() if value is not ...})


def sampled(**changes: Any) -> bytes:
    """Valid metrics with some of the one sample replaced."""
    event = json.loads(samples("watcher", 1, count=1).value or b"")
    event["data"]["samples"][0] |= changes
    return json.dumps(event).encode()


def test_the_row_is_the_original_bytes_and_their_place() -> None:
    """Every other column is the engine's to take from them."""
    value = change("east", 1).value or b""
    assert read(value).event == AuditRow(value, "b", "setpoint-drift", 1, 7, KAFKA_TIME)


def test_metrics_have_a_row_each_and_one_in_the_audit() -> None:
    """So that completeness can be counted in one table, and samples can be told apart within their record."""
    made = read(samples("watcher", 1, count=4).value)
    envelope = orjson.loads(made.event.payload)
    assert (envelope["type"], envelope["data"]) == (
        "dev.setpoint.metric.sampled.v1",
        {"source": "watcher", "samples": []},
    )
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
    value = altered(type="dev.setpoint.comet.seen.v9", data={"new": [1]})
    assert read(value).event.payload == value


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
        pytest.param(altered(data="text"), "'data'", id="data is text"),
        pytest.param(altered(data=...), "'data'", id="no data"),
        pytest.param(sampled(value="high"), "'value'", id="a sample's value is text"),
        pytest.param(sampled(value=10**400), "not JSON", id="a sample's value is beyond a double"),
        pytest.param(sampled(name=""), "'name'", id="a sample without a name"),
        pytest.param(sampled(labels={"a": 1}), "'a'", id="a label is a number"),
        pytest.param(sampled(labels=[]), "'labels'", id="labels are a list"),
        pytest.param(sampled(time=5), "'time'", id="a sample's time is a number"),
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
