"""Metrics explorer: any metric that was recorded, of Setpoint's own services and of Prometheus, its series, its values
and how fast its counters grow.

Both kinds are kept in tables of their own; here a sample of either is `at`, `held`, `origin` and `tags`.
"""

from services.recorder.dashboards.common import METRICS, actions_done
from services.recorder.dashboards.model import Dashboard, Kind, Link, Panel, Row, Unit, Variable

__all__ = ["DASHBOARD"]
METRIC = Variable(
    "metric",
    "Metric",
    "SELECT metric FROM (SELECT DISTINCT name AS metric FROM metrics AS m WHERE $__timeFilter(m.time) "
    "UNION DISTINCT SELECT DISTINCT name FROM series) ORDER BY metric LIMIT 10000",
    all=False,
    default="setpoint_watched_objects",
)


def found(source: str = "1", sender: str = "1") -> str:
    """One metric's samples, whoever told them; the conditions are on either table's own column."""
    return (
        "(SELECT m.time AS at, m.value AS held, m.source AS origin, m.labels AS tags FROM metrics AS m "
        f"WHERE m.name = ${{metric:singlequote}} AND $__timeFilter(m.time) AND {source} "
        "UNION ALL SELECT s.time, s.value, s.sender, s.labels FROM labelled_samples AS s "
        f"WHERE s.name = ${{metric:singlequote}} AND $__timeFilter(s.time) AND {sender})"
    )


def told_by(column: str) -> str:
    """The condition that it was one of the chosen."""
    return f"$__conditionalAll({column} IN (${{origin:singlequote}}), $origin)"


ORIGIN = Variable(
    "origin",
    "Told by",
    f"SELECT DISTINCT toString(origin) AS teller FROM {found()} ORDER BY teller LIMIT 1000",
)
LABEL = Variable("label", "Has a label that contains", all=False)
SERIES = (
    "trimRight(concat(origin, ' ', arrayStringConcat(arraySort(arrayMap((key, value) -> concat(key, '=', value), "
    "mapKeys(tags), mapValues(tags))), ', ')))"
)
NAMED = f"(SELECT at, held, {SERIES} AS series FROM {found(told_by('m.source'), told_by('s.sender'))})"
CHOSEN = "$__conditionalAll(position(series, ${label:singlequote}) > 0, $label)"
SHOWN = f"FROM (SELECT at, held, series, dense_rank() OVER (ORDER BY series) AS place FROM {NAMED} WHERE {CHOSEN})"

VALUES = Panel(
    "Values",
    "The mean of each bucket of time, of the first 50 series",
    Kind.TIMESERIES,
    f"SELECT $__timeInterval(at) AS time, series, avg(held) AS value {SHOWN} WHERE place <= 50 "
    "GROUP BY time, series ORDER BY time, series",
    Unit.NONE,
    width=24,
    height=10,
)
RATES = Panel(
    "Growth a second",
    "Of counters: how much they grew, of the first 50 series; one that began anew counts from 0",
    Kind.TIMESERIES,
    "SELECT $__timeInterval(at) AS time, series, sum(more) / $__interval_s AS per_second FROM ("
    "SELECT at, series, if(held >= before, held - before, held) AS more FROM ("
    "SELECT at, series, held, lagInFrame(held, 1, held) OVER (PARTITION BY series ORDER BY at "
    f"ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS before {SHOWN} WHERE place <= 50)"
    ") GROUP BY time, series ORDER BY time, series",
    Unit.PER_SECOND,
    width=24,
)
NEWEST = Panel(
    "Series",
    "The newest value of each, and what it was in the time shown",
    Kind.TABLE,
    "SELECT series, argMax(held, at) AS newest, min(held) AS least, max(held) AS most, avg(held) AS mean, "
    f"count() AS samples, max(at) AS last_at FROM {NAMED} WHERE {CHOSEN} GROUP BY series ORDER BY series LIMIT 500",
    Unit.NONE,
    width=14,
)
NAMES = Panel(
    "Metrics",
    "Every metric that the services told in the last hour shown, and those that Prometheus sent",
    Kind.TABLE,
    "SELECT metric, origins, known FROM ("
    "SELECT m.name AS metric, uniq(m.labels) AS known, arrayStringConcat(arraySort(groupUniqArray(m.source)), ', ') "
    "AS origins FROM metrics AS m WHERE $__timeFilter(m.time) AND m.time >= $__toTime - INTERVAL 1 HOUR "
    "GROUP BY metric "
    "UNION ALL SELECT name, uniq(series_id), arrayStringConcat(arraySort(groupUniqArray(sender)), ', ') FROM series "
    "GROUP BY name) ORDER BY metric LIMIT 1000",
    Unit.NONE,
    links=(Link("Show this one", METRICS, (("metric", "metric"),)),),
    width=10,
)

DASHBOARD = Dashboard(
    METRICS,
    "Metrics explorer",
    "Any metric that was recorded",
    (Row("Chosen", (VALUES, RATES)), Row("What there is", (NEWEST, NAMES))),
    (METRIC, ORIGIN, LABEL),
    (actions_done("1"),),
    since="6h",
)
