"""Every event of every type that is released, recorded: nothing is refused, and what queries stand on is in columns."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.events import MODELS, PREFIX
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS, METRICS
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.unit.test_recorder_rows import record

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
EXAMPLES = sorted((Path(__file__).parents[2] / "schemas" / "released").glob(f"*/examples/{PREFIX}*/*.json"))
TAKEN_AS_THEY_ARE = (
    "drift_id", "alert_id", "decision_id", "action_id", "approval_id", "baseline", "policy", "mode", "verdict",
    "reason", "outcome", "engine", "action", "severity", "undoes",
)  # fmt: skip
"""Columns that hold what the event's data says under the same name."""


def id_of(path: Path) -> str:
    return f"{path.parent.name.removeprefix(PREFIX)}-{path.stem}"


def about(data: dict[str, Any]) -> dict[str, str]:
    """What an event is about: an object, a scope, or what it names itself."""
    target = data.get("target") or data.get("scope") or data
    return {
        "cluster": target.get("cluster") or "", "api_group": target.get("group") or "",
        "namespace": target.get("namespace") or "", "name": target.get("name") or data.get("name") or "",
    }  # fmt: skip


def expected_of(event: dict[str, Any]) -> dict[str, Any]:
    data = event["data"]
    plain = {name: data.get(name) or "" for name in TAKEN_AS_THEY_ARE if not isinstance(data.get(name), dict)}
    head = {
        "event_id": event["id"], "event_type": event["type"].removeprefix(PREFIX), "source": event["source"],
        "subject": event["subject"], "correlation_id": event["correlationid"],
        "causation_id": event["causationid"] or "",
    }  # fmt: skip
    return {**head, **about(data), **plain}


def test_every_type_has_an_example() -> None:
    """A type that is added is recorded by this test from its first day on."""
    assert {path.parent.name for path in EXAMPLES} == set(MODELS)


@pytest.mark.parametrize("path", EXAMPLES, ids=id_of)
async def test_an_event_is_found_by_what_it_says(store: ClickHouse, path: Path) -> None:
    """By whom and what it is about, and by every name that leads to other events; the payload is the event itself."""
    event = json.loads(path.read_text(encoding="utf-8"))
    place = Place("b", "setpoint-any", 0)
    made = rows_of(place, record(json.dumps(event).encode(), 1))
    await insert_rows(store, place, Span(1, 1), {EVENTS: [made.event], METRICS: list(made.samples)})
    expected = expected_of(event)
    ((*found, payload),) = await store.query(f"SELECT {', '.join(expected)}, payload FROM events")
    assert dict(zip(expected, found, strict=True)) == expected
    assert json.loads(payload) == event if not made.samples else json.loads(payload)["data"]["samples"] == []
    assert await store.query("SELECT count() FROM metrics") == [(len(event["data"].get("samples", ())),)]
