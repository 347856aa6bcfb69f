-- Roll-ups an hour, and views that carry the meaning of what is recorded.
-- A roll-up's rows also name the partition that they were counted from, and the month by which its rows are kept: one
-- recorder alone writes a partition, so it can count a partition's hour again while others go on, and what `events` has
-- dropped by its age is never counted again. Each has a deduplication window of its own: without one a repeated insert
-- would count twice here, though `events` has its rows once.
CREATE TABLE IF NOT EXISTS events_hourly
(
    hour DateTime('UTC') COMMENT 'of the event''s own time',
    event_type LowCardinality(String),
    cluster LowCardinality(String),
    namespace LowCardinality(String),
    kind LowCardinality(String),
    state LowCardinality(String) COMMENT 'of a drift, or the operation of a change',
    baseline LowCardinality(String),
    alert LowCardinality(String),
    severity LowCardinality(String),
    policy LowCardinality(String),
    mode LowCardinality(String),
    action LowCardinality(String),
    verdict LowCardinality(String),
    reason LowCardinality(String),
    outcome LowCardinality(String),
    manager LowCardinality(String),
    source LowCardinality(String),
    broker LowCardinality(String),
    topic LowCardinality(String),
    kafka_partition UInt16,
    month Date COMMENT 'of the records'' Kafka time',
    events SimpleAggregateFunction(sum, UInt64),
    first_at SimpleAggregateFunction(min, DateTime64(6, 'UTC')),
    last_at SimpleAggregateFunction(max, DateTime64(6, 'UTC'))
)
ENGINE = AggregatingMergeTree
PARTITION BY month
ORDER BY (hour, event_type, cluster, namespace, kind, state, baseline, alert, severity, policy, mode, action, verdict,
          reason, outcome, manager, source, broker, topic, kafka_partition, month)
TTL month + INTERVAL 1095 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000

-- statement
CREATE MATERIALIZED VIEW IF NOT EXISTS events_hourly_filling TO events_hourly AS
SELECT
    toStartOfHour(toDateTime(event_time, 'UTC')) AS hour,
    event_type, cluster, namespace, kind, state, baseline, alert, severity, policy, mode, action, verdict, reason,
    outcome, manager, source, broker, topic, kafka_partition,
    toStartOfMonth(kafka_time) AS month,
    count() AS events,
    min(event_time) AS first_at,
    max(event_time) AS last_at
FROM events
GROUP BY hour, event_type, cluster, namespace, kind, state, baseline, alert, severity, policy, mode, action, verdict,
    reason, outcome, manager, source, broker, topic, kafka_partition, month

-- statement
-- How long events take to get here: from their own time to their row's, in milliseconds.
CREATE TABLE IF NOT EXISTS delay_hourly
(
    hour DateTime('UTC') COMMENT 'of the event''s own time',
    event_type LowCardinality(String),
    broker LowCardinality(String),
    topic LowCardinality(String),
    kafka_partition UInt16,
    month Date COMMENT 'of the records'' Kafka time',
    events SimpleAggregateFunction(sum, UInt64),
    delay_ms AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float32),
    most_ms SimpleAggregateFunction(max, Float32)
)
ENGINE = AggregatingMergeTree
PARTITION BY month
ORDER BY (hour, event_type, broker, topic, kafka_partition, month)
TTL month + INTERVAL 1095 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000

-- statement
CREATE MATERIALIZED VIEW IF NOT EXISTS delay_hourly_filling TO delay_hourly AS
SELECT
    toStartOfHour(toDateTime(event_time, 'UTC')) AS hour,
    event_type, broker, topic, kafka_partition,
    toStartOfMonth(kafka_time) AS month,
    count() AS events,
    quantilesTDigestState(0.5, 0.95, 0.99)(toFloat32(dateDiff('millisecond', event_time, recorded_at))) AS delay_ms,
    max(toFloat32(dateDiff('millisecond', event_time, recorded_at))) AS most_ms
