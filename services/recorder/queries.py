"""The SQL that commands ask of the record, as named functions. Values travel as parameters, never inside the text."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas.base import rfc3339

ANY_GROUP = "*"


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


STORY = (
    "event_time", "what", "detail", "who", "event_type", "subject", "state", "engine", "manager", "managers", "users",
    "people", "paths", "baseline", "revision", "alert", "severity", "policy", "mode", "action", "acted_on", "step",
    "undoes", "verdict", "reason", "outcome", "message", "words", "sequence", "onset", "plan_ms", "apply_ms",
    "verify_ms", "resumed", "alert_id", "approval_id", "action_id", "correlation_id", "topic", "kafka_offset",
)  # fmt: skip
IN_TURN = ("event_time", "place", "kafka_offset")
"""Written in one transaction, a decision and its action carry one time: `place` puts the cause first."""


def timeline(target: TargetPattern, since: datetime, until: datetime, limit: int) -> Query:
    """Everything that happened to an object in that time, the newest `limit` of it, in order.

    Where it was acted on because of an alert about something else (its pod), the whole of that alert's story belongs.
    """
    about = "cluster = {cluster:String}, api_group = {group:String}, kind = {kind:String}"
    named = "namespace = {namespace:String}, name = {name:String}, since = {since:String}, until = {until:String}"
    backwards = ", ".join(f"{column} DESC" for column in IN_TURN)
    return Query(
        f"SELECT {', '.join(STORY)} FROM (SELECT {', '.join(STORY)}, place FROM timeline({about}, {named}) "
        f"ORDER BY {backwards} LIMIT {{limit:UInt32}}) ORDER BY {', '.join(IN_TURN)}",
        {
            "cluster": target.cluster or "",
            "group": ANY_GROUP if target.group is None else target.group,
            "kind": target.kind,
            "namespace": target.namespace,
            "name": target.name,
            "since": _moment(since),
            "until": _moment(until),
            "limit": limit,
        },
    )


def _moment(time: datetime) -> str:
    """A time as a view's parameter is written."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


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


def offsets_between(broker: str, topic: str, partition: int, first: int, last: int, table: str = "events") -> Query:
    """Which offsets of a partition have how many rows in a table, both ends included."""
    return Query(
        f"SELECT kafka_offset, count() AS rows FROM {table} WHERE broker = {{broker:String}} "
        "AND topic = {topic:String} AND kafka_partition = {partition:UInt16} "
        "AND kafka_offset BETWEEN {first:UInt64} AND {last:UInt64} GROUP BY kafka_offset",
        {"broker": broker, "topic": topic, "partition": partition, "first": first, "last": last},
    )


def recorded_at(broker: str, topic: str, offsets: Sequence[int]) -> Query:
    """Which of these offsets of a topic have a row, in whichever partition."""
    return Query(
        "SELECT DISTINCT kafka_partition, kafka_offset FROM events WHERE broker = {broker:String} "
        "AND topic = {topic:String} AND kafka_offset IN {offsets:Array(UInt64)}",
        {"broker": broker, "topic": topic, "offsets": list(offsets)},
    )


def unfinished_actions() -> Query:
    """Actions that were started and have no end yet."""
    return Query("SELECT subject, policy, attempt, begun_at, action_id FROM actions WHERE outcome = '' "
                 "ORDER BY begun_at", {})  # fmt: skip


def _where(cluster: str | None, namespace: str | None) -> tuple[str, dict[str, Any]]:
    given = {name: value for name, value in (("cluster", cluster), ("namespace", namespace)) if value is not None}
    conditions = " AND ".join(f"{name} = {{{name}:String}}" for name in given)
    return (f"WHERE {conditions}" if given else ""), dict(given)
