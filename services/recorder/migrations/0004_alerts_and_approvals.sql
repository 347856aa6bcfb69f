-- Alerts, approvals, and what is acted on where that is not the target. Taken from the payload itself, and only for the
-- types that have them: see 0003 for why, and changes, which are most of all rows, pay nothing for it.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS alert_id String
        DEFAULT if(
            event_type IN ('alert.fired.v1', 'alert.resolved.v1', 'decision.made.v1', 'action.started.v1',
                           'action.finished.v1', 'approval.requested.v1'),
            JSONExtractString(payload, 'data', 'alert_id'),
            ''
        )
        CODEC(ZSTD(1)) AFTER drift_id,
    ADD COLUMN IF NOT EXISTS approval_id String
        DEFAULT if(
            startsWith(event_type, 'approval.'),
            JSONExtractString(payload, 'data', 'approval_id'),
            ''
        )
        CODEC(ZSTD(1)) AFTER action_id,
    ADD COLUMN IF NOT EXISTS alert LowCardinality(String)
        DEFAULT if(
            event_type IN ('alert.fired.v1', 'alert.resolved.v1'), JSONExtractString(payload, 'data', 'name'), ''
        )
        COMMENT 'the alert''s or the rule''s name' AFTER baseline,
    ADD COLUMN IF NOT EXISTS severity LowCardinality(String)
        DEFAULT if(event_type = 'alert.fired.v1', JSONExtractString(payload, 'data', 'severity'), '') AFTER alert,
    ADD COLUMN IF NOT EXISTS action LowCardinality(String)
        DEFAULT if(
            event_type IN ('decision.made.v1', 'action.started.v1', 'action.finished.v1', 'approval.requested.v1'),
            JSONExtractString(payload, 'data', 'action'),
            ''
        )
        AFTER mode,
    ADD COLUMN IF NOT EXISTS acted_on String
        DEFAULT if(
            event_type IN ('decision.made.v1', 'action.started.v1', 'action.finished.v1')
                AND JSONHas(payload, 'data', 'subject', 'kind'),
            arrayStringConcat([
                JSONExtractString(payload, 'data', 'subject', 'cluster'),
                if(JSONExtractString(payload, 'data', 'subject', 'group') != '',
                   JSONExtractString(payload, 'data', 'subject', 'group'), 'core'),
                JSONExtractString(payload, 'data', 'subject', 'kind'),
                if(JSONExtractString(payload, 'data', 'subject', 'namespace') != '',
                   JSONExtractString(payload, 'data', 'subject', 'namespace'), '_'),
                JSONExtractString(payload, 'data', 'subject', 'name')
            ], '/'),
            ''
        )
        CODEC(ZSTD(1)) COMMENT 'the object that is acted on, where that is not the subject; the same form' AFTER action,
    ADD COLUMN IF NOT EXISTS step UInt8
        DEFAULT if(
            event_type IN ('action.started.v1', 'action.finished.v1'), JSONExtractUInt(payload, 'data', 'step'), 0
        )
        AFTER acted_on,
    ADD COLUMN IF NOT EXISTS undoes String
        DEFAULT if(
            event_type IN ('action.started.v1', 'action.finished.v1'), JSONExtractString(payload, 'data', 'undoes'), ''
        )
        CODEC(ZSTD(1)) COMMENT 'the action that this one takes back' AFTER step,
    ADD COLUMN IF NOT EXISTS people Array(LowCardinality(String))
        DEFAULT multiIf(
            event_type IN ('approval.requested.v1', 'approval.closed.v1'),
            JSONExtract(payload, 'data', 'by', 'Array(String)'),
            event_type IN ('approval.answered.v1', 'approval.refused.v1'),
            [JSONExtractString(payload, 'data', 'by')],
            event_type = 'people.told.v1',
            [JSONExtractString(payload, 'data', 'to')],
            []
        )
        COMMENT 'who may answer, who has, or who is told' AFTER users,
    ADD COLUMN IF NOT EXISTS words String
        DEFAULT multiIf(
            event_type = 'alert.fired.v1', JSONExtractString(payload, 'data', 'summary'),
            event_type IN ('approval.requested.v1', 'approval.refused.v1'), JSONExtractString(payload, 'data', 'why'),
            event_type = 'approval.answered.v1', JSONExtractString(payload, 'data', 'answer'),
            event_type = 'approval.closed.v1', JSONExtractString(payload, 'data', 'note'),
            event_type = 'evidence.kept.v1',
            trimRight(concat(JSONExtractString(payload, 'data', 'what'), ' ', JSONExtractString(payload, 'data', 'name'))),
            ''
        )
        CODEC(ZSTD(1)) COMMENT 'what an event says that has no message' AFTER message,
    ADD INDEX IF NOT EXISTS by_alert alert_id TYPE bloom_filter(0.01) GRANULARITY 2,
    ADD INDEX IF NOT EXISTS by_approval approval_id TYPE bloom_filter(0.01) GRANULARITY 2

