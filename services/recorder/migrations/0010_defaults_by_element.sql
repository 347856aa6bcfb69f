-- The same values as before, for less: an insert works every default out anew, however few its rows are, and each
-- `e.data.x` in one costs 0.8 ms of CPU at that; named as the element of a tuple it costs half. Measured on inserts of
-- one row: 38 ms before, 20 after, and some 15 for the roll-ups besides.
ALTER TABLE events
    MODIFY COLUMN event_time DateTime64(6, 'UTC')
        DEFAULT parseDateTime64BestEffortOrZero(tupleElement(e, 'time'), 6, 'UTC'),
    MODIFY COLUMN event_type LowCardinality(String) DEFAULT replaceOne(tupleElement(e, 'type'), 'dev.setpoint.', ''),
    MODIFY COLUMN source LowCardinality(String) DEFAULT tupleElement(e, 'source'),
    MODIFY COLUMN subject String DEFAULT tupleElement(e, 'subject'),
    MODIFY COLUMN cluster LowCardinality(String)
        DEFAULT multiIf(
            tupleElement(tupleElement(tupleElement(e, 'data'), 'target'), 'cluster') != '',
            tupleElement(tupleElement(tupleElement(e, 'data'), 'target'), 'cluster'),
            tupleElement(tupleElement(tupleElement(e, 'data'), 'scope'), 'cluster') != '',
            tupleElement(tupleElement(tupleElement(e, 'data'), 'scope'), 'cluster'),
            event_type IN ('approval.answered.v1', 'audit.observed.v1'),
            JSONExtractString(payload, 'data', 'cluster'),
            ''
        ),
    MODIFY COLUMN api_group LowCardinality(String)
        DEFAULT if(
            event_type = 'audit.observed.v1',
            JSONExtractString(payload, 'data', 'group'),
            tupleElement(tupleElement(tupleElement(e, 'data'), 'target'), 'group')
        ),
    MODIFY COLUMN kind LowCardinality(String)
        DEFAULT tupleElement(tupleElement(tupleElement(e, 'data'), 'target'), 'kind'),
    MODIFY COLUMN namespace LowCardinality(String)
        DEFAULT multiIf(
            tupleElement(tupleElement(tupleElement(e, 'data'), 'target'), 'namespace') != '',
            tupleElement(tupleElement(tupleElement(e, 'data'), 'target'), 'namespace'),
            tupleElement(tupleElement(tupleElement(e, 'data'), 'scope'), 'namespace') != '',
            tupleElement(tupleElement(tupleElement(e, 'data'), 'scope'), 'namespace'),
            event_type = 'audit.observed.v1',
            JSONExtractString(payload, 'data', 'namespace'),
            ''
        ),
    MODIFY COLUMN name String
        DEFAULT if(
            tupleElement(tupleElement(tupleElement(e, 'data'), 'target'), 'name') != '',
            tupleElement(tupleElement(tupleElement(e, 'data'), 'target'), 'name'),
            tupleElement(tupleElement(e, 'data'), 'name')
        ),
    MODIFY COLUMN correlation_id String DEFAULT tupleElement(e, 'correlationid'),
    MODIFY COLUMN causation_id String DEFAULT tupleElement(e, 'causationid'),
    MODIFY COLUMN drift_id String DEFAULT tupleElement(tupleElement(e, 'data'), 'drift_id'),
    MODIFY COLUMN decision_id String DEFAULT tupleElement(tupleElement(e, 'data'), 'decision_id'),
    MODIFY COLUMN action_id String DEFAULT tupleElement(tupleElement(e, 'data'), 'action_id'),
    MODIFY COLUMN trigger_id String DEFAULT tupleElement(tupleElement(tupleElement(e, 'data'), 'trigger'), 'id'),
    MODIFY COLUMN baseline LowCardinality(String) DEFAULT tupleElement(tupleElement(e, 'data'), 'baseline'),
    MODIFY COLUMN policy LowCardinality(String) DEFAULT tupleElement(tupleElement(e, 'data'), 'policy'),
    MODIFY COLUMN mode LowCardinality(String) DEFAULT tupleElement(tupleElement(e, 'data'), 'mode'),
    MODIFY COLUMN verdict LowCardinality(String) DEFAULT tupleElement(tupleElement(e, 'data'), 'verdict'),
    MODIFY COLUMN reason LowCardinality(String) DEFAULT tupleElement(tupleElement(e, 'data'), 'reason'),
    MODIFY COLUMN outcome LowCardinality(String) DEFAULT tupleElement(tupleElement(e, 'data'), 'outcome'),
    MODIFY COLUMN state LowCardinality(String)
        DEFAULT multiIf(
            tupleElement(tupleElement(e, 'data'), 'state') != '',
            tupleElement(tupleElement(e, 'data'), 'state'),
            tupleElement(tupleElement(e, 'data'), 'operation') != '',
            tupleElement(tupleElement(e, 'data'), 'operation'),
            tupleElement(tupleElement(e, 'data'), 'kind')
        ),
    MODIFY COLUMN engine LowCardinality(String) DEFAULT tupleElement(tupleElement(e, 'data'), 'engine'),
    MODIFY COLUMN manager LowCardinality(String)
        DEFAULT if(
            tupleElement(tupleElement(e, 'data'), 'manager') != '',
            tupleElement(tupleElement(e, 'data'), 'manager'),
            tupleElement(tupleElement(e, 'data'), 'by')
        ),
    MODIFY COLUMN managers Array(LowCardinality(String))
        DEFAULT arraySort(arrayDistinct(arrayFilter(
            manager -> manager != '',
            tupleElement(tupleElement(tupleElement(e, 'data'), 'fields'), 'manager')
        ))),
    MODIFY COLUMN paths Array(String)
        DEFAULT if(
            notEmpty(tupleElement(tupleElement(e, 'data'), 'fields')),
            tupleElement(tupleElement(tupleElement(e, 'data'), 'fields'), 'path'),
            tupleElement(tupleElement(e, 'data'), 'paths')
        ),
    MODIFY COLUMN message String
        DEFAULT if(
            tupleElement(tupleElement(e, 'data'), 'message') != '',
            tupleElement(tupleElement(e, 'data'), 'message'),
            tupleElement(tupleElement(e, 'data'), 'engine_reason')
        ),
    MODIFY COLUMN sequence UInt32
        DEFAULT greatest(
            tupleElement(tupleElement(e, 'data'), 'attempt'),
            tupleElement(tupleElement(e, 'data'), 'update'),
            tupleElement(tupleElement(e, 'data'), 'evaluation')
        ),
    MODIFY COLUMN onset DateTime64(6, 'UTC')
        DEFAULT parseDateTime64BestEffortOrZero(tupleElement(tupleElement(e, 'data'), 'onset'), 6, 'UTC'),
    MODIFY COLUMN started_at DateTime64(6, 'UTC')
        DEFAULT parseDateTime64BestEffortOrZero(tupleElement(tupleElement(e, 'data'), 'started_at'), 6, 'UTC'),
    MODIFY COLUMN plan_ms Float32 DEFAULT tupleElement(tupleElement(e, 'data'), 'plan_ms'),
    MODIFY COLUMN apply_ms Float32 DEFAULT tupleElement(tupleElement(e, 'data'), 'apply_ms'),
    MODIFY COLUMN verify_ms Float32 DEFAULT tupleElement(tupleElement(e, 'data'), 'verify_ms'),
    MODIFY COLUMN resumed UInt8 DEFAULT tupleElement(tupleElement(e, 'data'), 'resumed')
