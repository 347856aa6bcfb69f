"""Drift: where and of what, by whom, in which fields; how long correcting takes; and who fights whom."""

from services.recorder.dashboards.common import (
    DRIFT,
    MARKS,
    OBJECTS,
    OF_OBJECT,
    OPEN_DRIFTS,
    TO_OBJECT,
    TO_STORY,
)
from services.recorder.dashboards.model import Dashboard, Kind, Link, Panel, Row, Unit

__all__ = ["DASHBOARD"]
FOUND = f"FROM drift_intervals WHERE $__timeFilter(detected_at) AND {OF_OBJECT}"
TIMED = f"FROM time_to_correct WHERE $__timeFilter(detected_at) AND {OF_OBJECT}"
CORRECTED = f"FROM time_to_correct WHERE outcome = 'succeeded' AND $__timeFilter(cleared_at) AND {OF_OBJECT}"
ENDED = "multiIf(cleared_at IS NULL, 'open', outcome = '', 'over without an action', outcome)"
DURATIONS = (
    "multiIf(correct_ms < 1000, '1: under 1 s', correct_ms < 5000, '2: 1 to 5 s', correct_ms < 30000, '3: 5 to 30 s', "
    "correct_ms < 120000, '4: 30 s to 2 min', correct_ms < 600000, '5: 2 to 10 min', '6: over 10 min')"
)


def top(title: str, says: str, value: str, source: str = FOUND) -> Panel:
    """The 20 values that most drifts have; `value` may be a column or an expression."""
    return Panel(
        title,
        says,
        Kind.BAR,
        f"SELECT {value} AS label, count() AS drifts {source} GROUP BY label ORDER BY drifts DESC, label LIMIT 20",
        width=8,
    )


BY_NAMESPACE = top("By namespace", "Where drift is found, of the time shown", "if(namespace = '', '(none)', namespace)")
BY_KIND = top("By kind", "What drifts", "kind")
BY_BASELINE = top("By baseline", "Which declared state is not kept", "baseline")
BY_MANAGER = top(
    "By field manager",
    "Who holds the fields that differ; a drift by two counts for both",
    "if(manager = '', '(nobody proved)', manager)",
    f"FROM (SELECT arrayJoin(if(empty(managers), [''], managers)) AS manager {FOUND})",
)
BY_FIELD = top(
    "By field",
    "Which fields differ; a list's indices are one field",
    "field",
    "FROM (SELECT arrayJoin(arrayDistinct(arrayMap(path -> replaceRegexpAll(path, '/[0-9]+(/|$)', '/*\\\\1'), "
    f"fields))) AS field {FOUND})",
)
HOW_ENDED = top("How they ended", "By the last action's outcome, or by themselves", ENDED, TIMED)

