-- What drift says beside its fields: the source's revision, and the users that audit events named. Both are taken from
-- the payload itself, for drift only: a column that is added later cannot stand on the ephemeral `e`, since rows that
-- are there already have none.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS users Array(LowCardinality(String))
        DEFAULT if(
            event_type IN ('drift.detected.v1', 'drift.attributed.v1') AND position(payload, '"user":"') > 0,
            arraySort(arrayDistinct(arrayFilter(user -> user != '', arrayPushBack(
                JSONExtract(payload, 'data', 'fields', 'Array(Tuple(user String))').user,
                JSONExtractString(payload, 'data', 'user')
            )))),
            []
        )
        AFTER managers,
    ADD COLUMN IF NOT EXISTS revision String
        DEFAULT if(event_type = 'drift.detected.v1', JSONExtractString(payload, 'data', 'revision'), '')
        CODEC(ZSTD(1)) AFTER baseline

-- statement
-- One row a life of a drift, as before, and with its reason, its revision and its users.
CREATE OR REPLACE VIEW drift_intervals AS
SELECT
    drift_id,
    any(subject) AS subject,
    any(cluster) AS cluster,
    any(api_group) AS api_group,
    any(kind) AS kind,
    any(namespace) AS namespace,
    any(name) AS name,
    any(baseline) AS baseline,
    argMaxIf(events.revision, (sequence, event_time), event_type = 'drift.detected.v1') AS revision,
    min(onset) AS onset,
    minOrNullIf(event_time, event_type = 'drift.detected.v1') AS detected_at,
    minOrNullIf(event_time, event_type = 'drift.cleared.v1') AS cleared_at,
    argMaxIf(state, (sequence, event_time), event_type = 'drift.detected.v1') AS state,
    argMaxIf(engine, (sequence, event_time), event_type = 'drift.detected.v1') AS engine,
    argMaxIf(events.reason, (sequence, event_time), event_type = 'drift.detected.v1') AS reason,
    argMaxIf(events.message, (sequence, event_time), event_type = 'drift.detected.v1') AS message,
    argMaxIf(paths, (sequence, event_time), event_type = 'drift.detected.v1') AS fields,
    arraySort(groupUniqArrayArray(events.managers)) AS managers,
    arraySort(groupUniqArrayArray(events.users)) AS users,
    countIf(event_type = 'drift.detected.v1') AS reports,
    anyIf(events.reason, event_type = 'drift.cleared.v1') AS cleared_reason,
    anyIf(manager, event_type = 'drift.cleared.v1') AS cleared_by,
    any(correlation_id) AS correlation_id
FROM events
WHERE event_type IN ('drift.detected.v1', 'drift.cleared.v1', 'drift.attributed.v1')
GROUP BY drift_id

-- statement
CREATE OR REPLACE VIEW open_drifts AS
SELECT * FROM drift_intervals WHERE cleared_at IS NULL
