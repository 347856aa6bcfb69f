"""Changes: what changed before a chosen time, and by whom. The chosen time is the end of the time shown.

Most of all rows are changes. Where buckets are an hour or more, they are counted from the roll-up, else from the rows
themselves: one of both conditions is false before anything is read.
"""

from services.recorder.dashboards.common import (
    ACTIONS_DONE,
    CHANGES,
    OBJECTS,
    OF_OBJECT,
    TO_OBJECT,
    chosen,
)
from services.recorder.dashboards.model import Dashboard, Kind, Link, Panel, Row, Variable

__all__ = ["DASHBOARD"]
MANAGER = Variable(
    "manager",
    "Field manager",
    "SELECT DISTINCT manager FROM events_hourly WHERE event_type = 'change.observed.v1' AND manager != '' "
    f"AND $__timeFilter(hour) AND {OF_OBJECT} ORDER BY manager LIMIT 1000",
)
CHOSEN = f"{OF_OBJECT} AND {chosen('manager')}"
SEEN = f"FROM changes WHERE $__timeFilter(changed_at) AND {CHOSEN}"
LAST_DAY = f"{SEEN} AND changed_at >= $__toTime - INTERVAL 1 DAY"
COUNTED = (
    "FROM (SELECT changed_at AS at, namespace, operation, manager, 1 AS times "
    f"FROM changes WHERE $__interval_s < 3600 AND $__timeFilter(changed_at) AND {CHOSEN} "
    "UNION ALL SELECT hour, namespace, state, manager, events FROM events_hourly "
    f"WHERE $__interval_s >= 3600 AND event_type = 'change.observed.v1' AND $__timeFilter(hour) AND {CHOSEN})"
)
WHO = "if(manager = '', '(nobody named)', manager)"

NEWEST = Panel(
    "What changed last",
    "Backwards from the end of the time shown: set that to when the trouble began",
    Kind.TABLE,
    "SELECT changed_at, operation, subject, manager, arrayStringConcat(paths, ', ') AS fields "
    f"{SEEN} ORDER BY changed_at DESC, subject LIMIT 500",
    links=(TO_OBJECT,),
    width=24,
    height=12,
)
OVER_TIME = Panel(
    "Changes, by field manager",
    "Who writes, and when they began to write more; all but the busiest twelve are '(others)'",
    Kind.TIMESERIES,
    "SELECT time, if(place <= 12, who, '(others)') AS series, sum(some) AS changes FROM ("
    "SELECT time, who, some, dense_rank() OVER (ORDER BY whole DESC, who) AS place FROM ("
    "SELECT time, who, some, sum(some) OVER (PARTITION BY who) AS whole FROM ("
    f"SELECT time, {WHO} AS who, some FROM ("
    f"SELECT $__timeInterval(at) AS time, manager, sum(times) AS some {COUNTED} GROUP BY time, manager)))) "
    "GROUP BY time, series ORDER BY time, series",
    bars=True,
    width=24,
)
BY_MANAGER = Panel(
    "By field manager",
    "How much each changed",
    Kind.TABLE,
    f"SELECT {WHO} AS who, created, updated, deleted, namespaces, newest FROM ("
    "SELECT manager, sumIf(times, operation = 'created') AS created, sumIf(times, operation = 'updated') AS updated, "
    "sumIf(times, operation = 'deleted') AS deleted, uniqExact(namespace) AS namespaces, max(at) AS newest "
    f"{COUNTED} GROUP BY manager) ORDER BY created + updated + deleted DESC, who LIMIT 100",
    links=(Link("Only this manager's changes", CHANGES, (("manager", "who"),)),),
)
BY_NAMESPACE = Panel(
    "By namespace",
    "Where most was changed in the time shown",
    Kind.BAR,
    f"SELECT if(namespace = '', '(none)', namespace) AS place, sum(times) AS changes {COUNTED} GROUP BY place "
    "ORDER BY changes DESC, place LIMIT 20",
)
BY_OBJECT = Panel(
    "Objects that change most",
    "In the last day of the time shown; one that changes every minute has a controller that does not settle",
    Kind.TABLE,
    "SELECT any(subject) AS object, count() AS changes, uniqExact(manager) AS writers, max(changed_at) AS newest, "
    "arrayStringConcat(arraySort(groupUniqArray(manager)), ', ') AS who "
    f"{LAST_DAY} GROUP BY cluster, api_group, kind, namespace, name ORDER BY changes DESC, object LIMIT 50",
    links=(Link("Everything that happened to it", TO_OBJECT.dashboard, (("object", "object"),), TO_OBJECT.since),),
    width=24,
)

DASHBOARD = Dashboard(
    CHANGES,
    "Changes",
    "What changed before a chosen time, and by whom",
    (
        Row("Before the end of the time shown", (NEWEST, OVER_TIME)),
        Row("Who and where", (BY_MANAGER, BY_NAMESPACE, BY_OBJECT)),
    ),
    (*OBJECTS, MANAGER),
    (ACTIONS_DONE,),
    since="6h",
)
