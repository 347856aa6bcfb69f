"""Expand the macros of Grafana's ClickHouse plugin, so that the same SQL runs where there is no Grafana.

In the plugin's own order: `$__conditionalAll` (its front end), variables (Grafana), then macros of the back end. Times
are whole seconds, as the plugin writes them. Only macros that panels use are known; any other is an error here, and so
is a variable that nobody set.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from services.runtime.errors import Permanent

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
POINTS = 400
"""So many buckets a chart has at most, about what a panel is wide."""
CONDITIONAL = "$__conditionalAll"
CALL = re.compile(r"\$__(\w+)\(")
SCALAR = re.compile(r"\$__(\w+)")
VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
NAMED = re.compile(r"\$(\w+)")
T = TypeVar("T")


@dataclass(frozen=True)
class Frame:
    """What is looked at: from `since` to `until`, in buckets of `interval_s`, with the values of the variables.

    A variable without values stands for all of them; of a text field that is left empty, the same.
    """

    since: datetime
    until: datetime
    interval_s: int = 60
    variables: Mapping[str, Sequence[str]] = field(default_factory=dict)


def frame(
    since: datetime, until: datetime, *, step_s: int = 60, variables: Mapping[str, Sequence[str]] | None = None
) -> Frame:
    """A frame whose buckets are as fine as a chart can show, and never finer than `step_s`."""
    return Frame(since, until, max(interval(until - since), step_s), variables or {})


def interval(span: timedelta) -> int:
    """Seconds of a bucket, a round number, so that a chart has at most `POINTS` of them."""
    needed = span.total_seconds() / POINTS
    return next((step for step in STEPS_S if step >= needed), STEPS_S[-1])


def expand(sql: str, view: Frame) -> str:
    """The SQL that ClickHouse runs. Raises Permanent for a macro or a variable that is not known."""
    text = _conditions(sql, view)
    text = VARIABLE.sub(lambda match: _variable(match[1], match[2], view), text)
    text = _calls(text, view)
    return SCALAR.sub(lambda match: _known(SCALARS, match[1])(view), text)


def quoted(value: str) -> str:
    """A string literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _conditions(sql: str, view: Frame) -> str:
    while (start := sql.rfind(f"{CONDITIONAL}(")) >= 0:
        condition, variable, end = _two(sql, start + len(CONDITIONAL))
        named = NAMED.fullmatch(variable)
        if named is None:
            raise Permanent(f"{CONDITIONAL} needs a plain variable, not {variable!r}", "Write $name")
        sql = sql[:start] + (condition if _chosen(named[1], view) else "1=1") + sql[end:]
    return sql


def _two(sql: str, opening: int) -> tuple[str, str, int]:
    inside, end = _inside(sql, opening)
    condition, _, variable = inside.rpartition(",")
    return condition.strip(), variable.strip(), end


def _inside(sql: str, opening: int) -> tuple[str, int]:
    """What is between the parenthesis at `opening` and its own closing one, and where to go on after that."""
    depth = 0
    for place in range(opening, len(sql)):
        depth += {"(": 1, ")": -1}.get(sql[place], 0)
        if depth == 0:
            return sql[opening + 1 : place], place + 1
    raise Permanent("a macro's parenthesis is not closed", "Close it")


def _chosen(name: str, view: Frame) -> list[str]:
    return [value for value in view.variables.get(name, ()) if value]


def _variable(name: str, form: str | None, view: Frame) -> str:
    if form != "singlequote":
        raise Permanent(f"variable {name} is not quoted", f"Write ${{{name}:singlequote}}")
    if name not in view.variables:
        raise Permanent(f"variable {name} has no value", "Set it, or use it inside $__conditionalAll")
    return ",".join(quoted(value) for value in view.variables[name]) or "''"


def _calls(sql: str, view: Frame) -> str:
    while match := CALL.search(sql):
        inside, end = _inside(sql, match.end() - 1)
        sql = sql[: match.start()] + _known(CALLS, match[1])(inside.strip(), view) + sql[end:]
    return sql


def _known(table: Mapping[str, T], name: str) -> T:
    if name not in table:
        raise Permanent(f"the macro $__{name} is not known", f"Use one of {', '.join(table)}")
    return table[name]


def _second(time: datetime) -> str:
    return f"toDateTime({int(time.timestamp())})"


def _time_filter(column: str, view: Frame) -> str:
    return f"{column} >= {_second(view.since)} AND {column} <= {_second(view.until)}"


def _time_interval(column: str, view: Frame) -> str:
    return f"toStartOfInterval(toDateTime({column}), INTERVAL {view.interval_s} second)"


CALLS: dict[str, Callable[[str, Frame], str]] = {"timeFilter": _time_filter, "timeInterval": _time_interval}
SCALARS: dict[str, Callable[[Frame], str]] = {
    "interval_s": lambda view: str(view.interval_s),
    "fromTime": lambda view: _second(view.since),
    "toTime": lambda view: _second(view.until),
}
