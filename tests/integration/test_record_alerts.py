"""Alerts, approvals and what was done about them, as columns, views and timelines."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from schemas.alerts import AlertFired, AlertResolved, Severity
from schemas.approvals import (
    AnswerKind,
    ApprovalAnswered,
    ApprovalClosed,
    ApprovalEnd,
    ApprovalRefused,
    ApprovalRequested,
    RefusedAnswer,
)
from schemas.base import EventModel
from schemas.events import (
    ActionFinished,
    ActionStarted,
    DecisionMade,
    EvidenceKept,
    Mode,
    Outcome,
    PeopleTold,
    Reason,
    TriggerRef,
    Verdict,
    make_event,
)
from schemas.target import Target
from services.cli.timeline import entry
from services.recorder.intents import Place, Span
from services.recorder.keep import insert_rows
from services.recorder.migrations import all_migrations, migrate
from services.recorder.queries import STORY as STORY_COLUMNS
from services.recorder.queries import TargetPattern, timeline
from services.recorder.rows import rows_of
from services.recorder.store import ClickHouse
from services.recorder.tables import EVENTS
from tests.integration.recorder_parts import empty_store, engine_folder, store
from tests.recording import NOON
from tests.unit.test_recorder_rows import record

__all__ = ["empty_store", "engine_folder", "store"]
pytestmark = pytest.mark.integration
CLUSTER = "arn:aws:eks:1:2:cluster/east"
POD = Target(cluster=CLUSTER, group="", kind="Pod", namespace="pay", name="api-1")
API = Target(cluster=CLUSTER, group="apps", kind="Deployment", namespace="pay", name="api")
NODE = Target(cluster=CLUSTER, group="", kind="Node", namespace="", name="n1")
TOPICS = {"alert": "setpoint-alerts", "decision": "setpoint-decisions", "approval": "setpoint-approvals"}
OFFSETS = count()


async def put(store: ClickHouse, *told: tuple[EventModel, float]) -> None:
    """Record what was told, so many seconds after noon, as events of the alert `a1`."""
    for data, seconds in told:
        offset, time = next(OFFSETS), NOON + timedelta(seconds=seconds)
        target = getattr(data, "target", POD)
        made = make_event(
            data, id=f"e{offset}", source="s", subject=target.subject, time=time,
            correlationid="q1" if isinstance(data, ApprovalAnswered) else "a1",
        )  # fmt: skip
        place = Place("b", TOPICS.get(made.type.split(".")[2], "setpoint-actions"), 1)
        row = rows_of(place, record(made.model_dump_json().encode(), offset)).event
        await insert_rows(store, place, Span(offset, offset), {EVENTS: [row]})


def fired(alert_id: str = "a1", *, lasting: bool = True, severity: Severity = Severity.WARNING) -> AlertFired:
    return AlertFired(
        alert_id=alert_id, target=POD, source="alertmanager", sender="east", name="CrashLooping", severity=severity,
        lasting=lasting, onset=NOON - timedelta(seconds=5), fired_at=NOON, labels={"team.x/y": "pay"},
        summary="it is 'crash looping'",
    )  # fmt: skip


def resolved() -> AlertResolved:
    return AlertResolved(
        alert_id="a1", target=POD, source="alertmanager", sender="east", name="CrashLooping",
        onset=NOON - timedelta(seconds=5), resolved_at=NOON,
    )  # fmt: skip


def decision(id: str, verdict: Verdict, reason: Reason, subject: Target | None = API) -> DecisionMade:
    return DecisionMade(
        decision_id=id, target=POD, trigger=TriggerRef(type="alert.fired", id="e0"), alert_id="a1", policy="restart",
        mode=Mode.ENFORCE, verdict=verdict, reason=reason, action="restart", subject=subject,
    )  # fmt: skip


def requested() -> ApprovalRequested:
    return ApprovalRequested(
        approval_id="q1", target=POD, decision_id="d1", alert_id="a1", policy="restart", action="restart",
        why="CrashLooping", plan="rolls 3 pods", plan_hash="h", by=("ann", "group:sre"), count=2,
        asked_at=NOON, ends_at=NOON + timedelta(minutes=30),
    )  # fmt: skip


def answer(by: str) -> ApprovalAnswered:
    return ApprovalAnswered(
        approval_id="q1", cluster=CLUSTER, answer=AnswerKind.APPROVE, by=by, via="http", at=NOON
    )  # fmt: skip


def refused(by: str) -> ApprovalRefused:
    why = RefusedAnswer.NOT_AN_APPROVER
    return ApprovalRefused(approval_id="q1", target=POD, by=by, via="http", at=NOON, why=why)


def closed(outcome: ApprovalEnd = ApprovalEnd.APPROVED) -> ApprovalClosed:
    return ApprovalClosed(approval_id="q1", target=POD, outcome=outcome, by=("ann", "bob"), at=NOON, note="go")


def started(id: str = "x1", undoes: str | None = None, step: int = 0) -> ActionStarted:
    return ActionStarted(
        action_id=id, decision_id="d2", target=POD, alert_id="a1", subject=API, action="restart", policy="restart",
        attempt=1, step=step, undoes=undoes,
    )  # fmt: skip


def finished(id: str = "x1", outcome: Outcome = Outcome.INEFFECTIVE) -> ActionFinished:
    return ActionFinished(
        action_id=id, target=POD, alert_id="a1", subject=API, action="restart", policy="restart", attempt=1,
        outcome=outcome, reason=Reason.NOT_VERIFIED, started_at=NOON, finished_at=NOON,
    )  # fmt: skip


STORY: tuple[tuple[EventModel, float], ...] = (
    (fired(), 0), (decision("d1", Verdict.ASK, Reason.APPROVAL), 0.01), (requested(), 0.01), (answer("mallory"), 3),
    (refused("mallory"), 3.01), (answer("ann"), 4), (answer("bob"), 5), (closed(), 5.01),
    (decision("d2", Verdict.ACT, Reason.APPROVED), 5.02), (started(), 5.02), (finished(), 6.02), (resolved(), 60),
)  # fmt: skip


async def test_an_alert_told_again_is_one_with_repeats(store: ClickHouse) -> None:
    """Its life is open until it is resolved; severity and words are the newest; labels keep their dots and slashes."""
    await put(store, (fired(), 0), (fired(severity=Severity.CRITICAL), 9))
    columns = "alert_id, subject, cluster, alert, source, severity, repeats, summary, labels, resolved_at"
    assert await store.query(f"SELECT {columns} FROM open_alerts") == [
        ("a1", POD.subject, CLUSTER, "CrashLooping", "alertmanager", "critical", 1, "it is 'crash looping'",
         {"team.x/y": "pay"}, None),
    ]  # fmt: skip
    await put(store, (resolved(), 60))
    assert await store.query("SELECT * FROM open_alerts") == []
    lived = "dateDiff('second', onset, resolved_at), dateDiff('second', fired_at, last_fired_at), repeats, lasting"
    assert await store.query(f"SELECT {lived} FROM alerts") == [(65, 9, 1, 1)]


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([(fired(lasting=False), 0)], id="of a moment"),
        pytest.param([(resolved(), 0), (fired(), 1)], id="resolved first"),
        pytest.param([(resolved(), 0)], id="only the end was told"),
    ],
)
async def test_what_has_no_end_to_come_is_not_open(store: ClickHouse, told: list[tuple[EventModel, float]]) -> None:
    """A list of open alerts in which some can never end would be read by nobody."""
    await put(store, *told)
    assert await store.query("SELECT count() FROM alerts") == [(1,)]
    assert await store.query("SELECT * FROM open_alerts") == []


async def test_a_question_has_its_waiting_time(store: ClickHouse) -> None:
    """Open until it is closed; then who answered, how many answers did not count, and how long people took."""
    await put(store, *STORY[:5])
    (asked,) = await store.query("SELECT policy, action, why, asked_of, needed, waited_ms, outcome FROM open_approvals")
    assert asked == ("restart", "restart", "CrashLooping", ["ann", "group:sre"], 2, None, "")
    await put(store, *STORY[5:])
    assert await store.query("SELECT * FROM open_approvals") == []
    columns = "subject, cluster, alert_id, decision_id, plan, outcome, answered_by, answers, refused, waited_ms, note"
    assert await store.query(f"SELECT {columns} FROM approvals") == [
        (POD.subject, CLUSTER, "a1", "d1", "rolls 3 pods", "approved", ["ann", "bob"], 3, 1, 5000.0, "go"),
    ]  # fmt: skip
    ((ends,),) = await store.query("SELECT ends_at FROM approvals")
    assert ends.replace(tzinfo=UTC) == NOON + timedelta(minutes=30)


async def test_an_action_says_what_it_answered_and_what_it_was_done_to(store: ClickHouse) -> None:
    """The target stays the alert's; the object that was acted on stands beside it, as subjects are written."""
    lift = started("x2", undoes="x1", step=2)
    on_node = started("x3").model_copy(update={"subject": NODE})
    on_itself = started("x4").model_copy(update={"subject": None})
    await put(store, *STORY, (lift, 90), (on_node, 91), (on_itself, 92))
    columns = "action_id, subject, acted_on, action, alert_id, step, undoes, outcome"
    assert await store.query(f"SELECT {columns} FROM actions ORDER BY action_id") == [
        ("x1", POD.subject, API.subject, "restart", "a1", 0, "", "ineffective"),
        ("x2", POD.subject, API.subject, "restart", "a1", 2, "x1", ""),
        ("x3", POD.subject, NODE.subject, "restart", "a1", 0, "", ""),
        ("x4", POD.subject, "", "restart", "a1", 0, "", ""),
    ]
    assert await store.query("SELECT verdict, alert_id, action, acted_on FROM decisions ORDER BY decided_at") == [
        ("ask", "a1", "restart", API.subject), ("act", "a1", "restart", API.subject),
    ]  # fmt: skip


