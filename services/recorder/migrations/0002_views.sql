-- One row a life of a drift: from its onset to its end, NULL where it has not come to that.
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
    min(onset) AS onset,
    minOrNullIf(event_time, event_type = 'drift.detected.v1') AS detected_at,
    minOrNullIf(event_time, event_type = 'drift.cleared.v1') AS cleared_at,
    argMaxIf(state, (sequence, event_time), event_type = 'drift.detected.v1') AS state,
    argMaxIf(engine, (sequence, event_time), event_type = 'drift.detected.v1') AS engine,
    argMaxIf(paths, (sequence, event_time), event_type = 'drift.detected.v1') AS fields,
    arraySort(groupUniqArrayArrayIf(managers, event_type = 'drift.detected.v1')) AS managers,
    countIf(event_type = 'drift.detected.v1') AS reports,
    anyIf(reason, event_type = 'drift.cleared.v1') AS cleared_reason,
    anyIf(manager, event_type = 'drift.cleared.v1') AS cleared_by,
    any(correlation_id) AS correlation_id
FROM events
WHERE event_type IN ('drift.detected.v1', 'drift.cleared.v1')
GROUP BY drift_id

-- statement
CREATE OR REPLACE VIEW open_drifts AS
SELECT * FROM drift_intervals WHERE cleared_at IS NULL

-- statement
CREATE OR REPLACE VIEW decisions AS
SELECT
    event_time AS decided_at, decision_id, subject, cluster, api_group, kind, namespace, name, drift_id, trigger_id,
    policy, mode, verdict, reason, message, action_id, sequence AS evaluation, correlation_id
FROM events
WHERE event_type = 'decision.made.v1'

-- statement
-- Started and finished joined by the action's id; one that never finished has an empty outcome and no end.
CREATE OR REPLACE VIEW actions AS
SELECT
    action_id,
    any(subject) AS subject,
    any(cluster) AS cluster,
    any(api_group) AS api_group,
    any(kind) AS kind,
    any(namespace) AS namespace,
    any(name) AS name,
    any(drift_id) AS drift_id,
    anyIf(decision_id, event_type = 'action.started.v1') AS decision_id,
    any(policy) AS policy,
    max(sequence) AS attempt,
    ifNull(minOrNullIf(event_time, event_type = 'action.started.v1'),
           minIf(events.started_at, event_type = 'action.finished.v1')) AS begun_at,
    maxOrNullIf(event_time, event_type = 'action.finished.v1') AS finished_at,
    anyIf(outcome, event_type = 'action.finished.v1') AS outcome,
    anyIf(reason, event_type = 'action.finished.v1') AS reason,
    anyIf(message, event_type = 'action.finished.v1') AS message,
    maxIf(plan_ms, event_type = 'action.finished.v1') AS plan_ms,
    maxIf(apply_ms, event_type = 'action.finished.v1') AS apply_ms,
    maxIf(verify_ms, event_type = 'action.finished.v1') AS verify_ms,
    maxIf(resumed, event_type = 'action.finished.v1') AS resumed,
    any(correlation_id) AS correlation_id
FROM events
WHERE event_type IN ('action.started.v1', 'action.finished.v1')
GROUP BY action_id

-- statement
CREATE OR REPLACE VIEW changes AS
SELECT
    event_time AS changed_at, subject, cluster, api_group, kind, namespace, name, state AS operation, manager, paths
FROM events
WHERE event_type = 'change.observed.v1'

-- statement
-- One row a drift: what happened when, and how many milliseconds lie between.
CREATE OR REPLACE VIEW time_to_correct AS
SELECT
    d.drift_id AS drift_id,
    d.subject AS subject,
    d.cluster AS cluster,
    d.namespace AS namespace,
    d.baseline AS baseline,
    d.onset AS onset,
    d.detected_at AS detected_at,
    n.decided_at AS decided_at,
    a.started_at AS action_started_at,
    a.finished_at AS action_finished_at,
    d.cleared_at AS cleared_at,
    a.outcome AS outcome,
    a.attempts AS attempts,
    dateDiff('microsecond', d.onset, d.detected_at) / 1000 AS detect_ms,
    dateDiff('microsecond', d.detected_at, n.decided_at) / 1000 AS decide_ms,
    dateDiff('microsecond', a.started_at, a.finished_at) / 1000 AS act_ms,
    dateDiff('microsecond', d.detected_at, d.cleared_at) / 1000 AS correct_ms,
    dateDiff('microsecond', d.onset, d.cleared_at) / 1000 AS total_ms
FROM drift_intervals AS d
LEFT JOIN
(
    SELECT drift_id, minOrNull(event_time) AS decided_at
    FROM events
    WHERE event_type = 'decision.made.v1' AND drift_id != ''
    GROUP BY drift_id
) AS n ON n.drift_id = d.drift_id
LEFT JOIN
(
    SELECT drift_id, minOrNull(begun_at) AS started_at, maxOrNull(actions.finished_at) AS finished_at,
        argMax(actions.outcome, actions.begun_at) AS outcome, count() AS attempts
    FROM actions
    WHERE drift_id != ''
    GROUP BY drift_id
) AS a ON a.drift_id = d.drift_id

-- statement
-- Each partition's record, proved by offsets: `doubled` and `missing` must be 0. A gap in offsets is no loss (markers of
-- transactions and compaction leave them), so what is missing is asked of the broker by 'setpoint doctor'.
CREATE OR REPLACE VIEW completeness AS
SELECT
    broker, topic, kafka_partition,
    count() AS rows,
    uniqExact(kafka_offset) AS offsets,
    count() - uniqExact(kafka_offset) AS doubled,
    min(kafka_offset) AS first_offset,
    max(kafka_offset) AS last_offset,
    max(kafka_time) AS last_time
FROM events
GROUP BY broker, topic, kafka_partition
