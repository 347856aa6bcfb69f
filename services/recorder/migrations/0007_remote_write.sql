-- What Prometheus remote write brings. Samples that come twice, or again after a replay, are one: of rows with the same
-- key the last one inserted stays (merges drop the others; FINAL does not see them). So nothing here has a deduplication
-- window but the blocks.
-- A sample is 24 bytes of truth; sorted by series and time most of it repeats, and some 2 bytes are left. Names sort
-- first, since every question is about some metric: its series lie together. Delta of a value is that of its bits, which
-- leaves less of counters and of what does not change than Gorilla does once ZSTD follows.
CREATE TABLE IF NOT EXISTS samples
(
    name LowCardinality(String) CODEC(ZSTD(1)),
    series_id UInt64 CODEC(ZSTD(1)),
    time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    value Float64 CODEC(Delta(8), ZSTD(1)) COMMENT 'the bits as sent: see ''stale''',
    stale Bool ALIAS reinterpretAsUInt64(value) = 0x7FF0000000000002 COMMENT 'the series has ended here'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (name, series_id, time)
TTL toDateTime(time) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1

-- statement
-- A series once for every month that it has samples in, so that what has ended goes with its samples.
CREATE TABLE IF NOT EXISTS series
(
    name LowCardinality(String),
    sender LowCardinality(String) COMMENT 'as the gateway knows it; two senders never share a series',
    series_id UInt64 CODEC(ZSTD(1)),
    month Date,
    labels Map(LowCardinality(String), String) CODEC(ZSTD(1)) COMMENT 'all but __name__'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(month)
ORDER BY (name, sender, series_id, month)
TTL month + INTERVAL 440 DAY
SETTINGS ttl_only_drop_parts = 1

-- statement
-- Native histograms: buckets by their index, as absolute counts. Bounds are those of schema -53 alone.
CREATE TABLE IF NOT EXISTS histograms
(
    series_id UInt64 CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    count Float64 CODEC(ZSTD(1)),
    sum Float64 CODEC(ZSTD(1)),
    schema Int8 CODEC(ZSTD(1)),
    zero_threshold Float64 CODEC(ZSTD(1)),
    zero_count Float64 CODEC(ZSTD(1)),
    positive Map(Int32, Float64) CODEC(ZSTD(1)),
    negative Map(Int32, Float64) CODEC(ZSTD(1)),
    bounds Array(Float64) CODEC(ZSTD(1)),
    stale Bool CODEC(ZSTD(1)) COMMENT 'the series has ended here'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (name, series_id, time)
TTL toDateTime(time) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1

-- statement
-- What metric families say of themselves; the last word of each sender.
CREATE TABLE IF NOT EXISTS metric_families
(
    sender LowCardinality(String),
    name String,
    type LowCardinality(String),
    help String CODEC(ZSTD(1)),
    unit LowCardinality(String),
    told_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(told_at)
ORDER BY (sender, name)

-- statement
-- One row a record of the topic: what proves that nothing is missing, and how much came from whom, when.
CREATE TABLE IF NOT EXISTS sample_blocks
(
    sender LowCardinality(String),
    samples UInt32 CODEC(ZSTD(1)),
    histograms UInt32 CODEC(ZSTD(1)),
    series UInt32 CODEC(ZSTD(1)),
    first_time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'of its oldest sample',
    last_time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)) COMMENT 'of its newest sample',
    broker LowCardinality(String),
    topic LowCardinality(String),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    kafka_time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(kafka_time)
ORDER BY (sender, kafka_time, kafka_offset)
TTL toDateTime(kafka_time) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000

-- statement
-- Every recorded offset, whatever its record became.
CREATE OR REPLACE VIEW recorded_offsets AS
SELECT broker, topic, kafka_partition, kafka_offset, kafka_time FROM events
UNION ALL
SELECT broker, topic, kafka_partition, kafka_offset, kafka_time FROM sample_blocks

-- statement
CREATE OR REPLACE VIEW completeness AS
SELECT
    broker, topic, kafka_partition,
    count() AS rows,
    uniqExact(kafka_offset) AS offsets,
    count() - uniqExact(kafka_offset) AS doubled,
    min(kafka_offset) AS first_offset,
    max(kafka_offset) AS last_offset,
    max(kafka_time) AS last_time
FROM recorded_offsets
GROUP BY broker, topic, kafka_partition

-- statement
-- Samples with their labels, stale markers left out. Name the metric and the time: WHERE name = 'up' AND time > …
CREATE OR REPLACE VIEW labelled_samples AS
SELECT
    s.time AS time, s.name AS name, l.sender AS sender, l.labels AS labels, s.series_id AS series_id, s.value AS value
FROM (SELECT name, series_id, time, value FROM samples FINAL
      WHERE reinterpretAsUInt64(value) != 0x7FF0000000000002) AS s
INNER JOIN (SELECT name, series_id, any(sender) AS sender, any(labels) AS labels FROM series GROUP BY name, series_id)
    AS l ON l.name = s.name AND l.series_id = s.series_id

-- statement
-- What each series is now, as an instant query of Prometheus sees it: its newest sample of the last five minutes,
-- unless it has ended with that.
CREATE OR REPLACE VIEW current_samples AS
SELECT
    n.name AS name, l.sender AS sender, l.labels AS labels, n.series_id AS series_id, n.at AS time, n.latest AS value
FROM (
    SELECT name, series_id, max(s.time) AS at, argMax(s.value, s.time) AS latest
    FROM samples AS s
    WHERE s.time > now64(3) - INTERVAL 5 MINUTE
    GROUP BY name, series_id
    HAVING reinterpretAsUInt64(latest) != 0x7FF0000000000002
) AS n
INNER JOIN (SELECT name, series_id, any(sender) AS sender, any(labels) AS labels FROM series GROUP BY name, series_id)
    AS l ON l.name = n.name AND l.series_id = n.series_id
