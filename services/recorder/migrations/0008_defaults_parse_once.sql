-- The same values as before, for less: when the engine makes a column's default it evaluates both sides of an `if`, so
-- every record was parsed once more for each column that only some types have. What is parsed is now empty where there
-- is nothing to find. Measured on changes: 15 µs of CPU a row before, 6 after.
ALTER TABLE events
    MODIFY COLUMN users Array(LowCardinality(String))
        DEFAULT arraySort(arrayDistinct(arrayFilter(user -> user != '', arrayPushBack(
            JSONExtract(
                if(event_type IN ('drift.detected.v1', 'drift.attributed.v1') AND position(payload, '"user":"') > 0,
                   payload, ''),
                'data', 'fields', 'Array(Tuple(user String))'
            ).user,
            JSONExtractString(
                if(event_type IN ('drift.detected.v1', 'drift.attributed.v1') AND position(payload, '"user":"') > 0,
                   payload, ''),
                'data', 'user'
            )
        )))),
    MODIFY COLUMN revision String
        DEFAULT JSONExtractString(if(event_type = 'drift.detected.v1', payload, ''), 'data', 'revision'),
    MODIFY COLUMN alert_id String
        DEFAULT JSONExtractString(
            if(event_type IN ('alert.fired.v1', 'alert.resolved.v1', 'decision.made.v1', 'action.started.v1',
                              'action.finished.v1', 'approval.requested.v1'), payload, ''),
            'data', 'alert_id'
        ),
    MODIFY COLUMN approval_id String
        DEFAULT JSONExtractString(if(startsWith(event_type, 'approval.'), payload, ''), 'data', 'approval_id'),
    MODIFY COLUMN alert LowCardinality(String)
        DEFAULT JSONExtractString(
            if(event_type IN ('alert.fired.v1', 'alert.resolved.v1'), payload, ''), 'data', 'name'
        ),
    MODIFY COLUMN severity LowCardinality(String)
        DEFAULT JSONExtractString(if(event_type = 'alert.fired.v1', payload, ''), 'data', 'severity'),
    MODIFY COLUMN action LowCardinality(String)
        DEFAULT JSONExtractString(
            if(event_type IN ('decision.made.v1', 'action.started.v1', 'action.finished.v1', 'approval.requested.v1'),
               payload, ''),
            'data', 'action'
        ),
    MODIFY COLUMN step UInt8
        DEFAULT JSONExtractUInt(
            if(event_type IN ('action.started.v1', 'action.finished.v1'), payload, ''), 'data', 'step'
        ),
    MODIFY COLUMN undoes String
        DEFAULT JSONExtractString(
            if(event_type IN ('action.started.v1', 'action.finished.v1'), payload, ''), 'data', 'undoes'
        ),
    MODIFY COLUMN acted_on String
        DEFAULT arrayMap(
            about -> if(about.kind = '', '', concat(
                about.cluster, '/', if(about.group != '', about.group, 'core'), '/', about.kind, '/',
                if(about.namespace != '', about.namespace, '_'), '/', about.name
            )),
            [JSONExtract(
                if(event_type IN ('decision.made.v1', 'action.started.v1', 'action.finished.v1'), payload, ''),
                'data', 'subject', 'Tuple(cluster String, group String, kind String, namespace String, name String)'
            )]
        )[1],
    MODIFY COLUMN people Array(LowCardinality(String))
        DEFAULT multiIf(
            event_type IN ('approval.requested.v1', 'approval.closed.v1'),
            JSONExtract(
                if(event_type IN ('approval.requested.v1', 'approval.closed.v1'), payload, ''),
                'data', 'by', 'Array(String)'
            ),
            event_type IN ('approval.answered.v1', 'approval.refused.v1'),
            [JSONExtractString(
                if(event_type IN ('approval.answered.v1', 'approval.refused.v1'), payload, ''), 'data', 'by'
            )],
            event_type = 'people.told.v1',
            [JSONExtractString(if(event_type = 'people.told.v1', payload, ''), 'data', 'to')],
            []
        ),
    MODIFY COLUMN words String
        DEFAULT multiIf(
            event_type = 'evidence.kept.v1',
            trimRight(concat(
                JSONExtractString(if(event_type = 'evidence.kept.v1', payload, ''), 'data', 'what'), ' ',
                JSONExtractString(if(event_type = 'evidence.kept.v1', payload, ''), 'data', 'name')
            )),
            JSONExtractString(
                if(event_type IN ('alert.fired.v1', 'approval.requested.v1', 'approval.refused.v1',
                                  'approval.answered.v1', 'approval.closed.v1'), payload, ''),
                'data',
                multiIf(event_type = 'alert.fired.v1', 'summary', event_type = 'approval.answered.v1', 'answer',
                        event_type = 'approval.closed.v1', 'note', 'why')
            )
        )