-- statement
-- One row a life of an alert, however often and in whatever order it was told. What happened at a point in time
-- (`lasting` 0) has no end; NULL where there is none yet.
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
    any(JSONExtractString(payload, 'data', 'source')) AS source,
    any(JSONExtractString(payload, 'data', 'sender')) AS sender,
    argMaxIf(events.severity, event_time, event_type = 'alert.fired.v1') AS severity,
    maxIf(JSONExtractBool(payload, 'data', 'lasting'), event_type = 'alert.fired.v1') AS lasting,
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
CREATE OR REPLACE VIEW open_alerts AS
SELECT * FROM alerts WHERE lasting AND resolved_at IS NULL

-- statement
-- One row a question: who may answer, who did, and how many milliseconds people took; NULL while it is open.
CREATE OR REPLACE VIEW approvals AS
SELECT
    approval_id,
    anyIf(subject, event_type = 'approval.requested.v1') AS subject,
    anyIf(cluster, event_type = 'approval.requested.v1') AS cluster,
    anyIf(api_group, event_type = 'approval.requested.v1') AS api_group,
    anyIf(kind, event_type = 'approval.requested.v1') AS kind,
    anyIf(namespace, event_type = 'approval.requested.v1') AS namespace,
    anyIf(name, event_type = 'approval.requested.v1') AS name,
    anyIf(events.alert_id, event_type = 'approval.requested.v1') AS alert_id,
    anyIf(drift_id, event_type = 'approval.requested.v1') AS drift_id,
    anyIf(decision_id, event_type = 'approval.requested.v1') AS decision_id,
    anyIf(policy, event_type = 'approval.requested.v1') AS policy,
    anyIf(events.action, event_type = 'approval.requested.v1') AS action,
    anyIf(words, event_type = 'approval.requested.v1') AS why,
    anyIf(JSONExtractString(payload, 'data', 'plan'), event_type = 'approval.requested.v1') AS plan,
    anyIf(JSONExtractString(payload, 'data', 'plan_hash'), event_type = 'approval.requested.v1') AS plan_hash,
    anyIf(people, event_type = 'approval.requested.v1') AS asked_of,
    maxIf(JSONExtractUInt(payload, 'data', 'count'), event_type = 'approval.requested.v1') AS needed,
    minOrNullIf(event_time, event_type = 'approval.requested.v1') AS asked_at,
    maxOrNullIf(parseDateTime64BestEffortOrZero(JSONExtractString(payload, 'data', 'ends_at'), 6, 'UTC'),
                event_type = 'approval.requested.v1') AS ends_at,
    countIf(event_type = 'approval.answered.v1') AS answers,
    countIf(event_type = 'approval.refused.v1') AS refused,
    minOrNullIf(event_time, event_type = 'approval.closed.v1') AS closed_at,
    anyIf(events.outcome, event_type = 'approval.closed.v1') AS outcome,
    anyIf(people, event_type = 'approval.closed.v1') AS answered_by,
    anyIf(words, event_type = 'approval.closed.v1') AS note,
    dateDiff('microsecond', asked_at, closed_at) / 1000 AS waited_ms,
    anyIf(correlation_id, event_type = 'approval.requested.v1') AS correlation_id
FROM events
WHERE event_type IN ('approval.requested.v1', 'approval.answered.v1', 'approval.refused.v1', 'approval.closed.v1')
GROUP BY approval_id

-- statement
CREATE OR REPLACE VIEW open_approvals AS
SELECT * FROM approvals WHERE asked_at IS NOT NULL AND closed_at IS NULL

-- statement
CREATE OR REPLACE VIEW decisions AS
SELECT
    event_time AS decided_at, decision_id, subject, cluster, api_group, kind, namespace, name, drift_id, alert_id,
    trigger_id, policy, mode, verdict, reason, message, action_id, action, acted_on, sequence AS evaluation,
    correlation_id
FROM events
WHERE event_type = 'decision.made.v1'

-- statement
-- Started and finished joined by the action's id, as before, and with what it was, what it answered and what it was
-- done to: `acted_on` is empty where that is the subject.
CREATE OR REPLACE VIEW actions AS
SELECT
    action_id,
    any(subject) AS subject,
    any(cluster) AS cluster,
    any(api_group) AS api_group,
    any(kind) AS kind,
    any(namespace) AS namespace,
    any(name) AS name,
    any(events.action) AS action,
    any(events.acted_on) AS acted_on,
    max(events.step) AS step,
    any(events.undoes) AS undoes,
    any(drift_id) AS drift_id,
    any(events.alert_id) AS alert_id,
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
-- One row an alert that something was done about: the first decision, the first action, and milliseconds between.
CREATE OR REPLACE VIEW time_to_act AS
SELECT
    a.alert_id AS alert_id,
    a.alert AS alert,
    a.subject AS subject,
    a.cluster AS cluster,
    a.namespace AS namespace,
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
