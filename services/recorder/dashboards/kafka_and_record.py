"""Kafka and the record: how far behind ClickHouse is, what comes in, how late, what could not be read, and whether the
record is whole."""

from services.recorder.dashboards.common import ANY_IS_RED, RECORD, chosen
from services.recorder.dashboards.model import Colour, Dashboard, Kind, Panel, Row, Threshold, Unit, Variable
from services.recorder.dashboards.samples import grown, last

__all__ = ["DASHBOARD"]
TOPIC = Variable(
    "topic", "Topic", "SELECT DISTINCT topic FROM events_hourly WHERE $__timeFilter(hour) ORDER BY topic LIMIT 100"
)
IN_TOPIC = chosen("topic")
WHOLE_PARTITIONS = (
    "SELECT broker, topic, kafka_partition, count() AS rows, count() - groupBitmap(kafka_offset) AS doubled, "
    "min(kafka_offset) AS first_offset, max(kafka_offset) AS last_offset, "
    "max(kafka_offset) - min(kafka_offset) + 1 - groupBitmap(kafka_offset) AS not_here, max(kafka_time) AS newest "
    "FROM recorded_offsets WHERE $__timeFilter(kafka_time) AND kafka_time >= $__toTime - INTERVAL 1 DAY "
    f"AND {IN_TOPIC} GROUP BY broker, topic, kafka_partition"
)
LATE = (Threshold(10, Colour.ORANGE), Threshold(60, Colour.RED))

