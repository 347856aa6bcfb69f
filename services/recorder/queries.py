"""The SQL that commands ask of the record, as named functions. Values travel as parameters, never inside the text."""

from datetime import datetime
from typing import Any, NamedTuple

from schemas.base import rfc3339
from schemas.target import CLUSTER_SCOPED, CORE


class Query(NamedTuple):
    """A SELECT and its parameters."""

    sql: str
    parameters: dict[str, Any]


class TargetPattern(NamedTuple):
    """Which objects a timeline is about. None matches any; `kind` is compared without case."""

    kind: str
    namespace: str
    name: str
    cluster: str | None = None
    group: str | None = None


COLUMNS_OF_A_STORY = (
    "event_time, event_type, subject, state, engine, manager, managers, users, people, paths, baseline, revision, "
    "alert, severity, policy, mode, action, acted_on, step, undoes, verdict, reason, outcome, message, words, "
    "sequence, onset, plan_ms, apply_ms, verify_ms, resumed, alert_id, approval_id, action_id, correlation_id"
)
CAUSES_FIRST = (
    "setpoint-actions", "setpoint-approvals", "setpoint-decisions", "setpoint-alerts", "setpoint-changes",
)  # fmt: skip
"""Written in one transaction, a decision and its action carry one time: the cause goes first, which is last here."""


def timeline(target: TargetPattern, since: datetime, limit: int) -> Query:
    """Everything that happened to an object since then, the newest `limit` of it, in order.

    Where it was acted on because of an alert about something else (its pod), the whole of that alert's story belongs.
    """
    itself, parameters = _about(target)
    acted_on = _acted_on(target)
    recent = "event_time >= parseDateTime64BestEffort({since:String}, 6)"
    told = f"SELECT correlation_id FROM events WHERE {recent} AND acted_on != '' AND {acted_on}"
    asked = (
        "SELECT approval_id FROM events WHERE event_type = 'approval.requested.v1' "
        f"AND ({itself} OR correlation_id IN ({told}))"
    )
    return Query(
        f"SELECT * FROM (SELECT {COLUMNS_OF_A_STORY}, topic, kafka_offset FROM events WHERE {recent} AND ({itself} "
        f"OR correlation_id IN ({told}) OR (approval_id != '' AND approval_id IN ({asked}))) "
        "ORDER BY event_time DESC, topic DESC, kafka_offset DESC LIMIT {limit:UInt32}) "
        f"ORDER BY event_time, indexOf({list(CAUSES_FIRST)}, topic) DESC, kafka_offset",
        parameters | {"since": rfc3339(since), "limit": limit},
    )


def _about(target: TargetPattern) -> tuple[str, dict[str, Any]]:
    """Events whose own target it is."""
    conditions = ["lower(kind) = lower({kind:String})", "namespace = {namespace:String}", "name = {name:String}"]
    parameters: dict[str, Any] = {"kind": target.kind, "namespace": target.namespace, "name": target.name}
    if target.cluster is not None:
        conditions.append("cluster = {cluster:String}")
        parameters["cluster"] = target.cluster
    if target.group is not None:
        conditions.append("api_group = {group:String}")
        parameters["group"] = target.group
    return f"({' AND '.join(conditions)})", parameters


def _acted_on(target: TargetPattern) -> str:
    """The same of what was acted on, which is written as subjects are; a cluster's name may have slashes of its own."""
    parts = "splitByChar('/', acted_on)"
    conditions = [
        f"lower({parts}[-3]) = lower({{kind:String}})",
        f"{parts}[-2] = if({{namespace:String}} = '', '{CLUSTER_SCOPED}', {{namespace:String}})",
        f"{parts}[-1] = {{name:String}}",
    ]
    if target.cluster is not None:
        conditions.append("startsWith(acted_on, concat({cluster:String}, '/'))")
        conditions.append(f"length({parts}) = length(splitByChar('/', {{cluster:String}})) + 4")
    if target.group is not None:
        conditions.append(f"{parts}[-4] = if({{group:String}} = '', '{CORE}', {{group:String}})")
    return " AND ".join(conditions)


