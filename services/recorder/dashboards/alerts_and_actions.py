"""Alerts and actions: from alert to outcome, why policies decided so, what people were asked, and what came of it."""

from services.recorder.dashboards.common import (
    ALERTS,
    MARKS,
    OBJECTS,
    OF_OBJECT,
    TO_OBJECT,
    TO_STORY,
    chosen,
)
from services.recorder.dashboards.model import Dashboard, Kind, Link, Panel, Row, Unit, Variable

__all__ = ["DASHBOARD"]
ALERT = Variable(
    "alert",
    "Alert",
    "SELECT DISTINCT alert FROM events WHERE event_type = 'alert.fired.v1' AND $__timeFilter(event_time) "
    "ORDER BY alert LIMIT 1000",
)
POLICY = Variable(
    "policy",
    "Policy",
    "SELECT DISTINCT policy FROM events WHERE event_type = 'decision.made.v1' AND policy != '' "
    "AND $__timeFilter(event_time) ORDER BY policy LIMIT 1000",
)
NAMED = f"{OF_OBJECT} AND {chosen('alert')}"
FIRED = f"FROM alerts WHERE $__timeFilter(fired_at) AND {NAMED}"
DECIDED = f"FROM decisions WHERE $__timeFilter(decided_at) AND {OF_OBJECT} AND {chosen('policy')}"
BEGUN = f"FROM actions WHERE $__timeFilter(begun_at) AND {OF_OBJECT} AND {chosen('policy')}"
ASKED = f"FROM approvals WHERE $__timeFilter(asked_at) AND {OF_OBJECT} AND {chosen('policy')}"
CAME = f"FROM alert_funnel WHERE $__timeFilter(fired_at) AND {NAMED}"

