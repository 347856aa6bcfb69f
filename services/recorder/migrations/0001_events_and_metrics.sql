-- One row a record: the audit truth. Sorted by type and then by object, so that one object's history, and all of one
-- kind of event, are both short reads. Partitions and TTL go by the record's own Kafka time: it is the same at every
-- delivery, which deduplication of a repeated insert needs.
CREATE TABLE IF NOT EXISTS events
(
    event_time DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    event_id String CODEC(ZSTD(1)),
    event_type LowCardinality(String),
    source LowCardinality(String),
    subject String CODEC(ZSTD(1)),
    cluster LowCardinality(String),
    api_group LowCardinality(String),
    kind LowCardinality(String),
    namespace LowCardinality(String),
    name String CODEC(ZSTD(1)),
    correlation_id String CODEC(ZSTD(1)),
    causation_id String CODEC(ZSTD(1)),
    drift_id String CODEC(ZSTD(1)),
    decision_id String CODEC(ZSTD(1)),
    action_id String CODEC(ZSTD(1)),
    trigger_id String CODEC(ZSTD(1)),
    baseline LowCardinality(String),
    policy LowCardinality(String),
    mode LowCardinality(String),
    verdict LowCardinality(String),
    reason LowCardinality(String),
    outcome LowCardinality(String),
    state LowCardinality(String) COMMENT 'of a drift, the operation of a change, or the kind of a control',
    engine LowCardinality(String),
    manager LowCardinality(String),
    managers Array(LowCardinality(String)),
    paths Array(String) CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    sequence UInt32 COMMENT 'attempt, update or evaluation',
    onset DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    started_at DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    plan_ms Float32,
    apply_ms Float32,
    verify_ms Float32,
    resumed UInt8,
    payload String CODEC(ZSTD(1)),
    broker LowCardinality(String),
    topic LowCardinality(String),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    kafka_time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    INDEX by_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_drift drift_id TYPE bloom_filter(0.01) GRANULARITY 2,
    INDEX by_correlation correlation_id TYPE bloom_filter(0.01) GRANULARITY 2
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(kafka_time)
ORDER BY (event_type, cluster, kind, namespace, name, event_time)
TTL toDateTime(kafka_time) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000

-- statement
-- One row a sample of one series.
CREATE TABLE IF NOT EXISTS metrics
(
    time DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    name LowCardinality(String),
    value Float64 CODEC(ZSTD(1)),
    labels Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    source LowCardinality(String),
    broker LowCardinality(String),
    topic LowCardinality(String),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    sample UInt16,
    kafka_time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    INDEX by_time time TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(kafka_time)
ORDER BY (name, source, time)
TTL toDateTime(kafka_time) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
