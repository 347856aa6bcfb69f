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
        pytest.param(40, "", Held(0, 10), Opening(start=0, recreated=True), id="topic made anew"),
        pytest.param(
            40, "1:49", Held(0, 45), Opening(start=0, lost=Span(40, 49), recreated=True), id="made anew under an intent"
        ),
    ],
)
def test_where_to_start(offset: int, metadata: str, held: Held, opening: Opening) -> None:
    """Replay what was announced, go on behind it, and name what nobody can read any more."""
    assert plan(offset, metadata, held) == opening
