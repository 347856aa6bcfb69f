"""What the views say of a small crafted history, against what was put into it, counted by hand."""

import itertools
import re
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord

from schemas.alerts import AlertFired, AlertResolved, Severity
from schemas.approvals import ApprovalRequested
from schemas.events import (
    ActionFinished,
    ActionStarted,
    DecisionMade,
    Mode,
    Outcome,
    Reason,
    TriggerRef,
    Verdict,
)
from schemas.topics import TopicName
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS
from services.runtime.deadletters import dead_letter
from tests.crafted import NOON_MS, Told, change, put, target
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.recording import NOON

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
HOUR = 3600
PAGE = Path(__file__).parents[2] / "docs" / "history.md"


def fired(alert: str, seconds: float, severity: Severity = Severity.WARNING) -> Told:
    data = AlertFired(
        alert_id=alert, target=target(), source="falco", sender="east", name="Shell", severity=severity, lasting=True,
        onset=NOON, fired_at=NOON,
    )  # fmt: skip
    return Told(data, seconds, correlation=alert)


def resolved(alert: str, seconds: float) -> Told:
    data = AlertResolved(
        alert_id=alert, target=target(), source="falco", sender="east", name="Shell", onset=NOON, resolved_at=NOON
    )
    return Told(data, seconds, correlation=alert)


def decided(alert: str | None, seconds: float, verdict: Verdict, reason: Reason, message: str = "") -> Told:
    data = DecisionMade(
        decision_id=f"d{seconds}", target=target(), trigger=TriggerRef(type="alert.fired", id="e"), alert_id=alert,
        policy="restart", mode=Mode.ENFORCE, verdict=verdict, reason=reason, message=message,
    )  # fmt: skip
    return Told(data, seconds, correlation=alert or "c1")


def asked(alert: str, seconds: float) -> Told:
    data = ApprovalRequested(
        approval_id=f"q-{alert}", target=target(), decision_id="d", alert_id=alert, policy="restart", action="restart",
        plan="p", plan_hash="h", asked_at=NOON, ends_at=NOON + timedelta(hours=1),
    )  # fmt: skip
    return Told(data, seconds, correlation=alert)


def started(alert: str, seconds: float, undoes: str | None = None) -> Told:
    data = ActionStarted(
        action_id=f"x-{alert}-{seconds}", decision_id="d", target=target(), alert_id=alert, action="restart",
        policy="restart", attempt=1, undoes=undoes,
    )  # fmt: skip
    return Told(data, seconds, correlation=alert)


def finished(alert: str, seconds: float, outcome: Outcome, undoes: str | None = None) -> Told:
    data = ActionFinished(
        action_id=f"x-{alert}-{seconds}", target=target(), alert_id=alert, action="restart", policy="restart",
        attempt=1, outcome=outcome, reason=Reason.VERIFIED, started_at=NOON, finished_at=NOON, undoes=undoes,
    )  # fmt: skip
    return Told(data, seconds, correlation=alert)


