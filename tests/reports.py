"""Panels of every kind over hostile rows, for tests of the report's two forms."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.local.report_page.asking import Answer, Look, Marks, Page, Section
from services.recorder.dashboards.model import Annotation, Colour, Dashboard, Kind, Link, Panel, Row
from services.recorder.queries import Query
from services.runtime.errors import SetpointError

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LOOK = Look(NOON - timedelta(hours=6), NOON, {})
HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=2>"
    "\" onmouseover='window.hacked=3' javascript:alert(1) &lt; <!-- ]]> {{7*7}} \x1b[31m\x07\u202e\u2028\x00"
)
"""Ends scripts, attributes and comments; and what a terminal would obey."""
ROWS: dict[Kind, list[dict[str, Any]]] = {
    Kind.TIMESERIES: [{"time": NOON - timedelta(hours=hours), HOSTILE: HOSTILE, "n": hours} for hours in range(1, 6)],
    Kind.HEATMAP: [{"time": NOON - timedelta(hours=hours), "bucket": HOSTILE, "value": hours} for hours in range(1, 6)],
    Kind.STAT: [{"n": 7, "why": HOSTILE}],
    Kind.BAR: [{HOSTILE: HOSTILE, f"{HOSTILE}n": 4, f"{HOSTILE}m": 2}],
    Kind.TABLE: [{HOSTILE: HOSTILE, "list": [HOSTILE], "labels": {HOSTILE: HOSTILE}, "correlation_id": HOSTILE}],
}
"""By kind of panel: the text in every place that a record's text can have."""


def panel(kind: Kind, title: str = "A panel", sql: str = "SELECT 1") -> Panel:
    """A panel whose rows lead to the same page."""
    return Panel(title, "What it says", kind, sql, links=(Link("Story", "one", (("object", "correlation_id"),)),))


def page(*answers: Answer, look: Look = LOOK, marks: tuple[Marks, ...] = ()) -> Page:
    """A page of one dashboard."""
    dashboard = Dashboard("one", "One", "All of it", (Row("Row", tuple(answer.panel for answer in answers)),))
    return Page(look, NOON, (Section(dashboard, (("Row", answers),), marks),))


def hostile_page() -> Page:
    """A panel of each kind, every text of it hostile, and one that could not be read; the same of marks."""
    answers = [Answer(panel(kind, f"A {kind}"), rows) for kind, rows in ROWS.items()]
    done = Annotation("Done", "SELECT 1", Colour.BLUE)
    marked = {"time": NOON - timedelta(hours=3), "title": HOSTILE, "text": HOSTILE, "tags": [HOSTILE]}
    marks = Marks(done, [marked]), Marks(done, problem=HOSTILE)
    return page(*answers, Answer(panel(Kind.STAT, "Refused"), problem=HOSTILE), marks=marks)


class Script:
    """Answers queries by their text, and remembers them; an error is raised."""

    def __init__(self, answers: dict[str, list[dict[str, Any]] | SetpointError]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def rows(self, query: Query) -> list[dict[str, Any]]:
        self.asked.append(query.sql)
        found = next((answer for part, answer in self.answers.items() if part in query.sql), [])
        if isinstance(found, SetpointError):
            raise found
        return found
