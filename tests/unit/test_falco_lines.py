"""From bytes of a Falco pod's log to alerts: whatever a log holds, bounded, and the same alert as the gateway's."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Event
from services.gateway.source import Inbound, Sender
from services.gateway.sources.falco import read as read_sent
from services.watcher.falco.follow import FIRST, FURTHEST, SKEW, begin
from services.watcher.falco.known import Known
from services.watcher.falco.lines import Line, Splitter, read, stamped
from tests.fakes import NOON
from tests.falco_logs import alert

PAYLOADS = Path(__file__).parents[1] / "contract" / "payloads" / "falco"
SENT = [path for path in PAYLOADS.glob("*.json") if not path.name.endswith(".expected.json") and path.stem != "text"]


@pytest.mark.parametrize("path", SENT, ids=lambda path: path.stem)
def test_an_alert_is_the_same_whichever_way_it_comes(path: Path) -> None:
    """Sent to the gateway and read from the log: one identity, one event's id, one set of data."""
    body = orjson.dumps(orjson.loads(path.read_bytes()))
    sent = read_sent(Inbound(body, {}, Sender("staging"), NOON)).made
    found = read(body, "staging", NOON)
    if not sent:
        assert found is Line.INTERNAL
        return
    assert isinstance(found, Event)
    assert (found.id, found.data) == (sent[0].event.id, sent[0].event.data)
    assert found.source == "setpoint/watcher/falco"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"Tue Nov 24 12:00:00 2026: Falco version: 0.44.1 (x86_64)", Line.OTHER, id="start-up"),
        pytest.param(b"", Line.OTHER, id="empty"),
        pytest.param(b'{"level":"info","msg":"loaded"}', Line.OTHER, id="json-that-is-no-alert"),
        pytest.param(b'{"rule":"x"', Line.OTHER, id="torn"),
        pytest.param(b"\xff\xfe\x00", Line.OTHER, id="not-text"),
        pytest.param(
            b"12:00:00.000000001: Notice A shell was opened (user=root)", Line.PLAIN_ALERT, id="json-output-is-off"
        ),
        pytest.param(
            alert(1, rule="Falco internal: syscall event drop", source="internal"), Line.INTERNAL, id="of-itself"
        ),
    ],
)
def test_what_is_no_alert_is_said_to_be_what_it_is(text: bytes, expected: Line) -> None:
    """Counted by these words, and no error."""
    assert read(text, "prod", NOON) is expected


@given(st.binary(max_size=200))
def test_no_line_is_a_failure(text: bytes) -> None:
    """Whatever another program writes into that log."""
    stamped(text)
    for line in (text, b"{" + text, b'{"rule":"r","time":"2026-11-24T12:00:00Z","output_fields":' + text + b"}"):
        read(line, "prod", NOON)


@given(st.lists(st.binary(max_size=40).map(lambda part: part.replace(b"\n", b""))), st.integers(1, 50))
def test_lines_do_not_depend_on_how_they_are_cut(lines: list[bytes], size: int) -> None:
    """In whatever pieces they come, they are the same ones; empty ones are none."""
    stream = b"".join(line + b"\n" for line in lines)
    splitter = Splitter()
    found = [line for start in range(0, len(stream), size) for line in splitter.feed(stream[start : start + size])]
    assert found == [line for line in lines if line]


@given(st.lists(st.sampled_from([b"a", b"bb", b"\n", b"x" * 7, b"y" * 30])))
def test_a_line_that_is_too_long_is_never_held(chunks: list[bytes]) -> None:
    """It is counted once, the lines around it come through, and memory is bounded all the time."""
    splitter = Splitter(longest=10)
    found = []
    for chunk in chunks:
        found += splitter.feed(chunk)
        assert len(splitter.rest) <= 10
    complete = b"".join(chunks).split(b"\n")[:-1]
    assert found == [line for line in complete if 0 < len(line) <= 10]
    assert splitter.too_long >= sum(len(line) > 10 for line in complete)


def test_the_nodes_time_is_taken_off() -> None:
    """To the microsecond; a line without one is a line all the same."""
    found = stamped(b"2026-11-24T12:00:00.123456789Z {}")
    assert found == (datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC), b"{}")
    assert stamped(b"no time here") == (None, b"no time here")


def test_what_is_known_is_bounded() -> None:
    """The oldest is forgotten first."""
    known = Known(most=2)
    for event_id in "abac":
        known.add(event_id)
    assert [event_id for event_id in "abc" if event_id in known] == ["a", "c"]


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        pytest.param(None, NOON - FIRST, id="first-start"),
        pytest.param(NOON, NOON - SKEW, id="quick-restart"),
        pytest.param(NOON - 2 * FURTHEST, NOON - FURTHEST, id="away-for-long"),
    ],
)
def test_where_reading_begins(mark: datetime | None, expected: datetime) -> None:
    """A little before the mark, never too far back, and a first start does not dig out old alerts."""
    assert begin(mark, NOON) == expected