FUNNEL: dict[str, tuple[list[Told], tuple[Any, ...]]] = {
    "fired": ([fired("fired", 0), fired("fired", 9, Severity.CRITICAL)], (2, 0, 0, 0, 0, 0, "critical", "fired")),
    "denied": ([fired("denied", 0), decided("denied", 1, Verdict.DENY, Reason.COOLDOWN)],
               (1, 1, 0, 0, 0, 0, "warning", "deny")),
    "asked": ([fired("asked", 0), decided("asked", 1, Verdict.ASK, Reason.APPROVAL), asked("asked", 1)],
              (1, 1, 1, 0, 0, 0, "warning", "asked")),
    "acting": ([fired("acting", 0), asked("acting", 1), decided("acting", 2, Verdict.ACT, Reason.APPROVED),
                started("acting", 2)], (1, 1, 1, 1, 1, 0, "warning", "acting")),
    "helped": ([fired("helped", 0), decided("helped", 1, Verdict.ACT, Reason.POLICY), started("helped", 1),
                finished("helped", 2, Outcome.SUCCEEDED), resolved("helped", 60)],
               (1, 1, 0, 0, 1, 1, "warning", "succeeded")),
    "twice": ([fired("twice", 0), decided("twice", 1, Verdict.ACT, Reason.POLICY), started("twice", 1),
               finished("twice", 2, Outcome.INEFFECTIVE), started("twice", 3), finished("twice", 4, Outcome.FAILED)],
              (1, 1, 0, 0, 2, 0, "warning", "failed")),
    "lifted": ([fired("lifted", 0), decided("lifted", 1, Verdict.ACT, Reason.POLICY), started("lifted", 1),
                finished("lifted", 2, Outcome.SUCCEEDED), started("lifted", 900, undoes="x"),
                finished("lifted", 901, Outcome.FAILED, undoes="x")], (1, 1, 0, 0, 1, 1, "warning", "succeeded")),
}  # fmt: skip


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
async def test_the_funnel_says_how_far_an_alert_came(store: ClickHouse, backwards: bool) -> None:
    """Each stage with its count, in whatever order the topics were read; a lift is not what was done about it."""
    told = list(itertools.chain.from_iterable(history for history, _ in FUNNEL.values()))
    await put(store, [*(reversed(told) if backwards else told), resolved("of long ago", 5)])
    columns = "fired, decided, asked, approved, acted, succeeded, severity, stage"
    rows = await store.query(f"SELECT alert_id, {columns} FROM alert_funnel")
    assert {row[0]: row[1:] for row in rows} == {alert: wanted for alert, (_, wanted) in FUNNEL.items()}
    ended = "SELECT alert_id FROM alert_funnel WHERE resolved_at IS NOT NULL"
    assert await store.query(ended) == [("helped",)]


def back_and_forth(*managers: str | None, path: str = "/spec/replicas", begin: float = 0) -> list[Told]:
    return [change(begin + number, manager, path) for number, manager in enumerate(managers)]


async def test_writers_that_change_a_field_back_and_forth_fight(store: ClickHouse) -> None:
    """Six turns of two: four times it went back. Who, about which field, from when to when."""
    await put(store, back_and_forth("argocd", "hpa", "argocd", "hpa", "argocd", "hpa"))
    await put(store, [change(2.5, "kubectl", "/metadata/labels/x")])
    columns = "hour, subject, returns, writers, fields, refused, dateDiff('second', first_at, last_at)"
    ((hour, *rest),) = await store.query(f"SELECT {columns} FROM fights")
    assert hour.replace(tzinfo=UTC) == NOON
    assert rest[1:] == [4, ["argocd", "hpa"], ["/spec/replicas"], 0, 5]


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(back_and_forth(*["hpa"] * 9), id="one writer"),
        pytest.param(back_and_forth("a", "b", "a", "b", "a"), id="three times back"),
        pytest.param(back_and_forth("a", "b", "c", "a", "b", "c", "a", "b", "c"), id="three in a round"),
        pytest.param(back_and_forth("a", None, "a", None, "a", None, "a"), id="nobody knows the other"),
        pytest.param(
            [change(number, "ab"[number % 2], f"/spec/{number % 2}") for number in range(9)], id="fields of their own"
        ),
        pytest.param([change(number * HOUR / 2, "ab"[number % 2]) for number in range(9)], id="two an hour, for hours"),
        pytest.param([decided(None, 1, Verdict.DENY, Reason.COOLDOWN)], id="a refusal for another reason"),
    ],
)
async def test_what_only_looks_like_a_fight_is_none(store: ClickHouse, history: list[Told]) -> None:
    """Work side by side, or a few turns, are how platforms live."""
    await put(store, history)
    assert await store.query("SELECT * FROM fights") == []


