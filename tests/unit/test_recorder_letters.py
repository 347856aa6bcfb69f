"""Which dead letters go back, and which offsets make a gap."""

from dataclasses import replace
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from schemas.topics import TopicName
from services.recorder.intents import Span
from services.recorder.letters import HAD, Item, Letter, Room, Why, letter_of, plan, sent_back
from services.recorder.proof import spans
from services.recorder.values import EPOCH
from services.runtime.deadletters import dead_letter
from tests.recording import change

ORIGIN = (str(TopicName.CHANGES), 1, 7)
LETTER = Letter(3, ORIGIN, "not JSON", EPOCH, 10)
ROOM = Room({ORIGIN[0]: 2, TopicName.CONTROL: 2}, {TopicName.CONTROL}, passed={ORIGIN[:2]: 8})


@pytest.mark.parametrize(
    ("letter", "room", "why"),
    [
        pytest.param({}, {}, None, id="readable now"),
        pytest.param({}, {"done": {ORIGIN}}, Why.DONE, id="marked"),
        pytest.param({"cut": True}, {}, Why.CUT, id="cut"),
        pytest.param({"origin": None}, {}, Why.NAMELESS, id="no headers"),
        pytest.param({}, {"partitions": {}}, Why.NO_TOPIC, id="topic is gone"),
        pytest.param({"origin": (str(TopicName.CONTROL), 0, 1)}, {}, Why.STATE, id="compacted"),
        pytest.param({"trouble": "not JSON"}, {}, Why.UNREADABLE, id="not corrected"),
        pytest.param({"before": "setpoint-changes:1:5"}, {}, Why.AGAIN, id="failed again"),
        pytest.param({}, {"passed": {ORIGIN[:2]: 7}}, Why.NOT_YET, id="recorder behind"),
        pytest.param({}, {"passed": {}}, Why.NOT_YET, id="recorder never there"),
    ],
)
def test_a_letter_goes_back_unless_something_speaks_against_it(
    letter: dict[str, Any], room: dict[str, Any], why: Why | None
) -> None:
    """One reason each, from a closed list."""
    (item,) = plan([replace(LETTER, **letter)], replace(ROOM, **room), 10)
    assert item.why is why


def test_two_letters_about_one_record_send_it_once() -> None:
    """The recorder and the reconciler could not read it; it was one record all the same."""
    items = plan([LETTER, replace(LETTER, offset=4)], ROOM, 10)
    assert [item.why for item in items] == [None, Why.TWICE]


def test_no_more_than_the_limit_goes_back() -> None:
    """The oldest go first, and what cannot go does not count."""
    letters = [replace(LETTER, offset=at, origin=(ORIGIN[0], 1, at), cut=at == 0) for at in range(4)]
    assert [item.why for item in plan(letters, ROOM, 2)] == [Why.CUT, None, None, Why.LIMIT]


def test_what_failed_again_goes_back_only_when_asked() -> None:
    """Otherwise a record that nobody can read would go in circles."""
    (item,) = plan([replace(LETTER, before="x")], ROOM, 10, again=True)
    assert item.why is None


def test_a_partition_that_is_not_there_any_more_leaves_it_to_the_key() -> None:
    """The topic was made anew, smaller."""
    (item,) = plan([replace(LETTER, origin=(ORIGIN[0], 1, 7))], replace(ROOM, partitions={ORIGIN[0]: 1}), 10)
    assert (item.why, item.partition) == (None, None)


def test_a_letter_is_read_as_its_own_topic_would_be() -> None:
    """A valid event that an older version buried has no trouble; its headers come back as they were."""
    letter = buried(change("east", 1).value or b"")
    read = letter_of(letter)
    assert (read.origin, read.trouble, read.error) == (ORIGIN, None, "an old fault")
    headers = sent_back(letter, Item(read, None, 1, had=True))
    assert headers == [("content-type", b"x"), ("replayed-from", b"setpoint-changes:1:7"), (HAD, b"1")]


@pytest.mark.parametrize(
    ("value", "trouble"),
    [
        pytest.param(b"\xff", "not JSON", id="junk"),
        pytest.param(
            (change("east", 1).value or b"").replace(b'"updated"', b'"hunter2"'), "not a valid event of its type",
            id="of another version",
        ),
    ],
)  # fmt: skip
def test_what_nobody_can_read_says_why_and_quotes_nothing(value: bytes, trouble: str) -> None:
    """A dead letter may hold anybody's secret."""
    assert letter_of(buried(value)).trouble == trouble


@pytest.mark.parametrize(
    ("expected", "missing", "gaps"),
    [
        pytest.param([1, 2, 3], [], [], id="complete"),
        pytest.param([1, 2, 4, 5, 9], [2, 4, 5], [Span(2, 5)], id="a marker within"),
        pytest.param([1, 2, 3, 4], [1, 3, 4], [Span(1, 1), Span(3, 4)], id="two"),
        pytest.param([1, 2], [1, 2], [Span(1, 2)], id="everything"),
    ],
)
def test_missing_offsets_are_named_as_gaps(expected: list[int], missing: list[int], gaps: list[Span]) -> None:
    """Legal holes between two missing records do not part them."""
    assert spans(expected, missing) == gaps


def buried(value: bytes) -> "ConsumerRecord[bytes, bytes]":
    """A dead letter of a record at ORIGIN with this value, as the dead letters' topic holds it."""
    record = _record(ORIGIN[0], 1, 7, value, (("content-type", b"x"),))
    letter = dead_letter(record, "an old fault")
    return _record(TopicName.DEAD_LETTER, 0, 3, letter.value or b"", letter.headers)


def _record(
    topic: str, partition: int, offset: int, value: bytes, headers: tuple[tuple[str, bytes], ...]
) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord(topic, partition, offset, 1_764_000_000_000, 0, b"key", value, 3, len(value), 0, headers)
