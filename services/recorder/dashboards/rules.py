"""Alert rules on the record: it fell silent, falls behind, drifts stay open, somebody fights, records are unreadable.

They look at `now()` and use no macros: Grafana expands `$` in provisioned files by the environment, and front-end
macros mean nothing to a rule. Each looks back further than records take to arrive, so that late rows are not missed.
"""

from services.recorder.dashboards.common import ALERTS, DRIFT, PLATFORM, RECORD
from services.recorder.dashboards.model import Rule

__all__ = ["RULES"]
HOUR = 3600

HEARTBEAT = Rule(
    "setpoint-record-silent",
    "The record is silent",
    "Nothing was recorded for five minutes, though every service reports its metrics each few seconds",
    "Look at the recorder's log and its /readyz, then at the broker and at ClickHouse; nothing is lost meanwhile",
    "SELECT dateDiff('second', max(last_at), now('UTC')) AS seconds FROM events_hourly "
    "WHERE hour >= now('UTC') - INTERVAL 2 DAY",
    above=300,
    window_s=2 * 24 * HOUR,
    lasting="2m",
    severity="critical",
    silence_is_bad=True,
    dashboard=RECORD,
)
LAG = Rule(
    "setpoint-record-lag",
    "The record falls behind",
    "More than 10 000 records are not in ClickHouse, and they become more",
    "See seconds of an insert: where they grow, ClickHouse is slow; else run more recorders, up to one a partition",
    "SELECT if(late > early, late, 0) AS records FROM ("
    "SELECT sum(newer) AS late, sum(older) AS early FROM (SELECT "
    "ifNotFinite(avgIf(m.value, m.time >= now('UTC') - INTERVAL 5 MINUTE), 0) AS newer, "
    "ifNotFinite(avgIf(m.value, m.time < now('UTC') - INTERVAL 5 MINUTE), 0) AS older FROM metrics AS m "
    "WHERE m.name = 'setpoint_record_lag' AND m.time >= now('UTC') - INTERVAL 15 MINUTE GROUP BY m.source, m.labels))",
    above=10_000,
    window_s=900,
    lasting="10m",
    dashboard=RECORD,
)
OPEN_TOO_LONG = Rule(
    "setpoint-drift-open",
    "Drift stays open",
    "Objects have differed from their baseline for more than an hour, and nothing has put them right",
    "See who holds the fields: correct it, let a policy do it, or declare what is meant",
    "SELECT count() AS drifts FROM open_drifts WHERE state != 'unjudged' AND onset < now('UTC') - INTERVAL 1 HOUR",
    above=0,
    window_s=HOUR,
    lasting="10m",
    dashboard=PLATFORM,
)
FIGHT = Rule(
    "setpoint-fight",
    "Somebody changes corrections back",
    "In the last hour Setpoint gave up correcting an object, since another writer keeps changing it",
    "Find the other writer in the object's timeline, and let only one of the two own the field",
    "SELECT uniqExact(subject) AS objects FROM decisions "
    "WHERE reason = 'fight' AND decided_at >= now('UTC') - INTERVAL 1 HOUR",
    above=0,
    window_s=HOUR,
    lasting="0s",
    dashboard=DRIFT,
)
DEAD_LETTERS = Rule(
    "setpoint-dead-letters",
    "Records could not be read",
    "In the last hour records went to the topic setpoint-dead-letter: their events are missing everywhere else",
    "Read their reasons in the topic's headers, mend the producer, and put them back with 'setpoint replay'",
    "SELECT round(sum(more)) AS records FROM (SELECT if(m.value >= lagInFrame(m.value, 1, m.value) OVER series, "
    "m.value - lagInFrame(m.value, 1, m.value) OVER series, m.value) AS more FROM metrics AS m "
    "WHERE m.name = 'setpoint_dead_letters_total' AND m.time >= now('UTC') - INTERVAL 1 HOUR "
    "WINDOW series AS (PARTITION BY m.source, m.labels ORDER BY m.time "
    "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING))",
    above=0,
    window_s=HOUR,
    lasting="0s",
    dashboard=RECORD,
)
UNANSWERED = Rule(
    "setpoint-question-ends",
    "A question to people ends soon",
    "Somebody is asked, nobody has answered, and in ten minutes no answer means no",
    "Answer with 'setpoint approve' or 'setpoint deny'",
    "SELECT count() AS questions FROM open_approvals "
    "WHERE ends_at > now('UTC') AND ends_at < now('UTC') + INTERVAL 10 MINUTE",
    above=0,
    window_s=HOUR,
    lasting="0s",
    severity="info",
    dashboard=ALERTS,
)
RULES = (HEARTBEAT, LAG, OPEN_TOO_LONG, FIGHT, DEAD_LETTERS, UNANSWERED)