async def test_a_refused_correction_is_a_fight_at_once(store: ClickHouse) -> None:
    """The reconciler measured it; its newest words say with whom."""
    refusals = [decided(None, seconds, Verdict.WAIT, Reason.FIGHT, f"hpa {seconds}") for seconds in (1, HOUR, 5)]
    await put(store, [*refusals, change(2, "hpa"), change(-HOUR, "hpa")])
    rows = await store.query("SELECT toHour(hour), refused, returns, message, policy FROM fights ORDER BY hour")
    assert rows == [(12, 2, 0, "hpa 5", "restart"), (13, 1, 0, "hpa 3600", "restart")]


async def test_changes_by_manager_are_those_of_an_hour(store: ClickHouse) -> None:
    """Of all partitions together."""
    shop = target(namespace="shop")
    await put(store, [
        change(0, "helm", on=0), change(1, "helm", on=1), change(2, "kubectl"), change(3, "helm", of=shop),
        change(HOUR, "helm"), change(4, None),
    ])  # fmt: skip
    rows = await store.query(
        "SELECT toHour(hour), namespace, manager, operation, changes, dateDiff('second', first_at, last_at) "
        "FROM changes_by_manager ORDER BY hour, namespace, manager"
    )
    assert rows == [
        (12, "pay", "", "updated", 1, 0), (12, "pay", "helm", "updated", 2, 1), (12, "pay", "kubectl", "updated", 1, 0),
        (12, "shop", "helm", "updated", 1, 0), (13, "pay", "helm", "updated", 1, 0),
    ]  # fmt: skip


async def test_dead_letters_say_where_they_stood(store: ClickHouse) -> None:
    """And why nobody could read them; they count among the hour's events, too."""
    unread = ConsumerRecord("setpoint-drift", 3, 12, NOON_MS, 0, b"k", b"{", 0, 1, 1, ())
    made = dead_letter(unread, "not JSON")
    record = ConsumerRecord("dead", 0, 4, NOON_MS, 0, made.key, made.value, 0, 1, 1, made.headers)
    place = Place("b", TopicName.DEAD_LETTER, 0)
    await insert_rows(store, place, Span(4, 4), {EVENTS: [rows_of(place, record).event]})
    columns = "buried_at, original_topic, original_partition, original_offset, bytes, error"
    ((buried, *rest),) = await store.query(f"SELECT {columns} FROM dead_letters")
    assert buried.replace(tzinfo=UTC) == NOON
    assert rest == ["setpoint-drift", 3, 12, 1, "not JSON"]
    assert await store.query("SELECT event_type, sum(events) FROM events_hourly GROUP BY event_type") == [
        ("record.unreadable.v1", 1)
    ]


async def test_durations_of_an_hour_have_their_mean(store: ClickHouse) -> None:
    """Beside the quantiles, which are of a digest."""
    await put(store, [resolved("a", 10), resolved("b", 20), resolved("c", HOUR + 30)])
    rows = await store.query("SELECT toHour(hour), alert, events, mean_ms, most_ms FROM durations ORDER BY hour")
    assert rows == [(12, "Shell", 2, 15_000, 20_000), (13, "Shell", 1, 3_630_000, 3_630_000)]


async def test_every_view_runs_on_no_rows(store: ClickHouse) -> None:
    """A fresh platform has dashboards, too."""
    views = await store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' AND name != 'timeline'"
    )
    assert len(views) > 12
    for (name,) in views:
        assert await store.query(f"SELECT * FROM {name}") == []


def examples() -> list[str]:
    """Every statement that the page shows."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [statement for block in blocks for statement in re.split(r";\n", block) if statement.strip()]


async def test_the_page_shows_what_runs_and_names_every_table(store: ClickHouse) -> None:
    """A reader copies from it; a view that it does not name is found by nobody."""
    assert len(examples()) > 5
    for statement in examples():
        await store.query(statement)
    pages = [page.read_text(encoding="utf-8") for page in (PAGE, PAGE.with_name("metrics.md")) if page.exists()]
    tables = await store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'MaterializedView'"
    )
    unnamed = [name for (name,) in tables if not any(f"`{name}" in page for page in pages)]
    assert unnamed == []
