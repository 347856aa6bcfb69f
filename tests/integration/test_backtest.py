"""The recorded past, read back from the real engine and played again."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from schemas.base import EventModel
from schemas.events import (
    ControlKind,
    ControlRemoved,
    ControlSet,
    DecisionMade,
    Event,
    Mode,
    Reason,
    Scope,
    TriggerRef,
    Verdict,
    make_event,
)
from services.cli.policy_backtest import read_past, read_triggers
from services.local.engine import serve_engine
from services.reconciler.policies.backtest import Report, backtest
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.reader import Reader
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS
from services.recorder.triggers import acted_on, triggers
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.reconciler_kit import NOON, drift
from tests.reconciler_kit import policy as on_drift
from tests.rehearsing import POD, WEB, alert, event, policy, resolved, rules
from tests.unit.test_recorder_rows import record

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
OFFSETS = count()
OTHER = WEB.model_copy(update={"cluster": "c2"})


async def put(store: ClickHouse, *told: tuple[EventModel, float]) -> None:
    """Record what was told, so many seconds after noon."""
    for data, seconds in told:
        offset = next(OFFSETS)
        at = NOON + timedelta(seconds=seconds)
        made = event(data, at) if hasattr(data, "target") else _control(data, at)
        place = Place("b", "setpoint-alerts", 1)
        row = rows_of(place, record(made.model_dump_json().encode(), offset)).event
        await insert_rows(store, place, Span(offset, offset), {EVENTS: [row]})


def _control(data: Any, at: datetime) -> Event[Any]:
    return make_event(data, id=f"c{at}", source="s", subject=data.scope.cluster, time=at, correlationid="c")


async def played(store: ClickHouse, *policies: Any, since: float = 0.0, cluster: str | None = None) -> Report:
    begins, until = NOON + timedelta(seconds=since), NOON + timedelta(hours=1)
    reader = Reader(store.client)
    rows = await reader.rows(triggers(begins, until, cluster, 1000))
    subjects = {row["alert_id"]: row["subjects"] for row in await reader.rows(acted_on(begins))}
    found, unread = read_triggers(rows, subjects)
    assert unread == 0
    return backtest(rules(*policies), found, since=begins, until=until, bounds={})


def counted(report: Report) -> list[tuple[str, str | None, str | None, int, list[str]]]:
    return [(one.policy, one.verdict, one.reason, one.count, one.targets) for one in report.lines]


def observed() -> DecisionMade:
    """What a policy that only observes had said of the alert at the time."""
    return DecisionMade(
        decision_id="d1", target=POD, trigger=TriggerRef(type="alert.fired", id="e0"), alert_id="a1", policy="old",
        mode=Mode.OBSERVE, verdict=Verdict.OBSERVE, reason=Reason.OBSERVE_MODE, action="restart", subject=OWNER,
    )  # fmt: skip


OWNER = WEB.model_copy(update={"name": "found-by-the-reconciler"})


async def test_the_past_is_played_again(store: ClickHouse) -> None:
    """Drifts and alerts in their order, with the workload that was found for an alert at the time."""
    fired = alert()
    await put(store, (resolved(fired, NOON), 60), (fired, 0), (observed(), 0.5), (drift(at=NOON), 1))
    report = await played(store, policy(mode="observe"), on_drift())
    assert counted(report) == [
        ("heal", "act", "policy", 1, [WEB.subject]), ("restart", "act", "policy", 1, [OWNER.subject])
    ]  # fmt: skip
    assert (report.triggers, report.assumed) == (3, 0)


async def test_only_the_time_and_the_cluster_that_were_asked_for(store: ClickHouse) -> None:
    """Of what was before nothing is known; another cluster's triggers are left out."""
    await put(store, (alert(), 0), (alert("a2", OTHER), 10), (alert("a3", WEB), 20))
    assert (await played(store, policy())).triggers == 3
    assert (await played(store, policy(), since=5)).triggers == 2
    assert counted(await played(store, policy(limits={"oncePer": "2h"}), since=5, cluster="c2")) == [
        ("restart", "act", "policy", 1, [OTHER.subject])
    ]


@pytest.mark.parametrize("lifted", [pytest.param(False, id="still set"), pytest.param(True, id="lifted")])
async def test_a_pause_of_before_still_holds(store: ClickHouse, lifted: bool) -> None:
    """Controls are read from the beginning of the record."""
    scope = Scope(cluster="c1")
    control = ControlSet(kind=ControlKind.PAUSE, name="all", scope=scope, by="ana")
    removal = ControlRemoved(name="all", scope=scope, by="ana")
    await put(store, (control, -86400), *([(removal, -3600)] if lifted else []), (alert(target=WEB), 10))
    (line,) = (await played(store, policy(), since=0)).lines
    assert (line.verdict, line.reason) == (("act", "policy") if lifted else ("wait", "paused"))


async def test_the_past_is_read_where_a_running_platform_serves_it(store: ClickHouse) -> None:
    """Over HTTP, with an account that may only read."""
    await put(store, (alert(), 0), (observed(), 0.5))
    async with serve_engine(store) as url:
        rows, subjects = await read_past(url, NOON, NOON + timedelta(hours=1), None, 10)
    assert [row["cluster"] for row in rows] == ["c1"]
    assert subjects == {"a1": [OWNER.subject]}
