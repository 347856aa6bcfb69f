"""What a dashboard is, as data: panels with their SQL, variables, annotations, alert rules and links.

One file a dashboard makes these; `grafana.py` renders them to JSON, the report draws the same panels without Grafana,
and the tests run every query. SQL is written with the ClickHouse plugin's macros, which `macros.py` expands elsewhere.

What a panel's query returns is fixed by its kind:

- timeseries: `time`, then perhaps the text `series`, which names a line, then one number, or without it several
- heatmap: `time`, `bucket` (text, in the order in which it sorts), `value`
- stat: one row with one number, or one number and a text that explains it
- bar: one text column, then one or more numbers; one bar a row, in the order of the rows
- table: any columns; those that links name must be among them
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a panel's rows are drawn."""

    TIMESERIES = "timeseries"
    HEATMAP = "heatmap"
    STAT = "stat"
    BAR = "bar"
    TABLE = "table"


class Unit(StrEnum):
    """What a panel's numbers count, in Grafana's own words."""

    NONE = "none"
    COUNT = "short"
    MILLISECONDS = "ms"
    SECONDS = "s"
    BYTES = "bytes"
    PER_SECOND = "cps"
    PERCENT = "percent"  # 0 to 100


class Colour(StrEnum):
    """Of a number that is fine, worth a look, or wrong; and of annotations."""

    GREEN = "green"
    ORANGE = "orange"
    RED = "red"
    BLUE = "blue"
    PURPLE = "purple"


@dataclass(frozen=True)
class Threshold:
    """From `at` on, in the panel's unit, a number has this colour; below the first it is green."""

    at: float
    colour: Colour


@dataclass(frozen=True)
class Link:
    """From a row to another dashboard, which is opened with its variables set: (variable, column of the row).

    It shows the same time, or with `since`, such as 30d, everything from then to now.
    """

    title: str
    dashboard: str
    sets: tuple[tuple[str, str], ...]
    since: str = ""


@dataclass(frozen=True)
class Panel:
    """One query and how it is drawn. `says` is one line: what is seen, and what to do about it where that is not plain.

    `width` is of 24, `height` of Grafana's rows of 30 px. `step_s` is the finest time bucket that its source has, in
    seconds, so that no bucket is finer than a roll-up. `may_be_empty` is for what a healthy platform has none of.
    """

    title: str
    says: str
    kind: Kind
    sql: str
    unit: Unit = Unit.COUNT
    thresholds: tuple[Threshold, ...] = ()
    links: tuple[Link, ...] = ()
    width: int = 12
    height: int = 8
    step_s: int = 60
    bars: bool = False
    may_be_empty: bool = False


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """What a reader may choose. A query of one column offers values; without one it is a text field.

    With `all`, many values may be chosen, and all are at first; else one, the query's first or `default`.
    """

    name: str
    label: str
    sql: str = ""
    all: bool = True
    default: str = ""


@dataclass(frozen=True)
class Annotation:
    """Marks over every chart with a time axis. The query returns `time`, `title`, `text` and `tags`."""

    name: str
    sql: str
    colour: Colour
    shown: bool = True


@dataclass(frozen=True)
class Dashboard:
    """One page. `since` is the length of time that is shown at first, such as 24h."""

    uid: str
    title: str
    says: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    since: str = "24h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Of all rows, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)


@dataclass(frozen=True)
class Rule:
    """An alert rule: its query returns one number, and it fires above `above` once that held for `lasting`.

    The query looks at the last `window_s` seconds; `silence_is_bad` fires on no data at all, too.
    """

    uid: str
    title: str
    says: str
    fix: str
    sql: str
    above: float
    window_s: int
    lasting: str = "5m"
    severity: str = "warning"
    silence_is_bad: bool = False
    dashboard: str = ""
