"""What each source of the gateway makes of what its senders send: `payloads/<source>/*.json`.

Beside `name.json`, which is the body as it comes, stands `name.expected.json` with the events, and what was passed
over, or why it is unreadable. `name.headers.json` has headers, where those count. The sender is called `staging`, and
it is noon.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.events import parse_event
from services.gateway.source import Inbound, Sender, Unreadable
from services.gateway.sources import SOURCES

PAYLOADS = Path(__file__).parent / "payloads"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BESIDE = (".expected.json", ".headers.json")
BODIES = sorted(path for path in PAYLOADS.glob("*/*.json") if not path.name.endswith(BESIDE))
ELSEWHERE = {"audit"}  # its batches are built in tests/unit/test_gateway_audit.py


def said(body: Path) -> dict[str, Any]:
    """What the source reads, as the expectation writes it."""
    headers = body.with_suffix(".headers.json")
    given = orjson.loads(headers.read_bytes()) if headers.exists() else {}
    inbound = Inbound(body.read_bytes(), given, Sender("staging"), NOON)
    try:
        reading = SOURCES[body.parent.name].read(inbound)
    except Unreadable as error:
        return {"unreadable": str(error)}
    events = [
        {"topic": str(made.topic), "key": made.key, "event": made.event.model_dump(mode="json")}
        for made in reading.made
    ]
    return {"events": events, "passed_over": dict(reading.passed_over)}


@pytest.mark.parametrize("body", BODIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_payload_becomes_these_events(body: Path) -> None:
    """To the last field: identities and targets are what everything after the gateway counts on."""
    assert said(body) == orjson.loads(body.with_suffix(".expected.json").read_bytes())


@pytest.mark.parametrize("body", BODIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_its_events_can_be_read_from_the_topic(body: Path) -> None:
    """As whoever consumes them reads them, and each from its source's own name."""
    for made in said(body).get("events", []):
        event = parse_event(orjson.dumps(made["event"]))
        assert event is not None
        assert (event.model_dump(mode="json"), event.source.count("/")) == (made["event"], 2)


def test_every_source_has_payloads() -> None:
    """A source without one is a source that nobody has looked at."""
    assert {body.parent.name for body in BODIES} == set(SOURCES) - ELSEWHERE