FROM events
GROUP BY hour, event_type, broker, topic, kafka_partition, month

-- statement
-- How long things took, in milliseconds: `detect` and `correct` of a drift and `resolve` of an alert, each from its
-- onset; `act` of an action from its start to its end, with its parts `plan`, `apply`, `verify`. `hour` is the end's.
CREATE TABLE IF NOT EXISTS durations_hourly
(
    hour DateTime('UTC'),
    what LowCardinality(String),
    cluster LowCardinality(String),
    namespace LowCardinality(String),
    kind LowCardinality(String),
    baseline LowCardinality(String),
    alert LowCardinality(String),
    policy LowCardinality(String),
    action LowCardinality(String),
    outcome LowCardinality(String),
    reason LowCardinality(String),
    broker LowCardinality(String),
    topic LowCardinality(String),
    kafka_partition UInt16,
    month Date COMMENT 'of the records'' Kafka time',
    events SimpleAggregateFunction(sum, UInt64),
    total_ms SimpleAggregateFunction(sum, Float64),
    took_ms AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float32),
    most_ms SimpleAggregateFunction(max, Float32)
)
ENGINE = AggregatingMergeTree
PARTITION BY month
ORDER BY (hour, what, cluster, namespace, kind, baseline, alert, policy, action, outcome, reason, broker, topic,
          kafka_partition, month)
TTL month + INTERVAL 1095 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000

-- statement
CREATE MATERIALIZED VIEW IF NOT EXISTS durations_hourly_filling TO durations_hourly AS
SELECT
    toStartOfHour(toDateTime(event_time, 'UTC')) AS hour,
    tupleElement(part, 1) AS what,
    cluster, namespace, kind, baseline, alert, policy, action, outcome, reason, broker, topic, kafka_partition,
    toStartOfMonth(kafka_time) AS month,
    count() AS events,
    sum(toFloat64(tupleElement(part, 2))) AS total_ms,
    quantilesTDigestState(0.5, 0.95, 0.99)(tupleElement(part, 2)) AS took_ms,
    max(tupleElement(part, 2)) AS most_ms
FROM events
ARRAY JOIN multiIf(
    event_type = 'drift.detected.v1' AND sequence = 0,
    [('detect', toFloat32(dateDiff('microsecond', onset, event_time) / 1000))],
    event_type = 'drift.cleared.v1',
    [('correct', toFloat32(dateDiff('microsecond', onset, event_time) / 1000))],
    event_type = 'alert.resolved.v1',
    [('resolve', toFloat32(dateDiff('microsecond', onset, event_time) / 1000))],
    event_type = 'action.finished.v1',
    [('plan', plan_ms), ('apply', apply_ms), ('verify', verify_ms),
     ('act', toFloat32(dateDiff('microsecond', started_at, event_time) / 1000))],
    []
) AS part
WHERE event_type IN ('drift.detected.v1', 'drift.cleared.v1', 'alert.resolved.v1', 'action.finished.v1')
GROUP BY hour, what, cluster, namespace, kind, baseline, alert, policy, action, outcome, reason, broker, topic,
    kafka_partition, month

-- statement
-- Numbers of an hour as they are read: add up `events`; of several hours or partitions, merge the roll-up's own states.
CREATE OR REPLACE VIEW ingest_delay AS
SELECT
    hour, topic,
    sum(delay_hourly.events) AS events,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(delay_ms) AS quantiles,
    quantiles[1] AS p50_ms,
    quantiles[2] AS p95_ms,
    quantiles[3] AS p99_ms,
    max(delay_hourly.most_ms) AS most_ms
FROM delay_hourly
GROUP BY hour, topic

