-- The user that Grafana reads the record with: SELECT only, within bounds, and no right to lift them. Run it once as a
-- user that may manage access:
--   clickhouse-client --multiquery < deploy/clickhouse/grafana-user.sql
-- It makes the user without a way to log in. Give it a password of your own, and from where it may come, as the last
-- step; docs/grafana.md has the line.
CREATE SETTINGS PROFILE IF NOT EXISTS setpoint_grafana SETTINGS
    readonly = 1,
    max_execution_time = 30 MIN 1 MAX 30 CHANGEABLE_IN_READONLY,
    max_result_rows = 200000,
    result_overflow_mode = 'throw',
    max_rows_to_read = 2000000000,
    max_memory_usage = 4000000000,
    max_threads = 4,
    use_query_cache = 0;

CREATE ROLE IF NOT EXISTS setpoint_reader SETTINGS PROFILE 'setpoint_grafana';

GRANT SELECT ON setpoint.* TO setpoint_reader;

CREATE USER IF NOT EXISTS setpoint_grafana HOST NONE DEFAULT ROLE setpoint_reader SETTINGS PROFILE 'setpoint_grafana';

GRANT setpoint_reader TO setpoint_grafana;