async def test_one_alert_from_firing_to_its_end(store: ClickHouse) -> None:
    """When it was decided, how long people took, and how long until it was done; a lift counts as no action of it."""
    await put(store, *STORY, (started("x2", undoes="x1"), 3600))
    columns = "policy, action, actions, outcome, decide_ms, waited_ms, act_ms, total_ms"
    assert await store.query(f"SELECT {columns} FROM time_to_act") == [
        ("restart", "restart", 1, "ineffective", 10, 5000, 1000, 6020),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "times"),
    [
        pytest.param(TargetPattern("pod", "pay", "api-1"), 12, id="what the alert is about"),
        pytest.param(TargetPattern("deployment", "pay", "api"), 12, id="what is acted on"),
        pytest.param(TargetPattern("Deployment", "pay", "api", CLUSTER, "apps"), 12, id="in full"),
        pytest.param(TargetPattern("Deployment", "pay", "api", CLUSTER, ""), 0, id="of another group"),
        pytest.param(TargetPattern("Deployment", "pay", "api", "arn:aws:eks:1:2:cluster", "apps"), 0, id="elsewhere"),
        pytest.param(TargetPattern("Deployment", "other", "api"), 0, id="in another namespace"),
    ],
)
async def test_the_timeline_tells_the_whole_story(store: ClickHouse, pattern: TargetPattern, times: int) -> None:
    """Of the alert's object and of the one that was acted on: every answer, also one that came by HTTP, in order."""
    await put(store, *reversed(STORY))
    assert [row["event_type"] for row in await read(store, pattern)] == [
        "alert.fired.v1", "decision.made.v1", "approval.requested.v1", "approval.answered.v1", "approval.refused.v1",
        "approval.answered.v1", "approval.answered.v1", "approval.closed.v1", "decision.made.v1", "action.started.v1",
        "action.finished.v1", "alert.resolved.v1",
    ][:times]  # fmt: skip