-- statement
CREATE OR REPLACE VIEW durations AS
SELECT
    hour, what, cluster, namespace, kind, baseline, alert, policy, action, outcome, reason,
    sum(durations_hourly.events) AS events,
    sum(durations_hourly.total_ms) / sum(durations_hourly.events) AS mean_ms,
    quantilesTDigestMerge(0.5, 0.95, 0.99)(took_ms) AS quantiles,
    quantiles[1] AS p50_ms,
    quantiles[2] AS p95_ms,
    quantiles[3] AS p99_ms,
    max(durations_hourly.most_ms) AS most_ms
FROM durations_hourly
GROUP BY hour, what, cluster, namespace, kind, baseline, alert, policy, action, outcome, reason

-- statement
-- What is open, as before, and found by what has ended: of all that was closed in a year, nothing is put together.
CREATE OR REPLACE VIEW open_drifts AS
SELECT *
FROM drift_intervals
WHERE drift_id NOT IN (SELECT drift_id FROM events WHERE event_type = 'drift.cleared.v1')

-- statement
CREATE OR REPLACE VIEW open_alerts AS
SELECT *
FROM alerts
WHERE lasting AND alert_id NOT IN (SELECT alert_id FROM events WHERE event_type = 'alert.resolved.v1')

-- statement
CREATE OR REPLACE VIEW open_approvals AS
SELECT *
FROM approvals
WHERE asked_at IS NOT NULL
    AND approval_id NOT IN (SELECT approval_id FROM events WHERE event_type = 'approval.closed.v1')

-- statement
CREATE OR REPLACE VIEW changes AS
SELECT
    event_time AS changed_at, subject, cluster, api_group, kind, namespace, name, state AS operation, manager, paths,
    correlation_id
FROM events
WHERE event_type = 'change.observed.v1'

-- statement
-- Who changed watched objects, an hour, a kind and a namespace each; from the roll-up, so that months are a short read.
CREATE OR REPLACE VIEW changes_by_manager AS
SELECT
    hour, cluster, namespace, kind, manager, state AS operation,
    sum(events) AS changes,
    min(events_hourly.first_at) AS first_at,
    max(events_hourly.last_at) AS last_at
FROM events_hourly
WHERE event_type = 'change.observed.v1'
GROUP BY hour, cluster, namespace, kind, manager, operation

-- statement
-- Records that could not be read: where they stood, how long they were, and what is wrong with them. Their bytes stand
-- in the topic of the dead letters, and nowhere else. Recorded as events of the type `record.unreadable.v1`.
CREATE OR REPLACE VIEW dead_letters AS
SELECT
    event_time AS buried_at,
    JSONExtractString(payload, 'data', 'topic') AS original_topic,
    toUInt16(JSONExtractUInt(payload, 'data', 'partition')) AS original_partition,
    JSONExtractUInt(payload, 'data', 'offset') AS original_offset,
    JSONExtractUInt(payload, 'data', 'bytes') AS bytes,
    message AS error,
    broker,
    kafka_offset
FROM events
WHERE event_type = 'record.unreadable.v1'

