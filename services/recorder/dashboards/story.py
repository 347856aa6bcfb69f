"""One story: everything that happened to one object, or that belongs to one correlation, in order.

Other dashboards lead here. With both fields empty it shows the newest of everything.
"""

from services.recorder.dashboards.common import STORY, TO_OBJECT, TO_STORY
from services.recorder.dashboards.model import Dashboard, Kind, Panel, Row, Variable

__all__ = ["DASHBOARD"]
OBJECT = Variable("object", "Object (cluster/group/kind/namespace/name)", all=False)
CORRELATION = Variable("correlation", "Correlation", all=False)
PART = "splitByChar('/', ${object:singlequote})[-%d]"
ITSELF = (
    f"(subject = ${{object:singlequote}} AND kind IN ('', {PART % 3}) AND namespace IN ('', {PART % 2}) "
    f"AND name IN ('', {PART % 1}))"
)
"""The object's parts say again what its subject says: they are what rows are sorted by."""
ACTED_ON = (
    "(event_type IN ('decision.made.v1', 'action.started.v1', 'action.finished.v1') "
    "AND acted_on = ${object:singlequote})"
)
ABOUT = (
    "$__timeFilter(event_time) "
    f"AND $__conditionalAll(({ITSELF} OR {ACTED_ON}), $object) "
    "AND $__conditionalAll(correlation_id = ${correlation:singlequote}, $correlation)"
)
WHAT = "replaceRegexpOne(event_type, '\\\\.v[0-9]+$', '')"
RESULT = "multiIf(verdict != '', verdict, outcome != '', outcome, severity != '', severity, state)"
WHO = (
    "arrayStringConcat(arrayFilter(part -> part != '', arrayConcat(people, if(manager != '', [manager], managers), "
    "users)), ', ')"
)

EVENTS = Panel(
    "What happened",
    "In order, the newest first: changes, drift, alerts, decisions, questions, actions",
    Kind.TABLE,
    f"SELECT event_time, {WHAT} AS what, {RESULT} AS result, events.reason AS why, {WHO} AS who, "
    "arrayStringConcat(paths, ', ') AS fields, if(message != '', message, words) AS said, policy, action, subject, "
    f"correlation_id FROM events WHERE {ABOUT} "
    "ORDER BY event_time DESC, topic, kafka_partition, kafka_offset DESC LIMIT 1000",
    links=(TO_OBJECT, TO_STORY),
    width=24,
    height=16,
)
KINDS = Panel(
    "Events, by type",
    "When it happened",
    Kind.TIMESERIES,
    f"SELECT $__timeInterval(event_time) AS time, {WHAT} AS series, count() AS happened FROM events WHERE {ABOUT} "
    "GROUP BY time, series ORDER BY time, series",
    bars=True,
    width=24,
    height=6,
)

DASHBOARD = Dashboard(
    STORY,
    "One story",
    "Everything that happened to one object, or that belongs to one correlation",
    (Row("One object, one correlation", (KINDS, EVENTS)),),
    (OBJECT, CORRELATION),
    since="24h",
)
