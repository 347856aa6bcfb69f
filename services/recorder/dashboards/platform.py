"""Platform at its setpoint: what is drifting now, since when and by whom; what was fixed; what waits for people."""

from services.recorder.dashboards.common import (
    ALERTS,
    MARKS,
    OBJECTS,
    OF_OBJECT,
    OPEN_ALERTS,
    OPEN_DRIFTS,
    PLATFORM,
    SOME_ARE_ORANGE,
    TO_NAMESPACE,
    TO_OBJECT,
    TO_STORY,
)
from services.recorder.dashboards.model import Colour, Dashboard, Kind, Link, Panel, Row, Threshold, Unit

__all__ = ["DASHBOARD"]
BY = "arrayStringConcat(arrayConcat(managers, users), ', ')"

DRIFTS_OPEN = Panel(
    "Open drifts",
    "Objects that differ from their baseline at this moment, those without a verdict aside",
    Kind.STAT,
    f"SELECT count() AS drifts {OPEN_DRIFTS} AND state != 'unjudged'",
    thresholds=SOME_ARE_ORANGE,
    width=4,
    height=4,
)
UNJUDGED = Panel(
    "Without a verdict",
    "Objects that cannot be compared, or must not be touched; the drift dashboard says why",
    Kind.STAT,
    f"SELECT count() AS drifts {OPEN_DRIFTS} AND state = 'unjudged'",
    width=4,
    height=4,
)
LONGEST = Panel(
    "Open the longest",
    "How long the oldest open drift is there already",
    Kind.STAT,
    "SELECT greatest(dateDiff('second', min(onset), $__toTime), 0) * (count() > 0) AS seconds "
    f"{OPEN_DRIFTS} AND state != 'unjudged'",
    Unit.SECONDS,
    (Threshold(3600, Colour.ORANGE), Threshold(86400, Colour.RED)),
    width=4,
    height=4,
)
CORRECTED = Panel(
    "Corrected",
    "Drifts that an action put right in the time shown, which is a day at first",
    Kind.STAT,
    f"SELECT count() AS drifts FROM time_to_correct "
    f"WHERE outcome = 'succeeded' AND $__timeFilter(cleared_at) AND {OF_OBJECT}",
    width=4,
    height=4,
)
WAITING = Panel(
    "Wait for people",
    "Questions that nobody has answered yet; unanswered, they mean no",
    Kind.STAT,
    f"SELECT count() AS questions FROM open_approvals WHERE ends_at > $__toTime AND {OF_OBJECT}",
    thresholds=SOME_ARE_ORANGE,
    width=4,
    height=4,
)
ALERTS_OPEN = Panel(
    "Open alerts",
    "Alerts that are not resolved yet",
    Kind.STAT,
    f"SELECT count() AS alerts {OPEN_ALERTS}",
    thresholds=SOME_ARE_ORANGE,
    width=4,
    height=4,
)
DRIFTING = Panel(
    "What is drifting now",
    "Since when, which fields, and whose field managers and users hold them; the oldest first",
    Kind.TABLE,
    "SELECT onset, dateDiff('second', onset, $__toTime) AS age_s, subject, state, "
    f"arrayStringConcat(fields, ', ') AS differs, {BY} AS caused_by, baseline, message, "
    f"correlation_id {OPEN_DRIFTS} ORDER BY onset, subject LIMIT 500",
    links=(TO_OBJECT, TO_STORY),
    width=24,
    height=10,
)
QUESTIONS = Panel(
    "What waits for people",
    "Questions by when they end; answer with 'setpoint approve' or 'setpoint deny'",
    Kind.TABLE,
    "SELECT ends_at, asked_at, subject, action, policy, why, arrayStringConcat(asked_of, ', ') AS may_answer, "
    "needed, answers, approval_id, correlation_id FROM open_approvals "
    f"WHERE ends_at > $__toTime AND {OF_OBJECT} ORDER BY ends_at, subject LIMIT 200",
    links=(TO_OBJECT, TO_STORY),
    width=24,
    may_be_empty=True,
)
OPENED_AND_CLOSED = Panel(
    "Drifts found and over",
    "When both grow together, somebody writes against the baseline all the time",
    Kind.TIMESERIES,
    "SELECT $__timeInterval(event_time) AS time, countIf(event_type = 'drift.detected.v1' AND sequence = 0) AS found, "
    "countIf(event_type = 'drift.cleared.v1') AS over FROM events "
    "WHERE event_type IN ('drift.detected.v1', 'drift.cleared.v1') AND $__timeFilter(event_time) "
    f"AND {OF_OBJECT} GROUP BY time ORDER BY time",
    bars=True,
)
OPEN_OVER_TIME = Panel(
    "Open drifts over time",
    "How far the platform was from its setpoint",
    Kind.TIMESERIES,
    "SELECT time, sum(net) OVER (ORDER BY time) AS open FROM ("
    "SELECT $__timeInterval(at) AS time, sum(step) AS net FROM ("
    "SELECT greatest(toDateTime(assumeNotNull(detected_at)), $__fromTime) AS at, 1 AS step FROM drift_intervals "
    "WHERE detected_at <= $__toTime AND (cleared_at IS NULL OR cleared_at >= $__fromTime) "
    f"AND {OF_OBJECT} "
    "UNION ALL SELECT toDateTime(assumeNotNull(cleared_at)), -1 FROM drift_intervals "
    f"WHERE $__timeFilter(cleared_at) AND detected_at <= $__toTime AND {OF_OBJECT}"
    ") GROUP BY time) ORDER BY time",
)
FIXED = Panel(
    "What was corrected",
    "Drifts that an action put right in the time shown, the newest first",
    Kind.TABLE,
    "SELECT cleared_at, subject, namespace, baseline, attempts, detect_ms, decide_ms, act_ms, correct_ms "
    f"FROM time_to_correct WHERE outcome = 'succeeded' AND $__timeFilter(cleared_at) AND {OF_OBJECT} "
    "ORDER BY cleared_at DESC, subject LIMIT 200",
    Unit.MILLISECONDS,
    links=(TO_OBJECT, TO_NAMESPACE),
    width=24,
)
ALERTING = Panel(
    "Open alerts by severity",
    "The newest word of each alert that is not over",
    Kind.TABLE,
    "SELECT fired_at, severity, alert, subject, repeats, summary, correlation_id "
    f"{OPEN_ALERTS} ORDER BY indexOf(['critical', 'error', 'warning', 'info'], severity), fired_at DESC LIMIT 200",
    links=(TO_OBJECT, TO_STORY, Link("This alert's rule", ALERTS, (("alert", "alert"),))),
    width=24,
    may_be_empty=True,
)

DASHBOARD = Dashboard(
    PLATFORM,
    "Platform at its setpoint",
    "What is drifting now, since when and by whom; what was fixed; what waits for people",
    (
        Row("Now", (DRIFTS_OPEN, LONGEST, UNJUDGED, WAITING, ALERTS_OPEN, CORRECTED)),
        Row("What is drifting", (DRIFTING, OPEN_OVER_TIME, OPENED_AND_CLOSED)),
        Row("What waits", (QUESTIONS, ALERTING)),
        Row("What was fixed", (FIXED,)),
    ),
    OBJECTS,
    MARKS,
)
