"""The report on a terminal: sparklines, bars and tables of the same panels, for `setpoint report`.

Values come from outside: they pass `words`, which leaves nothing that a terminal would obey, and stand in `Text`, which
knows no markup.
"""

from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.local.report_page import shapes
from services.local.report_page.asking import Answer, Page, Section
from services.local.report_page.words import amount, cell, colour, filled, heading, is_id, moment, text
from services.recorder.dashboards.model import Colour, Kind

Span = tuple[float, float]
"""From and to, in seconds since 1970."""

BLOCKS = "▁▂▃▄▅▆▇█"
SPARK, BAR = 40, 30
MOST_LINES = 10
STYLES = {
    Colour.GREEN: "green",
    Colour.ORANGE: "yellow",
    Colour.RED: "red",
    Colour.BLUE: "blue",
    Colour.PURPLE: "magenta",
}


def show(console: Console, page: Page) -> None:
    """All of the page, a dashboard after the other."""
    look = page.look
    console.print(Text(f"{moment(look.since)} to {moment(look.until)} UTC", "dim"))
    for section in page.sections:
        _section(console, section, (look.since.timestamp(), look.until.timestamp()))


def _section(console: Console, section: Section, span: Span) -> None:
    console.print()
    console.rule(Text(section.dashboard.title, "bold"), align="left")
    for _, answers in section.groups:
        numbers = [answer for answer in answers if answer.panel.kind is Kind.STAT]
        if numbers:
            console.print(_numbers(numbers))
        for answer in answers:
            if answer.panel.kind is not Kind.STAT:
                _panel(console, answer, span)


def _numbers(answers: Sequence[Answer]) -> Table:
    table = Table.grid(padding=(0, 2))
    for answer in answers:
        made = shapes.stat(answer.rows)
        found = colour(made.value, answer.panel)
        said = Text(amount(made.value, answer.panel.unit), f"bold {STYLES[found] if found else ''}".strip())
        note = f"could not be read: {answer.problem}" if answer.problem else made.text
        table.add_row(Text(answer.panel.title), said, Text(text(note), "dim"))
    return table


def _panel(console: Console, answer: Answer, span: Span) -> None:
    console.print()
    console.print(Text(answer.panel.title, "bold"), Text(answer.panel.says, "dim"))
    if answer.problem:
        console.print(Text(f"  could not be read: {text(answer.problem)}", "red"))
    elif not answer.rows:
        console.print(Text("  nothing in this time", "dim"))
    else:
        table, left_out = DRAWN[answer.panel.kind](answer, span)
        console.print(table)
        if left_out > 0:
            console.print(Text(f"  and {left_out} more", "dim"))


def _timeseries(answer: Answer, span: Span) -> tuple[Table, int]:
    made, unit = shapes.chart(answer.rows), answer.panel.unit
    table = _plain("", "", "last", "most")
    for one in made.series[:MOST_LINES]:
        last, most = one.last, max(one.known, default=None)
        table.add_row(
            text(one.name),
            Text(spark(made.times, one.values, span, answer.step_s), "cyan"),
            amount(last, unit),
            amount(most, unit),
        )
    return table, len(made.series) + made.left_out - MOST_LINES


def _heatmap(answer: Answer, span: Span) -> tuple[Table, int]:
    made, unit = shapes.heat(answer.rows), answer.panel.unit
    table = _plain("", "", "in all")
    for bucket, cells in list(zip(made.buckets, made.cells, strict=True))[::-1]:
        table.add_row(
            text(bucket),
            Text(spark(made.times, cells, span, answer.step_s, made.highest), "cyan"),
            amount(sum(cells), unit),
        )
    return table, 0


def _bars(answer: Answer, span: Span) -> tuple[Table, int]:
    made, unit = shapes.bars(answer.rows), answer.panel.unit
    table = _plain("", *(title for name in made.names for title in (text(name), "")))
    for label, values in made.bars[:MOST_LINES]:
        drawn = [part for value in values for part in (Text(bar(value, made.highest), "cyan"), amount(value, unit))]
        table.add_row(text(label), *drawn)
    return table, len(made.bars) + made.left_out - MOST_LINES


def _table(answer: Answer, span: Span) -> tuple[Table, int]:
    rows = answer.rows
    names = [name for name in filled(rows) if not is_id(name)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in names:
        number = any(shapes.is_number(row[name]) for row in rows)
        table.add_column(Text(heading(name)), justify="right" if number else "left", overflow="fold")
    for row in rows[:MOST_LINES]:
        table.add_row(*(Text(cell(name, row[name])) for name in names))
    return table, len(rows) - MOST_LINES


def _plain(*titles: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 2), header_style="dim", show_header=any(titles))
    for number, title in enumerate(titles):
        table.add_column(Text(title), justify="right" if number > 1 else "left", no_wrap=number > 0, overflow="fold")
    return table


def spark(
    times: Sequence[float],
    values: Sequence[float | None],
    span: Span,
    step_s: float,
    highest: float | None = None,
) -> str:
    """One letter a part of the span, the greatest value in it; a space where nothing is known. They stand on zero.

    There are no more parts than buckets of time, so that whole series have no gaps.
    """
    length = span[1] - span[0]
    parts = max(1, min(SPARK, int(length / step_s)))
    greatest: list[float | None] = [None] * parts
    for time, value in zip(times, values, strict=True):
        place = min(parts - 1, max(0, int((time - span[0]) / length * parts)))
        if value is not None:
            greatest[place] = max(value, greatest[place] or value)
    top = highest if highest is not None else max((value for value in greatest if value is not None), default=0)
    return "".join(" " if value is None else _block(value / top if top > 0 else 0) for value in greatest)


def _block(share: float) -> str:
    return BLOCKS[min(len(BLOCKS) - 1, max(0, int(share * len(BLOCKS))))]


def bar(value: float, highest: float) -> str:
    """A bar in proportion, at least a hair for what is more than nothing."""
    length = value / highest * BAR if highest > 0 else 0
    return "█" * round(length) if length >= 0.5 else "▏" if length > 0 else ""


DRAWN: Mapping[Kind, Callable[[Answer, Span], tuple[Table, int]]] = {
    Kind.TIMESERIES: _timeseries,
    Kind.HEATMAP: _heatmap,
    Kind.BAR: _bars,
    Kind.TABLE: _table,
}