-- statement
-- One row an alert that fired, with how far it came: fired, decided, asked, approved, acted on, and how that ended.
-- The counts are 0 where it did not come to that; `stage` is the furthest; what takes an action back does not count.
CREATE OR REPLACE VIEW alert_funnel AS
SELECT
    alert_id,
    anyIf(events.subject, event_type = 'alert.fired.v1') AS subject,
    anyIf(events.cluster, event_type = 'alert.fired.v1') AS cluster,
    anyIf(events.namespace, event_type = 'alert.fired.v1') AS namespace,
    anyIf(events.kind, event_type = 'alert.fired.v1') AS kind,
    anyIf(events.name, event_type = 'alert.fired.v1') AS name,
    anyIf(events.alert, event_type = 'alert.fired.v1') AS alert,
    anyIf(events.source, event_type = 'alert.fired.v1') AS source,
    argMaxIf(events.severity, event_time, event_type = 'alert.fired.v1') AS severity,
    minOrNullIf(event_time, event_type = 'alert.fired.v1') AS fired_at,
    countIf(event_type = 'alert.fired.v1') AS fired,
    countIf(event_type = 'decision.made.v1') AS decided,
    countIf(event_type = 'approval.requested.v1') AS asked,
    countIf(event_type = 'decision.made.v1' AND events.reason = 'approved') AS approved,
    countIf(event_type = 'action.started.v1' AND undoes = '') AS acted,
    countIf(event_type = 'action.finished.v1' AND undoes = '' AND events.outcome = 'succeeded') AS succeeded,
    argMaxIf(events.policy, (event_time, sequence), event_type = 'decision.made.v1') AS policy,
    argMaxIf(events.verdict, (event_time, sequence), event_type = 'decision.made.v1') AS verdict,
    argMaxIf(events.reason, (event_time, sequence), event_type = 'decision.made.v1') AS reason,
    argMaxIf(events.outcome, event_time, event_type = 'action.finished.v1' AND undoes = '') AS outcome,
    minOrNullIf(event_time, event_type = 'alert.resolved.v1') AS resolved_at,
    multiIf(acted > 0, if(outcome = '', 'acting', outcome), approved > 0, 'approved', asked > 0, 'asked',
            decided > 0, verdict, 'fired') AS stage,
    anyIf(events.correlation_id, event_type = 'alert.fired.v1') AS correlation_id
FROM events
WHERE event_type IN ('alert.fired.v1', 'alert.resolved.v1', 'decision.made.v1', 'approval.requested.v1',
                     'action.started.v1', 'action.finished.v1') AND alert_id != ''
GROUP BY alert_id
HAVING fired > 0

-- statement
-- Objects that two writers change back and forth, an hour each: where corrections were refused as a fight, or where a
-- field went from one writer to another and back to the first at least four times. Filter by `hour`. Only what at least
-- two writers changed six times is looked at field by field.
CREATE OR REPLACE VIEW fights AS
SELECT
    hour, subject, cluster, api_group, kind, namespace, name, refused, returns, writers, fields, message, policy,
    first_at, last_at, correlation_id
FROM
(
    SELECT
        *,
        arraySort(write -> write.1, writes) AS ordered,
        arrayDistinct(arrayFlatten(writes.3)) AS touched,
        arrayMap(field -> arrayCompact(arrayFilter(write -> has(write.3, field), ordered).2), touched) AS turns,
        arrayMap(
            writer -> arrayFilter((one, number) -> number > 2 AND writer[number - 2] = one, writer,
                                  arrayEnumerate(writer)),
            turns
        ) AS back,
        arrayMax(arrayPushBack(arrayMap(again -> length(again), back), 0)) AS returns,
        arraySort(arrayDistinct(arrayFlatten(back))) AS writers,
        arraySort(arrayFilter((field, again) -> notEmpty(again), touched, back)) AS fields
    FROM
    (
        SELECT
            toStartOfHour(toDateTime(event_time, 'UTC')) AS hour,
            cluster, api_group, kind, namespace, name,
            any(events.subject) AS subject,
            countIf(event_type = 'decision.made.v1') AS refused,
            groupArrayIf((event_time, manager, paths), event_type = 'change.observed.v1' AND manager != '') AS writes,
            argMaxIf(events.message, event_time, event_type = 'decision.made.v1') AS message,
            argMaxIf(events.policy, event_time, event_type = 'decision.made.v1') AS policy,
            argMaxIf(events.correlation_id, event_time, event_type = 'decision.made.v1') AS correlation_id,
            min(event_time) AS first_at,
            max(event_time) AS last_at
        FROM events
        WHERE event_type = 'change.observed.v1' OR (event_type = 'decision.made.v1' AND reason = 'fight')
        GROUP BY hour, cluster, api_group, kind, namespace, name
        HAVING refused > 0 OR (count() >= 6 AND min(manager) != max(manager))
    )
)
WHERE refused > 0 OR returns >= 4