FUNNEL = Panel(
    "From alert to outcome",
    "Alerts of the time shown, and how far each went; the step that most are lost at is the one to look into",
    Kind.BAR,
    "SELECT stage.1 AS reached, stage.2 AS alerts FROM (SELECT arrayJoin([('fired', count()), "
    "('a policy decided', countIf(policy != '')), ('people were asked', countIf(asked > 0)), "
    "('acted on', countIf(acted > 0)), ('put right', countIf(succeeded > 0)), "
    f"('resolved', countIf(resolved_at IS NOT NULL))]) AS stage {CAME})",
    width=10,
)
FIRED_OVER_TIME = Panel(
    "Alerts, by severity",
    "Lives of alerts by when they began; repeats are not counted",
    Kind.TIMESERIES,
    f"SELECT $__timeInterval(fired_at) AS time, severity AS series, count() AS alerts {FIRED} GROUP BY time, series "
    "ORDER BY time, series",
    bars=True,
    width=14,
)
NOISIEST = Panel(
    "Alerts by name",
    "Which alerts fire and repeat, and of how many something came",
    Kind.TABLE,
    "SELECT alert AS named, count() AS lives, sum(fired) - count() AS repeats, countIf(asked > 0) AS asked_about, "
    "countIf(acted > 0) AS acted_on, countIf(succeeded > 0) AS put_right, "
    f"countIf(resolved_at IS NOT NULL) AS resolved, max(fired_at) AS newest "
    f"{CAME} GROUP BY named ORDER BY lives DESC, named LIMIT 100",
    links=(Link("Only this alert", ALERTS, (("alert", "named"),)),),
    width=24,
)
REASONS = Panel(
    "Decisions, by reason",
    "The same words as in logs and in 'setpoint policy explain'; docs/policies.md says what each means",
    Kind.TIMESERIES,
    f"SELECT $__timeInterval(decided_at) AS time, reason AS series, count() AS decisions {DECIDED} "
    "GROUP BY time, series ORDER BY time, series",
    bars=True,
)
BY_POLICY = Panel(
    "Decisions, by policy and reason",
    "What each policy said, how often, and why",
    Kind.TABLE,
    "SELECT if(policy = '', '(none)', policy) AS decided_by, verdict, reason, count() AS times, "
    f"uniqExact(subject) AS objects, max(decided_at) AS newest {DECIDED} GROUP BY decided_by, verdict, reason "
    "ORDER BY times DESC, decided_by, verdict, reason LIMIT 200",
)
OUTCOMES = Panel(
    "Actions, by outcome",
    "By when they began; 'under way' has no end yet",
    Kind.TIMESERIES,
    "SELECT $__timeInterval(begun_at) AS time, if(outcome = '', 'under way', outcome) AS series, count() AS actions "
    f"{BEGUN} GROUP BY time, series ORDER BY time, series",
    bars=True,
)
BY_ACTION = Panel(
    "Actions, by kind",
    "How often each kind of action worked, and how long its stages take at the 95th percentile",
    Kind.TABLE,
    "SELECT action, count() AS begun, countIf(outcome = 'succeeded') AS worked, "
    "countIf(outcome NOT IN ('', 'succeeded')) AS not_worked, max(attempt) AS most_attempts, "
    "round(quantile(0.95)(plan_ms), 1) AS plan_p95_ms, round(quantile(0.95)(apply_ms), 1) AS apply_p95_ms, "
    f"round(quantile(0.95)(verify_ms), 1) AS verify_p95_ms "
    f"{BEGUN} GROUP BY action ORDER BY begun DESC, action LIMIT 100",
    Unit.MILLISECONDS,
)
FAILED = Panel(
    "Actions that did not work",
    "The newest first, with the reason",
    Kind.TABLE,
    "SELECT begun_at, subject, action, policy, attempt, outcome, reason, message, correlation_id "
    f"{BEGUN} AND outcome NOT IN ('', 'succeeded') ORDER BY begun_at DESC, action_id LIMIT 200",
    links=(TO_OBJECT, TO_STORY),
    width=24,
    may_be_empty=True,
)
ANSWERS = Panel(
    "Questions, by how they ended",
    "Expired questions mean that nobody looked: ask fewer people fewer things, or elsewhere",
    Kind.BAR,
    f"SELECT if(closed_at IS NULL, 'open', outcome) AS ended, count() AS questions {ASKED} GROUP BY ended "
    "ORDER BY questions DESC, ended",
    width=8,
)
WAITED = Panel(
    "Time to an answer",
    "How long questions were open that people answered",
    Kind.TIMESERIES,
    "SELECT $__timeInterval(asked_at) AS time, quantileExact(0.5)(waited_ms) AS p50, "
    f"quantileExact(0.95)(waited_ms) AS p95 {ASKED} AND outcome IN ('approved', 'denied') GROUP BY time ORDER BY time",
    Unit.MILLISECONDS,
    width=16,
)
QUESTIONS = Panel(
    "Questions",
    "Who was asked what, who answered, and how long it took",
    Kind.TABLE,
    "SELECT asked_at, subject, action, policy, if(closed_at IS NULL, 'open', outcome) AS ended, "
    "arrayStringConcat(answered_by, ', ') AS who_answered, refused AS answers_refused, waited_ms, note, correlation_id "
    f"{ASKED} ORDER BY asked_at DESC, approval_id LIMIT 200",
    Unit.MILLISECONDS,
    links=(TO_OBJECT, TO_STORY),
    width=24,
)

DASHBOARD = Dashboard(
    ALERTS,
    "Alerts and actions",
    "From alert to outcome; decisions by reason; approvals",
    (
        Row("Alerts", (FUNNEL, FIRED_OVER_TIME, NOISIEST)),
        Row("Decisions", (REASONS, BY_POLICY)),
        Row("Actions", (OUTCOMES, BY_ACTION, FAILED)),
        Row("Approvals", (ANSWERS, WAITED, QUESTIONS)),
    ),
    (*OBJECTS, ALERT, POLICY),
    MARKS,
    since="7d",
)