async def test_a_cluster_scoped_object_has_its_story_too(store: ClickHouse) -> None:
    """Its namespace is empty in one column and `_` in the other."""
    await put(store, (fired(), 0), (started().model_copy(update={"subject": NODE}), 1))
    assert len(await read(store, TargetPattern("node", "", "n1"))) == 2


async def read(store: ClickHouse, pattern: TargetPattern) -> list[dict[str, object]]:
    """The timeline's rows."""
    query = timeline(pattern, datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), 100)
    rows = await store.query(query.sql, query.parameters)
    return [dict(zip(STORY_COLUMNS, row, strict=True)) for row in rows]


async def test_a_story_reads_as_sentences(store: ClickHouse) -> None:
    """As `setpoint timeline` prints it: what, in which words, by whom."""
    evidence = EvidenceKept(action_id="x0", target=POD, what="log", name="app", text="secret-free", taken_at=NOON)
    told = PeopleTold(action_id="x9", target=POD, policy="restart", to="#sre", message="it did not help", at=NOON)
    await put(store, *STORY, (evidence, 61), (told, 62), (started("x2", undoes="x1"), 63))
    rows = [entry(row) for row in await read(store, TargetPattern("pod", "pay", "api-1"))]
    assert [(row["what"], row["detail"], row["by"]) for row in rows] == [
        ("alert warning", "CrashLooping: it is 'crash looping'", ""),
        ("decision ask", f"approval (policy restart, enforce, restart on {API.subject})", ""),
        ("approval asked", "restart by policy restart, question q1", "ann, group:sre"),
        ("approval answered", "approve, question q1", "mallory"),
        ("answer refused", "not-an-approver, question q1", "mallory"),
        ("approval answered", "approve, question q1", "ann"),
        ("approval answered", "approve, question q1", "bob"),
        ("approval approved", "question q1: go", "ann, bob"),
        ("decision act", f"approved (policy restart, enforce, restart on {API.subject})", ""),
        ("action started", f"attempt 1 of policy restart, restart on {API.subject}", ""),
        ("action ineffective",
         f"not-verified (plan 0 ms, apply 0 ms, verify 0 ms, restart on {API.subject})", ""),
        ("alert resolved", "CrashLooping after 65 s", ""),
        ("evidence kept", "log app", ""),
        ("people told", "it did not help", "#sre"),
        ("action started", f"attempt 1 of policy restart, restart on {API.subject}, takes back x1", ""),
    ]  # fmt: skip


async def test_rows_from_before_have_no_alert_and_their_action(empty_store: ClickHouse) -> None:
    """A filled database of an earlier schema: what was written before is read with the new columns, and stays right."""
    await migrate(empty_store, all_migrations()[:3])
    before = started().model_copy(update={"alert_id": None, "subject": None, "action": "revert"})
    await put(empty_store, (before, 0))
    await migrate(empty_store)
    await put(empty_store, (started("x2"), 1), (fired(), 2))
    assert await empty_store.query("SELECT action_id, action, alert_id, acted_on FROM actions ORDER BY action_id") == [
        ("x1", "revert", "", ""), ("x2", "restart", "a1", API.subject),
    ]  # fmt: skip
    assert await empty_store.query("SELECT alert_id, repeats FROM open_alerts") == [("a1", 0)]
