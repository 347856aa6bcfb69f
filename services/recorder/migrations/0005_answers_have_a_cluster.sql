-- Answers of people, and audit events where somebody records them, name their cluster and object themselves, without a
-- target. Rows from before keep their empty columns: an answer is found by its approval_id in any case.
ALTER TABLE events
    MODIFY COLUMN cluster LowCardinality(String)
        DEFAULT multiIf(
            e.data.target.cluster != '', e.data.target.cluster,
            e.data.scope.cluster != '', e.data.scope.cluster,
            event_type IN ('approval.answered.v1', 'audit.observed.v1'),
            JSONExtractString(payload, 'data', 'cluster'),
            ''
        ),
    MODIFY COLUMN api_group LowCardinality(String)
        DEFAULT if(
            event_type = 'audit.observed.v1', JSONExtractString(payload, 'data', 'group'), e.data.target.group
        ),
    MODIFY COLUMN namespace LowCardinality(String)
        DEFAULT multiIf(
            e.data.target.namespace != '', e.data.target.namespace,
            e.data.scope.namespace != '', e.data.scope.namespace,
            event_type = 'audit.observed.v1', JSONExtractString(payload, 'data', 'namespace'),
            ''
        )