NEWEST_ROW = Panel(
    "Newest row",
    "Seconds since the newest event's row; services report each few seconds, so more than a minute is a fault",
    Kind.STAT,
    "SELECT greatest(dateDiff('second', max(last_at), $__toTime), 0) AS seconds FROM events_hourly "
    f"WHERE hour >= $__fromTime - 3600 AND hour <= $__toTime AND {IN_TOPIC} HAVING count() > 0",
    Unit.SECONDS,
    LATE,
    width=6,
    height=4,
)
BEHIND = Panel(
    "Behind by",
    "Records that are on the broker and not in ClickHouse, as the recorders that are there said last",
    Kind.STAT,
    "SELECT round(sumIf(newest, told >= last - INTERVAL 2 MINUTE)) AS records FROM ("
    "SELECT newest, told, max(told) OVER () AS last FROM ("
    "SELECT argMax(m.value, m.time) AS newest, max(m.time) AS told FROM metrics AS m "
    "WHERE m.name = 'setpoint_record_lag' AND $__timeFilter(m.time) GROUP BY m.source, m.labels)) HAVING count() > 0",
    thresholds=(Threshold(10_000, Colour.ORANGE), Threshold(100_000, Colour.RED)),
    width=6,
    height=4,
)
UNREADABLE = Panel(
    "Dead letters",
    "Records that could not be read, in the time shown; 'setpoint replay' puts them back after a fix",
    Kind.STAT,
    "SELECT round(sum(more)) AS records FROM (" + grown("m.name = 'setpoint_dead_letters_total'") + ")",
    thresholds=ANY_IS_RED,
    width=6,
    height=4,
)
DOUBLED = Panel(
    "Rows that are there twice",
    "Must be 0, in every partition, in the last day of the time shown",
    Kind.STAT,
    f"SELECT sum(doubled) AS records FROM ({WHOLE_PARTITIONS})",
    thresholds=ANY_IS_RED,
    width=6,
    height=4,
)
LAG = Panel(
    "Lag, by topic",
    "Records that are not in ClickHouse yet; growing while rows come in: the recorder is too slow, or ClickHouse is",
    Kind.TIMESERIES,
    last("setpoint_record_lag", "m.labels['topic'] AS series"),
)
ROWS = Panel(
    "Rows, by topic",
    "Events a second, averaged over an hour",
    Kind.TIMESERIES,
    "SELECT $__timeInterval(hour) AS time, topic AS series, sum(events) / $__interval_s AS rows FROM events_hourly "
    f"WHERE $__timeFilter(hour) AND {IN_TOPIC} GROUP BY time, series ORDER BY time, series",
    Unit.PER_SECOND,
    step_s=3600,
)
DELAY = Panel(
    "Delay from event to row",
    "Milliseconds until an event can be queried: half are faster than p50",
    Kind.TIMESERIES,
    "SELECT time, took[1] AS p50, took[2] AS p95, took[3] AS p99 FROM ("
    "SELECT $__timeInterval(hour) AS time, quantilesTDigestMerge(0.5, 0.95, 0.99)(delay_ms) AS took "
    f"FROM delay_hourly WHERE $__timeFilter(hour) AND {IN_TOPIC} GROUP BY time) ORDER BY time",
    Unit.MILLISECONDS,
    step_s=3600,
)
INSERTS = Panel(
    "Seconds of an insert",
    "On average; a slow ClickHouse shows here before the lag does",
    Kind.TIMESERIES,
    "SELECT time, seconds / nullIf(inserts, 0) AS average FROM ("
    "SELECT $__timeInterval(at) AS time, sumIf(more, metric = 'setpoint_insert_seconds_sum') AS seconds, "
    "sumIf(more, metric = 'setpoint_insert_seconds_count') AS inserts FROM ("
    + grown("m.name IN ('setpoint_insert_seconds_sum', 'setpoint_insert_seconds_count')", "m.name AS metric")
    + ") GROUP BY time) WHERE inserts > 0 ORDER BY time",
    Unit.SECONDS,
)
BURIED = Panel(
    "Dead letters, by topic",
    "Where they come from; each has its place and its reason in the topic setpoint-dead-letter",
    Kind.TIMESERIES,
    "SELECT $__timeInterval(at) AS time, topic AS series, round(sum(more)) AS records FROM ("
    + grown("m.name = 'setpoint_dead_letters_total'", "m.labels['topic'] AS topic")
    + ") GROUP BY time, series HAVING records > 0 ORDER BY time, series",
    bars=True,
    may_be_empty=True,
)
FAILURES = Panel(
    "Failures of the services' loops, and repairs",
    "What was tried again after a failure, and rows that were put back after a crash",
    Kind.TIMESERIES,
    "SELECT $__timeInterval(at) AS time, "
    "concat(service, ': ', replaceRegexpOne(metric, '^setpoint_(.*)_total$', '\\\\1')) AS series, "
    "round(sum(more)) AS times FROM ("
    + grown(
        "m.name IN ('setpoint_loop_errors_total', 'setpoint_replays_total', 'setpoint_repairs_total')",
        "m.name AS metric",
        "m.source AS service",
    )
    + ") GROUP BY time, series ORDER BY time, series",
    bars=True,
)
TYPES = Panel(
    "Events, by type",
    "What the record consists of, in the time shown",
    Kind.BAR,
    "SELECT event_type AS type, sum(events) AS rows FROM events_hourly "
    f"WHERE $__timeFilter(hour) AND {IN_TOPIC} GROUP BY type ORDER BY rows DESC, type",
    width=24,
)
LETTERS = Panel(
    "Records that could not be read",
    "Where each stood and what is wrong with it; its bytes are in the topic setpoint-dead-letter",
    Kind.TABLE,
    "SELECT buried_at, original_topic, original_partition, original_offset, bytes, error FROM dead_letters "
    "WHERE $__timeFilter(buried_at) ORDER BY buried_at DESC, original_topic, original_offset DESC LIMIT 200",
    width=24,
    may_be_empty=True,
)
WHOLE = Panel(
    "Completeness",
    "Of the last day shown, by offsets; transactions' markers take some, so 'setpoint doctor --record' proves a gap",
    Kind.TABLE,
    f"{WHOLE_PARTITIONS} ORDER BY doubled DESC, broker, topic, kafka_partition LIMIT 1000",
    width=24,
    height=10,
)

DASHBOARD = Dashboard(
    RECORD,
    "Kafka and the record",
    "Lag, rows, delay, dead letters, completeness",
    (
        Row("In short", (NEWEST_ROW, BEHIND, UNREADABLE, DOUBLED)),
        Row("What comes in", (LAG, ROWS, DELAY, INSERTS)),
        Row("What goes wrong", (BURIED, FAILURES, LETTERS)),
        Row("What is there", (TYPES, WHOLE)),
    ),
    (TOPIC,),
)