-- statement
-- Everything that happened to one object, in words and in order: what changed, drifted, was alerted, decided, asked,
-- answered and done, with the correlation. Where the object was acted on because of an alert about something else (its
-- pod), the whole of that alert's story belongs. A parameterised view, so that it reads one object's rows and no more:
--   SELECT * FROM timeline(cluster = 'east', api_group = 'apps', kind = 'Deployment', namespace = 'payments',
--                          name = 'api', since = '2026-11-24 00:00:00', until = '2026-11-25 00:00:00')
--   ORDER BY event_time, place, kafka_offset
-- An empty `cluster` is any; `api_group` is '*' for any; `kind` is compared without case; an object without a namespace
-- has an empty one. `place` puts causes first: written in one transaction, a decision and its action carry one time.
CREATE OR REPLACE VIEW timeline AS
WITH
    spelled AS
    (
        SELECT DISTINCT kind
        FROM events_hourly
        WHERE lower(kind) = lower({kind:String})
    ),
    told AS
    (
        SELECT correlation_id
        FROM events
        WHERE event_time >= {since:DateTime64(6, 'UTC')} AND event_time <= {until:DateTime64(6, 'UTC')}
            AND event_type IN ('decision.made.v1', 'action.started.v1', 'action.finished.v1') AND acted_on != ''
            AND lower(splitByChar('/', acted_on)[-3]) = lower({kind:String})
            AND splitByChar('/', acted_on)[-2] = if({namespace:String} = '', '_', {namespace:String})
            AND splitByChar('/', acted_on)[-1] = {name:String}
            AND ({api_group:String} = '*'
                 OR splitByChar('/', acted_on)[-4] = if({api_group:String} = '', 'core', {api_group:String}))
            AND ({cluster:String} = ''
                 OR (startsWith(acted_on, concat({cluster:String}, '/'))
                     AND length(splitByChar('/', acted_on)) = length(splitByChar('/', {cluster:String})) + 4))
    ),
    asked AS
    (
        SELECT approval_id
        FROM events
        WHERE event_type = 'approval.requested.v1'
            AND ((kind IN (SELECT kind FROM spelled) AND namespace = {namespace:String} AND name = {name:String}
                  AND ({cluster:String} = '' OR cluster = {cluster:String})
                  AND ({api_group:String} = '*' OR api_group = {api_group:String}))
                 OR correlation_id IN (SELECT correlation_id FROM told))
    )
