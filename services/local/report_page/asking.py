"""Ask the record what the panels of some dashboards show, each by the SQL that Grafana would run.

Called by `setpoint report` and by the page that `setpoint up` serves. A query that fails is told in its panel's place,
so that one refused query does not hide the others; a record that is away or has no tables rises.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from services.recorder.dashboards.macros import POINTS, Frame, expand, frame, interval
from services.recorder.dashboards.model import Annotation, Dashboard, Panel, Variable
from services.recorder.queries import Query
from services.runtime.errors import Permanent, SetpointError

TOGETHER = 2
"""Queries at one time: as many as the embedded engine's read side has connections."""

BUCKETS = 120
"""So many a chart has at most: a phone is not as wide as Grafana."""

Row = Mapping[str, Any]


class Asked(Protocol):
    """As much of `Reader` as is used here."""

    async def rows(self, query: Query) -> list[dict[str, Any]]:
        """Raises Temporary or Permanent."""


@dataclass(frozen=True)
class Look:
    """What is looked at: the time, and what the variables of every dashboard are set to, by name."""

    since: datetime
    until: datetime
    chosen: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Answer:
    """A panel with its rows, or with why there are none. Its buckets of time are of `step_s` seconds."""

    panel: Panel
    rows: Sequence[Row] = ()
    step_s: int = 60
    problem: str = ""


@dataclass(frozen=True)
class Page:
    """All that a report shows. `sections` are the dashboards, each with its rows' titles and answers."""

    look: Look
    made_at: datetime
    sections: tuple["Section", ...]

    @property
    def answers(self) -> tuple[Answer, ...]:
        return tuple(answer for section in self.sections for _, group in section.groups for answer in group)


@dataclass(frozen=True)
class Marks:
    """What an annotation found, or why nothing."""

    annotation: Annotation
    rows: Sequence[Row] = ()
    problem: str = ""


@dataclass(frozen=True)
class Section:
    """One dashboard's answers, as (row's title, answers), and what is marked on its charts."""

    dashboard: Dashboard
    groups: tuple[tuple[str, tuple[Answer, ...]], ...]
    marks: tuple[Marks, ...] = ()


async def ask(
    reader: Asked,
    dashboards: Sequence[Dashboard],
    look: Look,
    made_at: datetime,
    tell: Callable[[int], None] = lambda _: None,
) -> Page:
    """Every panel of them; `tell` takes how many are done. Raises what the reader does when all of them fail."""
    lane, done = asyncio.Semaphore(TOGETHER), 0

    async def one(panel: Panel, variables: Mapping[str, Sequence[str]]) -> Answer:
        nonlocal done
        async with lane:
            answer = await _answer(reader, panel, look, variables)
        done += 1
        tell(done)
        return answer

    async def section(dashboard: Dashboard) -> Section:
        variables = {one.name: await _values(reader, one, look) for one in dashboard.variables}
        groups = [
            (row.title, tuple(await asyncio.gather(*(one(panel, variables) for panel in row.panels))))
            for row in dashboard.rows
        ]
        shown = [annotation for annotation in dashboard.annotations if annotation.shown]
        return Section(dashboard, tuple(groups), tuple([await _marks(reader, one, look, variables) for one in shown]))

    page = Page(look, made_at, tuple([await section(dashboard) for dashboard in dashboards]))
    problems = [answer.problem for answer in page.answers]
    if problems and all(problems):
        raise Permanent(f"no panel could be read: {problems[0]}", "Look with 'setpoint doctor'")
    return page


async def _answer(reader: Asked, panel: Panel, look: Look, variables: Mapping[str, Sequence[str]]) -> Answer:
    step_s = max(panel.step_s, interval((look.until - look.since) * (POINTS / BUCKETS)))
    view = frame(look.since, look.until, step_s=step_s, variables=variables)
    try:
        return Answer(panel, await reader.rows(Query(expand(panel.sql, view), {})), view.interval_s)
    except SetpointError as error:
        return Answer(panel, problem=str(error))


async def _marks(reader: Asked, annotation: Annotation, look: Look, variables: Mapping[str, Sequence[str]]) -> Marks:
    view = frame(look.since, look.until, variables=variables)
    try:
        return Marks(annotation, await reader.rows(Query(expand(annotation.sql, view), {})))
    except SetpointError as error:
        return Marks(annotation, problem=str(error))


async def _values(reader: Asked, variable: Variable, look: Look) -> Sequence[str]:
    """What was chosen; else all; else, where one must be, the default or the first that the record has."""
    if variable.name in look.chosen:
        return look.chosen[variable.name]
    if variable.all or variable.default or not variable.sql:
        return [variable.default] if variable.default else []
    view = Frame(look.since, look.until, variables=look.chosen)
    try:
        rows = await reader.rows(Query(expand(variable.sql, view), {}))
    except SetpointError:  # its panels then say what is wrong
        return []
    return [str(next(iter(rows[0].values())))] if rows else []
