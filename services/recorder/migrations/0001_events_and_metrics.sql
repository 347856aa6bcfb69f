-- One row a record: the audit truth. Sorted by type and then by object, so that one object's history, and all of one
-- kind of event, are both short reads. Partitions and TTL go by the record's own Kafka time: it is the same at every
-- delivery, which deduplication of a repeated insert needs.
-- The recorder writes the original bytes and their place; every other column is taken from the bytes here, so that a
-- column never says something else than its event. `e` is the event as far as columns need it, parsed once a row and
-- not kept; one column must name it whole (event_id does), or its parts are not found.
CREATE TABLE IF NOT EXISTS events
(
    payload String CODEC(ZSTD(1)),
    broker LowCardinality(String),
    topic LowCardinality(String),
    kafka_partition UInt16,
    kafka_offset UInt64 CODEC(Delta(8), ZSTD(1)),
    kafka_time DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    e Tuple(
        type String, id String, source String, subject String, time String, correlationid String, causationid String,
        data Tuple(
            target Tuple(cluster String, group String, kind String, namespace String, name String),
            scope Tuple(cluster String, namespace String),
            trigger Tuple(id String),
            fields Array(Tuple(path String, manager String)), paths Array(String),
            name String, kind String, by String, drift_id String, decision_id String, action_id String,
            baseline String, policy String, mode String, verdict String, reason String, outcome String,
            state String, operation String, engine String, engine_reason String, manager String, message String,
            attempt UInt32, update UInt32, evaluation UInt32, onset String, started_at String,
            plan_ms Float32, apply_ms Float32, verify_ms Float32, resumed UInt8
        )
    ) EPHEMERAL JSONExtract(payload, 'Tuple(
        type String, id String, source String, subject String, time String, correlationid String, causationid String,
        data Tuple(
            target Tuple(cluster String, group String, kind String, namespace String, name String),
            scope Tuple(cluster String, namespace String),
            trigger Tuple(id String),
            fields Array(Tuple(path String, manager String)), paths Array(String),
            name String, kind String, by String, drift_id String, decision_id String, action_id String,
            baseline String, policy String, mode String, verdict String, reason String, outcome String,
            state String, operation String, engine String, engine_reason String, manager String, message String,
            attempt UInt32, update UInt32, evaluation UInt32, onset String, started_at String,
            plan_ms Float32, apply_ms Float32, verify_ms Float32, resumed UInt8
        )
    )'),
    event_id String DEFAULT tupleElement(e, 'id') CODEC(ZSTD(1)),
    event_time DateTime64(6, 'UTC') DEFAULT parseDateTime64BestEffortOrZero(e.time, 6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    event_type LowCardinality(String) DEFAULT replaceOne(e.type, 'dev.setpoint.', ''),
    source LowCardinality(String) DEFAULT e.source,
    subject String DEFAULT e.subject CODEC(ZSTD(1)),
    cluster LowCardinality(String) DEFAULT if(e.data.target.cluster != '', e.data.target.cluster, e.data.scope.cluster),
    api_group LowCardinality(String) DEFAULT e.data.target.group,
    kind LowCardinality(String) DEFAULT e.data.target.kind,
    namespace LowCardinality(String)
        DEFAULT if(e.data.target.namespace != '', e.data.target.namespace, e.data.scope.namespace),
    name String DEFAULT if(e.data.target.name != '', e.data.target.name, e.data.name) CODEC(ZSTD(1)),
    correlation_id String DEFAULT e.correlationid CODEC(ZSTD(1)),
    causation_id String DEFAULT e.causationid CODEC(ZSTD(1)),
    drift_id String DEFAULT e.data.drift_id CODEC(ZSTD(1)),
    decision_id String DEFAULT e.data.decision_id CODEC(ZSTD(1)),
    action_id String DEFAULT e.data.action_id CODEC(ZSTD(1)),
    trigger_id String DEFAULT e.data.trigger.id CODEC(ZSTD(1)),
    baseline LowCardinality(String) DEFAULT e.data.baseline,
    policy LowCardinality(String) DEFAULT e.data.policy,
    mode LowCardinality(String) DEFAULT e.data.mode,
    verdict LowCardinality(String) DEFAULT e.data.verdict,
    reason LowCardinality(String) DEFAULT e.data.reason,
    outcome LowCardinality(String) DEFAULT e.data.outcome,
    state LowCardinality(String)
        DEFAULT multiIf(e.data.state != '', e.data.state, e.data.operation != '', e.data.operation, e.data.kind)
        COMMENT 'of a drift, the operation of a change, or the kind of a control',
    engine LowCardinality(String) DEFAULT e.data.engine,
    manager LowCardinality(String) DEFAULT if(e.data.manager != '', e.data.manager, e.data.by),
    managers Array(LowCardinality(String))
        DEFAULT arraySort(arrayDistinct(arrayFilter(manager -> manager != '', e.data.fields.manager))),
    paths Array(String) DEFAULT if(notEmpty(e.data.fields), e.data.fields.path, e.data.paths) CODEC(ZSTD(1)),
    message String DEFAULT if(e.data.message != '', e.data.message, e.data.engine_reason) CODEC(ZSTD(1)),
    sequence UInt32 DEFAULT greatest(e.data.attempt, e.data.update, e.data.evaluation)
        COMMENT 'attempt, update or evaluation',
    onset DateTime64(6, 'UTC') DEFAULT parseDateTime64BestEffortOrZero(e.data.onset, 6, 'UTC')
        CODEC(Delta(8), ZSTD(1)),
    started_at DateTime64(6, 'UTC') DEFAULT parseDateTime64BestEffortOrZero(e.data.started_at, 6, 'UTC')
        CODEC(Delta(8), ZSTD(1)),
    plan_ms Float32 DEFAULT e.data.plan_ms,
    apply_ms Float32 DEFAULT e.data.apply_ms,
    verify_ms Float32 DEFAULT e.data.verify_ms,
    resumed UInt8 DEFAULT e.data.resumed,
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
