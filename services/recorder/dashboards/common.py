"""What dashboards share: their uids, the variables and conditions that choose objects, annotations, and links.

A condition on time is always `$__timeFilter`, and a bucket of time is always `AS time`: an alias that is also a column
would silently take the column's place in WHERE, and the numbers would be of other times.
"""

from services.recorder.dashboards.model import Annotation, Colour, Link, Threshold, Variable

PLATFORM = "setpoint-platform"
DRIFT = "setpoint-drift"
ALERTS = "setpoint-alerts"
CHANGES = "setpoint-changes"
STORY = "setpoint-story"
FALCO = "setpoint-falco"
RECORD = "setpoint-record"
METRICS = "setpoint-metrics"


def chosen(name: str) -> str:
    """The condition that a column has one of the chosen values of the variable of its name."""
    return f"$__conditionalAll({name} IN (${{{name}:singlequote}}), ${name})"


IN_CLUSTER = chosen("cluster")
IN_NAMESPACE = f"{IN_CLUSTER} AND {chosen('namespace')}"
OF_OBJECT = f"{IN_NAMESPACE} AND {chosen('kind')}"
"""Of anything that has an object's columns."""

OPEN_DRIFTS = (
    "FROM open_drifts WHERE drift_id NOT IN (SELECT drift_id FROM events WHERE event_type = 'drift.cleared.v1') "
    f"AND {OF_OBJECT}"
)
OPEN_ALERTS = (
    "FROM open_alerts WHERE alert_id NOT IN (SELECT alert_id FROM events WHERE event_type = 'alert.resolved.v1') "
    f"AND {OF_OBJECT}"
)
"""The views say the same by themselves; said like this, what is over is left out before it is put together."""

CLUSTER = Variable(
    "cluster",
    "Cluster",
    "SELECT DISTINCT cluster FROM events WHERE $__timeFilter(event_time) AND cluster != '' ORDER BY cluster LIMIT 1000",
)
NAMESPACE = Variable(
    "namespace",
    "Namespace",
    "SELECT DISTINCT namespace FROM events "
    f"WHERE $__timeFilter(event_time) AND namespace != '' AND {IN_CLUSTER} ORDER BY namespace LIMIT 5000",
)
KIND = Variable(
    "kind",
    "Kind",
    "SELECT DISTINCT kind FROM events "
    f"WHERE $__timeFilter(event_time) AND kind != '' AND {IN_NAMESPACE} ORDER BY kind LIMIT 1000",
)
OBJECTS = (CLUSTER, NAMESPACE, KIND)


def actions_done(where: str) -> Annotation:
    """Where actions ended. Grafana knows a dashboard's own variables alone, so each says by which it chooses."""
    return Annotation(
        "Actions",
        "SELECT event_time AS time, concat(action, ' ', outcome) AS title, concat(subject, ': ', reason) AS text, "
        "concat('action,', outcome) AS tags FROM events "
        f"WHERE event_type = 'action.finished.v1' AND $__timeFilter(event_time) AND {where} "
        "ORDER BY event_time DESC LIMIT 500",
        Colour.BLUE,
    )


ACTIONS_DONE = actions_done(OF_OBJECT)
CHANGES_SEEN = Annotation(
    "Changes",
    "SELECT event_time AS time, concat(state, ' by ', manager) AS title, subject AS text, "
    "concat('change,', state) AS tags FROM events "
    f"WHERE event_type = 'change.observed.v1' AND $__timeFilter(event_time) AND {OF_OBJECT} "
    "ORDER BY event_time DESC LIMIT 500",
    Colour.PURPLE,
    shown=False,
)
MARKS = (ACTIONS_DONE, CHANGES_SEEN)

TO_OBJECT = Link("Everything that happened to it", STORY, (("object", "subject"),), "30d")
TO_STORY = Link("The whole story", STORY, (("correlation", "correlation_id"),), "30d")
TO_NAMESPACE = Link("Drift of this namespace", DRIFT, (("namespace", "namespace"),))

SOME_ARE_ORANGE = (Threshold(1, Colour.ORANGE),)
ANY_IS_RED = (Threshold(1, Colour.RED),)
