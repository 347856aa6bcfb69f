"""The SQL for what a backtest plays again: recorded triggers and controls in their order, and what was acted on."""

from datetime import datetime

from schemas.base import rfc3339
from services.recorder.queries import Query

TRIGGERS = ("drift.detected.v1", "drift.cleared.v1", "alert.fired.v1", "alert.resolved.v1")
CONTROLS = ("control.set.v1", "control.removed.v1")
IN_ORDER = "event_time, topic, kafka_partition, kafka_offset"


def triggers(since: datetime, until: datetime, cluster: str | None, limit: int) -> Query:
    """The oldest `limit` triggers of a time, and every control until its end, since those of before still hold."""
    here = "AND cluster = {cluster:String} " if cluster is not None else ""
    given = {"since": rfc3339(since), "until": rfc3339(until), "limit": limit}
    return Query(
        "SELECT event_time, cluster, payload FROM events "
        f"WHERE ((event_type IN {TRIGGERS} AND event_time >= parseDateTime64BestEffort({{since:String}}, 6)) "
        f"OR event_type IN {CONTROLS}) AND event_time <= parseDateTime64BestEffort({{until:String}}, 6) {here}"
        f"ORDER BY {IN_ORDER} LIMIT {{limit:UInt32}}",
        given | ({"cluster": cluster} if cluster is not None else {}),
    )


def acted_on(since: datetime) -> Query:
    """What decisions and actions were about, by alert, where that was not what the alert itself named."""
    return Query(
        "SELECT alert_id, groupUniqArray(10)(acted_on) AS subjects FROM events "
        "WHERE event_time >= parseDateTime64BestEffort({since:String}, 6) AND alert_id != '' AND acted_on != '' "
        "GROUP BY alert_id",
        {"since": rfc3339(since)},
    )
