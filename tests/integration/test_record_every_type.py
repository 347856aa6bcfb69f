"""Every event of every type that is released, recorded: nothing is refused, and what queries stand on is in columns."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import MODELS, PREFIX
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.migrations import migrate
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse, open_store
from services.recorder.tables import EVENTS, METRICS
from tests.integration.recorder_parts import engine_folder
from tests.unit.test_recorder_rows import record

__all__ = ["engine_folder"]
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


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def recorded(engine_folder: Path) -> AsyncIterator[ClickHouse]:
    """All of them; the offset of each is its place in the list."""
    store, place = await open_store(f"chdb://{engine_folder}?database=every_type"), Place("b", "setpoint-any", 0)
    await migrate(store)
    for offset, path in enumerate(EXAMPLES):
        made = rows_of(place, record(path.read_bytes(), offset))
        await insert_rows(store, place, Span(offset, offset), {EVENTS: [made.event], METRICS: list(made.samples)})
    yield store
    await store.close()


@pytest.mark.parametrize("path", EXAMPLES, ids=id_of)
async def test_an_event_is_found_by_what_it_says(recorded: ClickHouse, path: Path) -> None:
    """By whom and what it is about, and by every name that leads to other events."""
    expected, offset = expected_of(json.loads(path.read_text(encoding="utf-8"))), EXAMPLES.index(path)
    columns = ", ".join(expected)
    rows = await recorded.query(f"SELECT {columns} FROM events WHERE kafka_offset = {offset}")
    assert [dict(zip(expected, row, strict=True)) for row in rows] == [expected]


@pytest.mark.parametrize("path", EXAMPLES, ids=id_of)
async def test_the_event_itself_is_kept(recorded: ClickHouse, path: Path) -> None:
    """Byte for byte; the samples of metrics are rows of their own instead."""
    offset, event = EXAMPLES.index(path), json.loads(path.read_text(encoding="utf-8"))
    samples = event["data"].pop("samples", [])
    ((payload,),) = await recorded.query(f"SELECT payload FROM events WHERE kafka_offset = {offset}")
    kept = json.loads(payload)
    assert kept["data"].pop("samples", []) == []
    assert kept == event
    assert samples or payload == path.read_text(encoding="utf-8")
    found = await recorded.query(f"SELECT name, value FROM metrics WHERE kafka_offset = {offset} ORDER BY sample")
    assert found == [(sample["name"], sample["value"]) for sample in samples]
