-- What every question about alerts asks for was parsed out of the payload of every alert ever told: where an alert is
-- from, and whether it lasts. Both are columns now. Rows that are there get theirs in the background; until an old part
-- has been written anew, its values are taken from the payload as before.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS alert_source LowCardinality(String)
        DEFAULT JSONExtractString(
            if(event_type IN ('alert.fired.v1', 'alert.resolved.v1'), payload, ''), 'data', 'source'
        )
        COMMENT 'who told an alert: falco, alertmanager, …' AFTER alert,
    ADD COLUMN IF NOT EXISTS lasting UInt8
        DEFAULT JSONExtractBool(if(event_type = 'alert.fired.v1', payload, ''), 'data', 'lasting')
        COMMENT 'an alert that goes on until it is resolved' AFTER severity

-- statement
ALTER TABLE events
    MATERIALIZE COLUMN alert_source,
    MATERIALIZE COLUMN lasting
    SETTINGS mutations_sync = 0

-- statement
-- One row a life of an alert, as before; the payload is read only where its sender, labels or url are asked for.
CREATE OR REPLACE VIEW alerts AS
SELECT
    alert_id,
    any(subject) AS subject,
    any(cluster) AS cluster,
    any(api_group) AS api_group,
    any(kind) AS kind,
    any(namespace) AS namespace,
    any(name) AS name,
    any(events.alert) AS alert,
    any(alert_source) AS source,
    any(JSONExtractString(payload, 'data', 'sender')) AS sender,
    argMaxIf(events.severity, event_time, event_type = 'alert.fired.v1') AS severity,
    maxIf(events.lasting, event_type = 'alert.fired.v1') AS lasting,
    min(events.onset) AS onset,
    minOrNullIf(event_time, event_type = 'alert.fired.v1') AS fired_at,
    maxOrNullIf(event_time, event_type = 'alert.fired.v1') AS last_fired_at,
    minOrNullIf(event_time, event_type = 'alert.resolved.v1') AS resolved_at,
    greatest(countIf(event_type = 'alert.fired.v1'), 1) - 1 AS repeats,
    argMaxIf(words, event_time, event_type = 'alert.fired.v1') AS summary,
    argMaxIf(JSONExtract(payload, 'data', 'labels', 'Map(String, String)'), event_time,
             event_type = 'alert.fired.v1') AS labels,
    argMaxIf(JSONExtractString(payload, 'data', 'url'), event_time, event_type = 'alert.fired.v1') AS url,
    any(correlation_id) AS correlation_id
FROM events
WHERE event_type IN ('alert.fired.v1', 'alert.resolved.v1')
GROUP BY alert_id

-- statement
-- One row an alert that fired, with how far it came, as before; its source is now the alert's own, as in `alerts`. No
-- name of a result is a column's where both could be meant, so it says the same whichever of the two a server prefers.
CREATE OR REPLACE VIEW alert_funnel AS
SELECT
    alert_id, subject, cluster, namespace, kind, name, alert, source, severity, fired_at, fired, decided, asked,
    approved, acted, succeeded, policy, last_verdict AS verdict, last_reason AS reason, last_outcome AS outcome,
    resolved_at,
    multiIf(acted > 0, if(last_outcome = '', 'acting', last_outcome), approved > 0, 'approved', asked > 0, 'asked',
            decided > 0, last_verdict, 'fired') AS stage,
    correlation_id
FROM
(
    SELECT
        alert_id,
        anyIf(events.subject, event_type = 'alert.fired.v1') AS subject,
        anyIf(events.cluster, event_type = 'alert.fired.v1') AS cluster,
        anyIf(events.namespace, event_type = 'alert.fired.v1') AS namespace,
        anyIf(events.kind, event_type = 'alert.fired.v1') AS kind,
        anyIf(events.name, event_type = 'alert.fired.v1') AS name,
        anyIf(events.alert, event_type = 'alert.fired.v1') AS alert,
        anyIf(events.alert_source, event_type = 'alert.fired.v1') AS source,
        argMaxIf(events.severity, event_time, event_type = 'alert.fired.v1') AS severity,
        minOrNullIf(event_time, event_type = 'alert.fired.v1') AS fired_at,
        countIf(event_type = 'alert.fired.v1') AS fired,
        countIf(event_type = 'decision.made.v1') AS decided,
        countIf(event_type = 'approval.requested.v1') AS asked,
        countIf(event_type = 'decision.made.v1' AND events.reason = 'approved') AS approved,
        countIf(event_type = 'action.started.v1' AND undoes = '') AS acted,
        countIf(event_type = 'action.finished.v1' AND undoes = '' AND events.outcome = 'succeeded') AS succeeded,
        argMaxIf(events.policy, (event_time, sequence), event_type = 'decision.made.v1') AS policy,
        argMaxIf(events.verdict, (event_time, sequence), event_type = 'decision.made.v1') AS last_verdict,
        argMaxIf(events.reason, (event_time, sequence), event_type = 'decision.made.v1') AS last_reason,
        argMaxIf(events.outcome, event_time, event_type = 'action.finished.v1' AND undoes = '') AS last_outcome,
        minOrNullIf(event_time, event_type = 'alert.resolved.v1') AS resolved_at,
        anyIf(events.correlation_id, event_type = 'alert.fired.v1') AS correlation_id
    FROM events
    WHERE event_type IN ('alert.fired.v1', 'alert.resolved.v1', 'decision.made.v1', 'approval.requested.v1',
                         'action.started.v1', 'action.finished.v1') AND alert_id != ''
    GROUP BY alert_id
)
WHERE fired > 0

