"""Falco: which rules fire, where and how badly, and what was done about it."""

from services.recorder.dashboards.common import FALCO, MARKS, OBJECTS, OF_OBJECT, TO_OBJECT, TO_STORY
from services.recorder.dashboards.model import Colour, Dashboard, Kind, Link, Panel, Row, Threshold, Unit, Variable

__all__ = ["DASHBOARD"]
RULE = Variable(
    "rule",
    "Rule",
    "SELECT DISTINCT alert FROM alerts WHERE source = 'falco' AND $__timeFilter(fired_at) ORDER BY alert LIMIT 1000",
)
WHERE = (
    f"WHERE source = 'falco' AND $__timeFilter(fired_at) AND {OF_OBJECT} "
    "AND $__conditionalAll(alert IN (${rule:singlequote}), $rule)"
)
SEEN = f"FROM alerts {WHERE}"
WORST_FIRST = "indexOf(['critical', 'error', 'warning', 'info'], severity)"

COUNT = Panel(
    "Events",
    "Of Falco, in the time shown; the same told again is counted once",
    Kind.STAT,
    f"SELECT count() AS events {SEEN}",
    width=6,
    height=4,
    thresholds=(Threshold(1, Colour.ORANGE),),
)
CRITICAL = Panel(
    "Critical",
    "Of Falco's priorities Emergency, Alert and Critical",
    Kind.STAT,
    f"SELECT countIf(severity = 'critical') AS events {SEEN}",
    width=6,
    height=4,
    thresholds=(Threshold(1, Colour.RED),),
)
UNANSWERED = Panel(
    "Critical and not acted on",
    "No action was begun for these: look at each, and write a policy for its rule",
    Kind.STAT,
    "SELECT count() AS events FROM (SELECT alert_id "
    f"{SEEN} AND severity = 'critical') WHERE alert_id NOT IN (SELECT alert_id FROM actions WHERE alert_id != '')",
    width=6,
    height=4,
    thresholds=(Threshold(1, Colour.RED),),
)
REACTION = Panel(
    "Time to act",
    "Median from hearing of it to the end of the last action, of those that were acted on",
    Kind.STAT,
    f"SELECT round(quantileExact(0.5)(total_ms), 1) AS median_ms FROM time_to_act {WHERE} AND total_ms IS NOT NULL",
    Unit.MILLISECONDS,
    width=6,
    height=4,
    may_be_empty=True,
)
OVER_TIME = Panel(
    "Events, by rule",
    "A rule that is loud all the time hides the others: make it more exact, or let a policy pass it over",
    Kind.TIMESERIES,
    f"SELECT $__timeInterval(fired_at) AS time, alert AS series, count() AS events {SEEN} GROUP BY time, series "
    "ORDER BY time, series",
    bars=True,
    width=16,
)
BY_SEVERITY = Panel(
    "By severity",
    "Falco's eight priorities as Setpoint's four",
    Kind.BAR,
    f"SELECT severity AS level, count() AS events {SEEN} GROUP BY level "
    "ORDER BY indexOf(['critical', 'error', 'warning', 'info'], level)",
    width=8,
)
RULES = Panel(
    "Rules",
    "How often each fired, of how many objects, and what was done",
    Kind.TABLE,
    "SELECT rule, count() AS events, uniqExact(hit) AS objects, countIf(acted) AS acted_on, "
    "countIf(acted AND ended = 'succeeded') AS worked, max(at) AS newest FROM ("
    "SELECT a.alert AS rule, a.subject AS hit, a.fired_at AS at, x.alert_id != '' AS acted, "
    "x.ended AS ended "
    f"FROM (SELECT alert_id, alert, subject, fired_at {SEEN}) AS a "
    "LEFT JOIN (SELECT alert_id, argMax(outcome, begun_at) AS ended FROM actions "
    "WHERE alert_id != '' AND undoes = '' GROUP BY alert_id) AS x ON x.alert_id = a.alert_id"
    ") GROUP BY rule ORDER BY events DESC, rule LIMIT 100",
    width=16,
)
OBJECTS_HIT = Panel(
    "Objects",
    "Where it happens most",
    Kind.BAR,
    f"SELECT concat(namespace, '/', name) AS object, count() AS events {SEEN} GROUP BY object "
    "ORDER BY events DESC, object LIMIT 20",
    width=8,
)
NEWEST = Panel(
    "The newest",
    "The sensor's own words; what was done about each is in its story",
    Kind.TABLE,
    f"SELECT fired_at, severity, alert, subject, repeats, summary, correlation_id {SEEN} "
    f"ORDER BY fired_at DESC, {WORST_FIRST}, subject LIMIT 200",
    links=(TO_OBJECT, TO_STORY, Link("Only this rule", FALCO, (("rule", "alert"),))),
    width=24,
    height=10,
)

DASHBOARD = Dashboard(
    FALCO,
    "Falco",
    "Which rules fire, where, and what was done about it",
    (
        Row("In short", (COUNT, CRITICAL, UNANSWERED, REACTION)),
        Row("What fires", (OVER_TIME, BY_SEVERITY, RULES, OBJECTS_HIT)),
        Row("Each", (NEWEST,)),
    ),
    (*OBJECTS, RULE),
    MARKS,
    since="7d",
)
