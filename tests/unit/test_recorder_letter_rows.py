"""A dead letter's row: where it stood, how long it was and why it could not be read; never a byte of it."""

from typing import Any

import orjson
import pytest
from aiokafka.structs import ConsumerRecord

from schemas.topics import TopicName
from services.recorder.intents import Place
from services.recorder.rows import rows_of
from services.runtime.deadletters import MOST_VALUE, dead_letter

PLACE = Place("b", TopicName.DEAD_LETTER, 0)
SECRET = b"\x00 not JSON, and with a password in it"
AT = 1_764_000_000_000


def unread(value: bytes) -> "ConsumerRecord[bytes, bytes]":
    """A record of the drift topic that nobody could read."""
    return ConsumerRecord("setpoint-drift", 3, 12, AT, 0, b"k", value, 0, 1, len(value), ())


def row(value: bytes, headers: tuple[tuple[str, bytes], ...], at: int = AT, offset: int = 5) -> dict[str, Any]:
    """The row's payload of such a record in the dead letters."""
    record = ConsumerRecord(PLACE.topic, 0, offset, at, 0, b"k", value, 0, 1, len(value), headers)
    payload: dict[str, Any] = orjson.loads(rows_of(PLACE, record).event.payload)
    return payload


def test_it_tells_the_place_and_the_reason() -> None:
    """As its headers have it, which the reader wrote that gave up on it."""
    made = dead_letter(unread(SECRET), "'time' is missing")
    event = row(made.value or b"", made.headers)
    assert event["type"] == "dev.setpoint.record.unreadable.v1"
    assert event["subject"] == "setpoint-drift:3:12"
    assert event["time"] == "2025-11-24T16:00:00.000000Z"
    assert event["data"] == {
        "topic": "setpoint-drift", "partition": 3, "offset": 12, "message": "'time' is missing", "bytes": len(SECRET),
    }  # fmt: skip
    assert b"password" not in orjson.dumps(event)


def test_two_letters_are_two_events() -> None:
    """One record may be refused by several readers, and be put back and refused again."""
    made = dead_letter(unread(SECRET), "no")
    first, second = (row(made.value or b"", made.headers, offset=offset)["id"] for offset in (1, 2))
    assert first != second


def test_the_length_is_that_of_the_original() -> None:
    """Where it was cut because it did not fit."""
    made = dead_letter(unread(b"x" * (MOST_VALUE + 500)), "too large")
    assert row(made.value or b"", made.headers)["data"]["bytes"] == MOST_VALUE + 501


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((), id="none"),
        pytest.param((("original-offset", b"-7"), ("original-partition", b"9" * 40)), id="no numbers"),
        pytest.param((("original-topic", b"\xff\xfe"), ("error", b"\xff" * 100_000)), id="no text, and too much of it"),
        pytest.param((("original-offset", "٧".encode()), ("error", b"")), id="digits of another script"),
    ],
)
@pytest.mark.parametrize("at", [-1, 0, 2**62])
def test_nothing_in_it_makes_it_unreadable_again(headers: tuple[tuple[str, bytes], ...], at: int) -> None:
    """Or it would be buried for ever, once more with every round."""
    event = row(SECRET, headers, at)
    assert (event["data"]["offset"], event["data"]["partition"]) == (0, 0)
    assert len(event["data"]["message"]) <= 1000
