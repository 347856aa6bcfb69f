"""Parts of the dashboards' tests: a database with a week in it, and what is going on at its end.

`filled` is a small week, for numbers that Python computes, too; `filled_week` makes one of any size.
"""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest_asyncio

from schemas.approvals import ApprovalRequested
from schemas.base import EventModel, rfc3339
from schemas.events import (
    ChangeObserved,
    DecisionMade,
    DriftDetected,
    DriftState,
    FindingReason,
    MetricSampled,
    Mode,
    Reason,
    Sample,
    TriggerRef,
    Verdict,
    make_event,
)
from schemas.target import Target
from services.recorder.dashboards.macros import Frame, expand, frame
from services.recorder.dashboards.model import Panel
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.migrations import migrate
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse, open_store
from services.recorder.tables import EVENTS, METRICS, AuditRow
from tests.unit.test_recorder_rows import KAFKA_TIME, record
from tests.week import SMALL, Week, fill

API = Target(cluster="prod-eu", group="apps", kind="Deployment", namespace="orders-1", name="api")
OFFSETS = count()


@dataclass
class Filled:
    """A migrated database with a week in it. Nothing writes there any more, so each query is asked once."""

    store: ClickHouse
    week: Week
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def frame(self, panel: Panel | None = None, **variables: Sequence[str]) -> Frame:
        """The whole week, as a panel sees it where these values are chosen."""
        given = {"metric": ("setpoint_record_lag",), **variables}
        step = panel.step_s if panel else 60
        return frame(self.week.since, self.week.until + timedelta(minutes=1), step_s=step, variables=given)

    async def rows(self, sql: str, view: Frame | None = None, settings: str = "") -> list[dict[str, Any]]:
        """What a query returns, by column."""
        text = (expand(sql, view) if view else sql) + settings
        if text not in self.answers:
            result = await self.store._call(self.store.client.query, text)
            self.answers[text] = [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]
        return self.answers[text]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(engine_folder: Path) -> AsyncIterator[Filled]:
    """One small week for all tests of a module: none of them writes."""
    async with filled_week(engine_folder, SMALL) as made:
        yield made


@asynccontextmanager
async def filled_week(engine_folder: Path, scale: float) -> AsyncIterator[Filled]:
    """A week of this size (`tests.week.fill`), in a database of its own, and what is going on at its end."""
    store = await open_store(f"chdb://{engine_folder}?database=week")
    try:
        await migrate(store)
        week = await fill(store, scale=scale)
        await put(store, week.until, *going_on(week.until))
        for turn in range(7):
            await put(store, week.until + timedelta(milliseconds=turn), back_and_forth(week.until, turn))
        await from_prometheus(store, week.until)
        await bury(store, week.until)
        yield Filled(store, week)
    finally:
        await store.close()


def going_on(now: datetime) -> list[EventModel]:
    """What a generated week may end without: a question, a verdict that cannot be had, a fight, unreadable records."""
    return [
        DriftDetected(
            target=API, drift_id="d-unjudged", baseline="shop", state=DriftState.UNJUDGED, engine="local",
            reason=FindingReason.FORBIDDEN, message="may not be patched", onset=now - timedelta(hours=3),
            detected_at=now - timedelta(hours=3), resource_version="1",
        ),
        DecisionMade(
            decision_id="n-fight", target=API, trigger=TriggerRef(type="drift.detected", id="e"), policy="heal",
            mode=Mode.ENFORCE, verdict=Verdict.DENY, reason=Reason.FIGHT, message="kubectl-edit changes it back",
        ),
        ApprovalRequested(
            approval_id="q-open", target=API, decision_id="n-1", policy="heal", action="restart", why="drift",
            plan="rolls 3 pods", plan_hash="h", by=("ana",), asked_at=now, ends_at=now + timedelta(minutes=9),
        ),
        *(
            MetricSampled(source="recorder", samples=_recorder(now - timedelta(minutes=10 - 5 * step), step))
            for step in range(3)
        ),
    ]  # fmt: skip


def back_and_forth(now: datetime, turn: int) -> ChangeObserved:
    """Two writers of one field, by turns."""
    return ChangeObserved(
        target=API, operation="updated", resource_version=str(turn), paths=("/spec/replicas",),
        manager=("kubectl-edit", "setpoint")[turn % 2], time=now,
    )  # fmt: skip


def _recorder(time: datetime, step: int) -> tuple[Sample, ...]:
    """One recorder falls behind; another was there at first, and is gone."""
    labels = {"topic": "setpoint-alerts", "instance": "recorder-8"}
    gone = Sample(name="setpoint_record_lag", value=7_000.0, time=time, labels=labels | {"instance": "recorder-9"})
    return (
        Sample(name="setpoint_dead_letters_total", value=2.0 * step, time=time, labels=labels),
        Sample(name="setpoint_record_lag", value=20_000.0 * step, time=time, labels=labels),
        Sample(name="setpoint_loop_errors_total", value=float(step), time=time, labels=labels),
        *((gone,) if step == 0 else ()),
    )


async def from_prometheus(store: ClickHouse, now: datetime) -> None:
    """A counter of two series, an hour of it, as remote write brings it."""
    await store.command(
        "INSERT INTO series (name, sender, series_id, month, labels) SELECT 'http_requests_total', 'prometheus', "
        f"number, toStartOfMonth(toDateTime({int(now.timestamp())}, 'UTC')), map('code', toString(200 + number)) "
        "FROM numbers(2)"
    )
    await store.command(
        "INSERT INTO samples (name, series_id, time, value) SELECT 'http_requests_total', number % 2, "
        f"toDateTime64({int(now.timestamp())}, 3, 'UTC') - INTERVAL (3600 - 60 * intDiv(number, 2)) SECOND, number "
        "FROM numbers(120)"
    )


async def put(store: ClickHouse, time: datetime, *told: EventModel) -> None:
    """Record these events, all of this time, in a partition of their own."""
    for data in told:
        offset, subject = next(OFFSETS), API.subject
        made = make_event(data, id=f"now-{offset}", source="s", subject=subject, time=time, correlationid="now")
        place = Place("now", "setpoint-drift", 7)
        rows = rows_of(place, record(made.model_dump_json().encode(), offset))
        await insert_rows(store, place, Span(offset, offset), {EVENTS: [rows.event], METRICS: list(rows.samples)})


async def bury(store: ClickHouse, time: datetime) -> None:
    """Record that a record could not be read."""
    offset = next(OFFSETS)
    data = {"topic": "setpoint-alerts", "partition": 3, "offset": 41, "bytes": 9, "message": "not JSON"}
    event = {"type": "dev.setpoint.record.unreadable.v1", "id": f"now-{offset}", "time": rfc3339(time), "data": data}
    row = AuditRow(json.dumps(event).encode(), "now", "setpoint-dead-letter", 7, offset, KAFKA_TIME)
    await insert_rows(store, Place("now", "setpoint-dead-letter", 7), Span(offset, offset), {EVENTS: [row]})
