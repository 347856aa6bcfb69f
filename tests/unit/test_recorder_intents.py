"""What the offset commits say, and where to start from them."""

import pytest

from services.recorder.intents import Place, Span, decode, encode, token
from services.recorder.opening import NO_OFFSET, Held, Opening, plan
from services.runtime.errors import Permanent

PLACE = Place("broker-1", "setpoint-drift", 3)


def test_an_intent_survives_the_commit() -> None:
    """What was announced is what the next owner reads."""
    span = Span(17, 42)
    assert decode(span.first, encode(span)) == span


def test_a_passed_span_has_no_intent() -> None:
    """Empty metadata says that everything below the offset is recorded."""
    assert decode(43, "") is None


@pytest.mark.parametrize("metadata", ["2:50", "1:", "1:x", "1:3", "something"])
def test_metadata_of_another_version_stops_with_a_fix(metadata: str) -> None:
    """Guessing would lose or double rows."""
    with pytest.raises(Permanent, match="SETPOINT_GROUP_PREFIX"):
        decode(17, metadata)


def test_a_token_is_the_range_alone() -> None:
    """Two deliveries of one range share a token; another range, broker, partition or repair has another."""
    tokens = {
        token(PLACE, Span(1, 5)),
        token(PLACE, Span(1, 6)),
        token(PLACE, Span(1, 5), repair=1),
        token(Place("broker-2", "setpoint-drift", 3), Span(1, 5)),
        token(Place("broker-1", "setpoint-drift", 4), Span(1, 5)),
    }
    assert token(PLACE, Span(1, 5)) == "broker-1:setpoint-drift:3:1-5"
    assert len(tokens) == 5


@pytest.mark.parametrize(
    ("offset", "metadata", "held", "opening"),
    [
        pytest.param(NO_OFFSET, "", Held(5, 90), Opening(start=5), id="no commit: from the earliest"),
        pytest.param(40, "", Held(5, 90), Opening(start=40), id="passed: go on"),
        pytest.param(90, "", Held(5, 90), Opening(start=90), id="passed everything"),
        pytest.param(40, "1:49", Held(5, 90), Opening(start=50, replay=Span(40, 49)), id="open intent: replay it"),
        pytest.param(40, "1:89", Held(5, 90), Opening(start=90, replay=Span(40, 89)), id="open intent up to the end"),
        pytest.param(40, "", Held(60, 90), Opening(start=60, lost=Span(40, 59)), id="retention overtook a passed one"),
        pytest.param(40, "1:49", Held(60, 90), Opening(start=60, lost=Span(40, 59)), id="retention took the intent"),
        pytest.param(
            40,
            "1:49",
            Held(45, 90),
            Opening(start=50, replay=Span(40, 49), lost=Span(40, 44)),
            id="retention took half",
        ),
    ],
)
def test_where_to_start(offset: int, metadata: str, held: Held, opening: Opening) -> None:
    """Replay what was announced, go on behind it, and name what nobody can read any more."""
    assert plan(offset, metadata, held) == opening


@pytest.mark.parametrize(
    ("held", "opening"),
    [
        pytest.param(Held(0, 90), Opening(start=40), id="go on behind it"),
        pytest.param(Held(0, 40), Opening(start=40), id="nothing is new"),
        pytest.param(Held(50, 90), Opening(start=50, lost=Span(40, 49)), id="retention overtook it"),
    ],
)
def test_without_a_commit_the_record_says_where_to_start(held: Held, opening: Opening) -> None:
    """A group whose offsets expired, or one with a new name, records nothing twice."""
    assert plan(NO_OFFSET, "", held, recorded=39) == opening


@pytest.mark.parametrize(
    ("offset", "metadata", "recorded"),
    [(40, "", None), (20, "1:39", None), (NO_OFFSET, "", 39)],
    ids=["passed", "announced", "recorded"],
)
def test_a_topic_that_is_shorter_than_its_record_stops_it(offset: int, metadata: str, recorded: int | None) -> None:
    """The same offsets would stand for other events, and the engine would drop those as repeated."""
    with pytest.raises(Permanent, match=r"made anew.*another database"):
        plan(offset, metadata, Held(0, 30), recorded)