def drifts(*, closed: bool, cluster: str | None, namespace: str | None, limit: int) -> Query:
    """Drifts that are open, with `closed` also those that are over; the newest first."""
    conditions, parameters = _where(cluster, namespace)
    return Query(
        "SELECT subject, cluster, api_group, kind, namespace, name, baseline, state, engine, onset, detected_at, "
        f"cleared_at, fields, managers, users, reason, message, revision, cleared_reason, cleared_by, drift_id "
        f"FROM {'drift_intervals' if closed else 'open_drifts'} {conditions} "
        "ORDER BY detected_at DESC LIMIT {limit:UInt32}",
        parameters | {"limit": limit},
    )


def drift_outcomes(since: datetime) -> Query:
    """How drifts ended: by the last action's outcome, or by themselves."""
    return Query(
        "SELECT multiIf(cleared_at IS NULL, 'open', outcome = '', 'cleared without an action', outcome) AS ended, "
        "toUInt32(count()) AS drifts FROM time_to_correct "
        "WHERE detected_at >= parseDateTime64BestEffort({since:String}, 6) GROUP BY ended ORDER BY drifts DESC, ended",
        {"since": rfc3339(since)},
    )


def decisions_by_reason(since: datetime) -> Query:
    """How often each policy said what, and why."""
    return Query(
        "SELECT verdict, reason, policy, toUInt32(count()) AS times FROM decisions "
        "WHERE decided_at >= parseDateTime64BestEffort({since:String}, 6) "
        "GROUP BY verdict, reason, policy ORDER BY times DESC, verdict, reason, policy",
        {"since": rfc3339(since)},
    )


def correction_times(since: datetime) -> Query:
    """Milliseconds from a drift's detection to its end, of drifts that an action corrected."""
    return Query(
        "SELECT namespace, toUInt32(count()) AS corrected, "
        "round(quantileExact(0.5)(correct_ms), 1) AS p50_ms, round(quantileExact(0.95)(correct_ms), 1) AS p95_ms, "
        "round(quantileExact(0.99)(correct_ms), 1) AS p99_ms FROM time_to_correct "
        "WHERE outcome = 'succeeded' AND cleared_at IS NOT NULL "
        "AND detected_at >= parseDateTime64BestEffort({since:String}, 6) GROUP BY namespace ORDER BY namespace",
        {"since": rfc3339(since)},
    )


def changes_by_manager(since: datetime) -> Query:
    """Who changed watched objects, and how often."""
    return Query(
        "SELECT manager, operation, toUInt32(count()) AS changes, toUInt32(uniqExact(subject)) AS objects FROM changes "
        "WHERE changed_at >= parseDateTime64BestEffort({since:String}, 6) "
        "GROUP BY manager, operation ORDER BY changes DESC, manager, operation",
        {"since": rfc3339(since)},
    )


def completeness() -> Query:
    """Each partition's record, by offsets."""
    return Query("SELECT * FROM completeness ORDER BY broker, topic, kafka_partition", {})


def offsets_between(broker: str, topic: str, partition: int, first: int, last: int) -> Query:
    """Which offsets of a partition have how many rows, both ends included."""
    return Query(
        "SELECT kafka_offset, count() AS rows FROM events WHERE broker = {broker:String} AND topic = {topic:String} "
        "AND kafka_partition = {partition:UInt16} AND kafka_offset BETWEEN {first:UInt64} AND {last:UInt64} "
        "GROUP BY kafka_offset",
        {"broker": broker, "topic": topic, "partition": partition, "first": first, "last": last},
    )


def unfinished_actions() -> Query:
    """Actions that were started and have no end yet."""
    return Query("SELECT subject, policy, attempt, begun_at, action_id FROM actions WHERE outcome = '' "
                 "ORDER BY begun_at", {})  # fmt: skip


def _where(cluster: str | None, namespace: str | None) -> tuple[str, dict[str, Any]]:
    given = {name: value for name, value in (("cluster", cluster), ("namespace", namespace)) if value is not None}
    conditions = " AND ".join(f"{name} = {{{name}:String}}" for name in given)
    return (f"WHERE {conditions}" if given else ""), dict(given)
