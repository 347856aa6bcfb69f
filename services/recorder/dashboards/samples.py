"""SQL over samples of metrics: the last value of a series, and how much its counters grew.

`m.time` is the sample's own time, `step` its bucket: called `time` at once, it could be taken for the column.
"""


def last(metric: str, *columns: str) -> str:
    """Each series' newest value in a bucket, summed by these columns, which are expressions over `m`."""
    named = "".join(f"{column}, " for column in columns)
    names = "".join(f"{name(column)}, " for column in columns)
    return (
        f"SELECT step AS time, {names}sum(newest) AS value FROM ("
        f"SELECT $__timeInterval(m.time) AS step, {named}argMax(m.value, m.time) AS newest FROM metrics AS m "
        f"WHERE m.name = '{metric}' AND $__timeFilter(m.time) "
        f"GROUP BY step, {names}m.source, m.labels) GROUP BY time, {names.rstrip(', ') or 'time'} "
        f"ORDER BY {', '.join(('time', *map(name, columns)))}"
    )


def grown(where: str, *columns: str) -> str:
    """Rows `at`, these columns and `more`: what each sample of a counter adds to the one before it.

    A counter that went down began anew, at 0. The first sample of a series adds nothing: what was before is not known.
    """
    named = "".join(f"{column}, " for column in columns)
    return (
        f"SELECT m.time AS at, {named}"
        "if(m.value >= lagInFrame(m.value, 1, m.value) OVER series, "
        "m.value - lagInFrame(m.value, 1, m.value) OVER series, m.value) AS more "
        f"FROM metrics AS m WHERE {where} AND $__timeFilter(m.time) "
        "WINDOW series AS (PARTITION BY m.name, m.source, m.labels ORDER BY m.time "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
    )


def name(column: str) -> str:
    """What an expression is called: what follows its AS."""
    return column.rpartition(" AS ")[2]