TIMES = Panel(
    "Time to correct",
    "From detection to the end of drifts that an action put right: half are faster than p50",
    Kind.TIMESERIES,
    "SELECT $__timeInterval(cleared_at) AS time, quantileExact(0.5)(correct_ms) AS p50, "
    f"quantileExact(0.95)(correct_ms) AS p95 {CORRECTED} GROUP BY time ORDER BY time",
    Unit.MILLISECONDS,
)
SPREAD = Panel(
    "How long correcting took",
    "Corrected drifts by time from detection to end",
    Kind.HEATMAP,
    f"SELECT $__timeInterval(cleared_at) AS time, {DURATIONS} AS bucket, count() AS value {CORRECTED} "
    "GROUP BY time, bucket ORDER BY time, bucket",
)
STAGES = Panel(
    "Where the time goes",
    "Median milliseconds of each stage, of corrected drifts: onset, detected, decided, acted, over",
    Kind.TABLE,
    "SELECT namespace, count() AS corrected, round(quantileExact(0.5)(detect_ms), 1) AS detect_ms, "
    "round(quantileExact(0.5)(decide_ms), 1) AS decide_ms, round(quantileExact(0.5)(act_ms), 1) AS act_ms, "
    "round(quantileExact(0.5)(correct_ms), 1) AS correct_p50_ms, "
    "round(quantileExact(0.95)(correct_ms), 1) AS correct_p95_ms "
    f"{CORRECTED} GROUP BY namespace ORDER BY corrected DESC, namespace LIMIT 100",
    Unit.MILLISECONDS,
    links=(Link("Drift of this namespace", DRIFT, (("namespace", "namespace"),)),),
    width=24,
)
FIGHTS = Panel(
    "Fights",
    "Objects that somebody keeps changing back; Setpoint stopped correcting them: find the other writer",
    Kind.TABLE,
    "SELECT last_seen, subject, policy, times, said, last_correlation AS correlation_id FROM ("
    "SELECT max(decided_at) AS last_seen, subject, policy, count() AS times, argMax(message, decided_at) AS said, "
    "argMax(correlation_id, decided_at) AS last_correlation FROM decisions "
    f"WHERE reason = 'fight' AND $__timeFilter(decided_at) AND {OF_OBJECT} GROUP BY subject, policy) "
    "ORDER BY last_seen DESC, subject LIMIT 100",
    links=(TO_OBJECT, TO_STORY),
    width=24,
    may_be_empty=True,
)
BACK_AND_FORTH = Panel(
    "Two writers, back and forth",
    "In the last day shown, an hour each: fields that went from one field manager to another and back, again and again",
    Kind.TABLE,
    "SELECT hour AS at, subject, arrayStringConcat(writers, ', ') AS who, arrayStringConcat(fields, ', ') AS differs, "
    "returns, refused FROM fights "
    f"WHERE $__timeFilter(hour) AND hour >= $__toTime - INTERVAL 1 DAY AND returns > 0 AND {OF_OBJECT} "
    "ORDER BY at DESC, returns DESC, subject LIMIT 100",
    links=(TO_OBJECT,),
    width=24,
    may_be_empty=True,
)
AGAIN = Panel(
    "Drifts again and again",
    "Objects with most drifts in the time shown, and who held their fields",
    Kind.TABLE,
    "SELECT subject, count() AS drifts, countIf(cleared_at IS NULL) AS open, max(detected_at) AS newest, "
    "arrayStringConcat(arraySort(groupUniqArrayArray(managers)), ', ') AS caused_by "
    f"{FOUND} GROUP BY subject ORDER BY drifts DESC, subject LIMIT 50",
    links=(TO_OBJECT,),
    width=24,
)
UNJUDGED = Panel(
    "Without a verdict, and why",
    "Each reason has its fix in docs/drift.md",
    Kind.TABLE,
    "SELECT reason, count() AS objects, min(onset) AS since, any(subject) AS example, any(message) AS said "
    f"{OPEN_DRIFTS} AND state = 'unjudged' GROUP BY reason ORDER BY objects DESC, reason",
    width=24,
    may_be_empty=True,
)
FOUND_OVER_TIME = Panel(
    "Drifts found, by state",
    "changed: fields differ; missing: it is not there; unwanted: nobody declares it; unjudged: no verdict",
    Kind.TIMESERIES,
    f"SELECT $__timeInterval(detected_at) AS time, state AS series, count() AS drifts {FOUND} "
    "GROUP BY time, series ORDER BY time, series",
    bars=True,
    width=24,
)

DASHBOARD = Dashboard(
    DRIFT,
    "Drift",
    "By namespace, kind, manager and field; time to correct; fights",
    (
        Row("Found", (FOUND_OVER_TIME, BY_NAMESPACE, BY_KIND, BY_BASELINE, BY_MANAGER, BY_FIELD, HOW_ENDED)),
        Row("Corrected", (TIMES, SPREAD, STAGES)),
        Row("Not settled", (FIGHTS, BACK_AND_FORTH, AGAIN, UNJUDGED)),
    ),
    OBJECTS,
    MARKS,
    since="7d",
)