SELECT
    event_time,
    multiIf(
        event_type = 'drift.detected.v1', if(sequence > 0, 'drift updated', 'drift detected'),
        event_type = 'drift.cleared.v1', 'drift cleared',
        event_type = 'drift.attributed.v1', 'drift attributed',
        event_type = 'change.observed.v1', state,
        event_type = 'alert.fired.v1', concat('alert ', severity),
        event_type = 'alert.resolved.v1', 'alert resolved',
        event_type = 'decision.made.v1', concat('decision ', verdict),
        event_type = 'approval.requested.v1', 'approval asked',
        event_type = 'approval.answered.v1', 'approval answered',
        event_type = 'approval.refused.v1', 'answer refused',
        event_type = 'approval.closed.v1', concat('approval ', outcome),
        event_type = 'action.started.v1', 'action started',
        event_type = 'action.finished.v1', concat('action ', outcome),
        event_type = 'evidence.kept.v1', 'evidence kept',
        event_type = 'people.told.v1', 'people told',
        event_type
    ) AS what,
    concat(', question ', substring(approval_id, 1, 8)) AS question,
    concat(if(action = '', '', concat(', ', action)), if(acted_on = '', '', concat(' on ', acted_on))) AS doing,
    if(message = '', '', concat(': ', message)) AS said,
    dateDiff('microsecond', onset, event_time) / 1e6 AS seconds,
    concat(' after ', toString(multiIf(seconds >= 100, round(seconds), seconds >= 10, round(seconds, 1), seconds >= 1,
                                       round(seconds, 2), round(seconds, 3))), ' s') AS after,
    multiIf(
        event_type = 'drift.detected.v1', concat(
            multiIf(state = 'missing', 'object is missing', state = 'unwanted', 'object should not be there',
                    state = 'unjudged', 'no verdict', arrayStringConcat(paths, ', ')),
            ' (baseline ', baseline, if(revision = '', '', concat(' at ', substring(revision, 1, 12))), ', ', engine,
            if(reason = '', '', concat(', ', reason, said)), ')'
        ),
        event_type = 'drift.cleared.v1', concat(reason, after),
        event_type = 'drift.attributed.v1', concat(
            arrayStringConcat(arrayMap(path -> if(path = '', 'the whole object', path), paths), ', '),
            ' (by audit, after its end)'
        ),
        event_type = 'change.observed.v1', arrayStringConcat(paths, ', '),
        event_type = 'alert.fired.v1', concat(alert, if(words = '', '', concat(': ', words))),
        event_type = 'alert.resolved.v1', concat(alert, after),
        event_type = 'decision.made.v1', concat(
            reason, ' (policy ', if(policy = '', 'none', policy), ', ', mode, if(action = '', '', doing), ')', said
        ),
        event_type = 'approval.requested.v1', concat(action, ' by policy ', policy, question),
        event_type IN ('approval.answered.v1', 'approval.refused.v1'), concat(words, question),
        event_type = 'approval.closed.v1', concat(
            substring(question, 3), if(words = '', '', concat(': ', words))
        ),
        event_type = 'action.started.v1', concat(
            'attempt ', toString(sequence), ' of policy ', policy, if(action = '', '', doing),
            if(undoes = '', '', concat(', takes back ', substring(undoes, 1, 8)))
        ),
        event_type = 'action.finished.v1', concat(
            reason, ' (plan ', toString(round(plan_ms)), ' ms, apply ', toString(round(apply_ms)), ' ms, verify ',
            toString(round(verify_ms)), ' ms', if(action = '', '', doing), if(resumed, ', resumed', ''), ')', said
        ),
        event_type = 'evidence.kept.v1', words,
        message
    ) AS detail,
    multiIf(notEmpty(people), arrayStringConcat(people, ', '), manager != '', manager,
            arrayStringConcat(managers, ', ')) AS hands,
    trimLeft(concat(hands, if(empty(users), '', concat(' (', arrayStringConcat(users, ', '), ')')))) AS who,
    transform(topic, ['setpoint-changes', 'setpoint-alerts', 'setpoint-drift', 'setpoint-decisions',
                      'setpoint-approvals', 'setpoint-actions'], [1, 2, 3, 4, 5, 6], 0) AS place,
    event_type, subject, cluster, api_group, kind, namespace, name, state, engine, manager, managers, users, people,
    paths, baseline, revision, alert, severity, policy, mode, action, acted_on, step, undoes, verdict, reason, outcome,
    message, words, sequence, onset, plan_ms, apply_ms, verify_ms, resumed, drift_id, alert_id, decision_id,
    approval_id, action_id, correlation_id, topic, kafka_partition, kafka_offset
FROM events
WHERE event_time >= {since:DateTime64(6, 'UTC')} AND event_time <= {until:DateTime64(6, 'UTC')}
    AND ((kind IN (SELECT kind FROM spelled) AND namespace = {namespace:String} AND name = {name:String}
          AND ({cluster:String} = '' OR cluster = {cluster:String})
          AND ({api_group:String} = '*' OR api_group = {api_group:String}))
         OR (event_type NOT IN ('change.observed.v1', 'metric.sampled.v1')
             AND correlation_id IN (SELECT correlation_id FROM told))
         OR (event_type IN ('approval.requested.v1', 'approval.answered.v1', 'approval.refused.v1',
                            'approval.closed.v1')
             AND approval_id IN (SELECT approval_id FROM asked)))

-- statement
-- fill events_hourly delay_hourly durations_hourly