-- statement
-- One row an alert that something was done about, as before, and with what tells Falco's alerts and an object's kind.
CREATE OR REPLACE VIEW time_to_act AS
SELECT
    a.alert_id AS alert_id,
    a.alert AS alert,
    a.source AS source,
    a.subject AS subject,
    a.cluster AS cluster,
    a.namespace AS namespace,
    a.kind AS kind,
    a.onset AS onset,
    a.fired_at AS fired_at,
    d.decided_at AS decided_at,
    d.policy AS policy,
    x.started_at AS action_started_at,
    x.finished_at AS action_finished_at,
    x.action AS action,
    x.outcome AS outcome,
    x.actions AS actions,
    p.waited_ms AS waited_ms,
    a.resolved_at AS resolved_at,
    dateDiff('microsecond', a.fired_at, d.decided_at) / 1000 AS decide_ms,
    dateDiff('microsecond', x.started_at, x.finished_at) / 1000 AS act_ms,
    dateDiff('microsecond', a.fired_at, x.finished_at) / 1000 AS total_ms
FROM alerts AS a
INNER JOIN
(
    SELECT alert_id, minOrNull(event_time) AS decided_at, argMin(policy, event_time) AS policy
    FROM events
    WHERE event_type = 'decision.made.v1' AND alert_id != ''
    GROUP BY alert_id
) AS d ON d.alert_id = a.alert_id
LEFT JOIN
(
    SELECT alert_id, minOrNull(begun_at) AS started_at, maxOrNull(actions.finished_at) AS finished_at,
        argMin(actions.action, actions.begun_at) AS action, argMax(actions.outcome, actions.begun_at) AS outcome,
        count() AS actions
    FROM actions
    WHERE alert_id != '' AND undoes = ''
    GROUP BY alert_id
) AS x ON x.alert_id = a.alert_id
LEFT JOIN
(
    SELECT alert_id, sum(approvals.waited_ms) AS waited_ms
    FROM approvals
    WHERE alert_id != ''
    GROUP BY alert_id
) AS p ON p.alert_id = a.alert_id

-- statement
-- One row a drift, as before, and with the kind of its object.
CREATE OR REPLACE VIEW time_to_correct AS
SELECT
    d.drift_id AS drift_id,
    d.subject AS subject,
    d.cluster AS cluster,
    d.namespace AS namespace,
    d.kind AS kind,
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
-- Objects that two writers change back and forth, an hour each, as before, for less: until the end a write is a number
-- (its microsecond within the hour and the hash of its writer), a field is the hash of its path, and the subject is put
-- together of the parts that rows are grouped by. Filter by `hour`. Only what at least two writers changed six
-- times is looked at field by field.
CREATE OR REPLACE VIEW fights AS
SELECT
    hour,
    concat(cluster, '/', if(api_group = '', 'core', api_group), '/', kind, '/', if(namespace = '', '_', namespace), '/',
           name) AS subject,
    cluster, api_group, kind, namespace, name, refused, returns, writers, fields, message, policy,
    first_at, last_at, correlation_id
FROM
(
    SELECT
        *,
        arrayDistinct(paths_of) AS touched,
        arrayMap(
            field -> arrayCompact(arrayMap(
                write -> toUInt32(write), arraySort(arrayFilter((write, path) -> path = field, writes, paths_of))
            )),
            touched
        ) AS turns,
        arrayMap(
            writer -> arrayFilter((one, number) -> number > 2 AND writer[number - 2] = one, writer,
                                  arrayEnumerate(writer)),
            turns
        ) AS back,
        arrayMax(arrayPushBack(arrayMap(again -> length(again), back), 0)) AS returns,
        arrayDistinct(arrayFlatten(back)) AS returned,
        arrayFilter((field, again) -> notEmpty(again), touched, back) AS fought,
        arraySort(arrayFilter(writer -> has(returned, toUInt32(cityHash64(writer))), all_writers)) AS writers,
        arraySort(arrayFilter(field -> has(fought, cityHash64(field)), all_fields)) AS fields
    FROM
    (
        SELECT
            toStartOfHour(toDateTime(event_time, 'UTC')) AS hour,
            cluster, api_group, kind, namespace, name,
            countIf(event_type = 'decision.made.v1') AS refused,
            groupArrayArrayIf(
                arrayMap(path -> bitOr(bitShiftLeft(toUInt64(toUnixTimestamp64Micro(event_time) % 3600000000), 32),
                                       toUInt32(cityHash64(manager))), paths),
                event_type = 'change.observed.v1' AND manager != ''
            ) AS writes,
            groupArrayArrayIf(arrayMap(path -> cityHash64(path), paths),
                              event_type = 'change.observed.v1' AND manager != '') AS paths_of,
            groupUniqArrayIf(events.manager, event_type = 'change.observed.v1' AND manager != '') AS all_writers,
            groupUniqArrayArrayIf(events.paths, event_type = 'change.observed.v1' AND manager != '') AS all_fields,
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
