"""One panel as HTML: a chart's data for the script, and everything else drawn here, readable without one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.local.report_page import shapes
from services.local.report_page.asking import Answer, Look, Row
from services.local.report_page.html import data, element, shown
from services.local.report_page.words import amount, cell, colour, filled, heading, is_id, text
from services.recorder.dashboards.model import Kind, Link, Panel

SHORT = 8
Go = Callable[[Link, Mapping[str, Any]], str]
"""Where a link of a row leads on this page."""


def article(answer: Answer, look: Look, go: Go) -> str:
    """A panel with its title and what it means."""
    panel = answer.panel
    head = element("h4", shown(panel.title)) + element("p", shown(panel.says), "says")
    state = "failed" if answer.problem else "some" if answer.rows else "none"
    return element("article", head + _body(answer, look, go), f"panel {panel.kind} w{panel.width}", data_state=state)


def _body(answer: Answer, look: Look, go: Go) -> str:
    if answer.problem:
        return element("p", "This could not be read: " + shown(answer.problem), "problem")
    if not answer.rows:
        return element("p", "nothing in this time", "nothing")
    return BODIES[answer.panel.kind](answer, look, go)


def _timeseries(answer: Answer, look: Look, go: Go) -> str:
    panel, made = answer.panel, shapes.chart(answer.rows)
    drawn = {
        "kind": "bars" if panel.bars else "lines",
        "from": look.since.timestamp(),
        "to": look.until.timestamp(),
        "step": answer.step_s,
        "unit": panel.unit,
        "times": made.times,
        "series": [{"name": text(one.name), "values": one.values} for one in made.series],
        "thresholds": [[threshold.at, threshold.colour] for threshold in panel.thresholds],
    }
    return _plot(panel, drawn) + _legend(panel, made) + _left_out(made.left_out, "series")


def _heatmap(answer: Answer, look: Look, go: Go) -> str:
    panel, made = answer.panel, shapes.heat(answer.rows)
    drawn = {
        "kind": "heat",
        "from": look.since.timestamp(),
        "to": look.until.timestamp(),
        "step": answer.step_s,
        "unit": panel.unit,
        "times": made.times,
        "buckets": [text(bucket) for bucket in made.buckets],
        "cells": made.cells,
        "highest": made.highest,
    }
    return _plot(panel, drawn) + element("p", f"darkest: {shown(amount(made.highest, panel.unit))}", "more")


def _plot(panel: Panel, drawn: Mapping[str, Any]) -> str:
    return element("div", data(drawn), "plot", role="img", aria_label=panel.title)


def _legend(panel: Panel, made: shapes.Chart) -> str:
    entries = []
    for index, one in enumerate(made.series):
        last, most = (amount(value, panel.unit) for value in (one.last, max(one.known, default=None)))
        words = element("b", shown(last)) + element("small", f"most {shown(most)}")
        entries.append(element("li", _swatch(index) + element("bdi", shown(one.name)) + words))
    return element("ul", "".join(entries), "legend")


def _swatch(index: int) -> str:
    return element("i", "", f"swatch c{index % shapes.MOST_SERIES}")


def _stat(answer: Answer, look: Look, go: Go) -> str:
    panel, made = answer.panel, shapes.stat(answer.rows)
    said = amount(made.value, panel.unit)
    number = element("p", shown(said), f"number {colour(made.value, panel) or ''}".strip())
    return number + (element("p", shown(made.text), "text") if made.text else "")


def _bars(answer: Answer, look: Look, go: Go) -> str:
    panel, made = answer.panel, shapes.bars(answer.rows)
    lines = []
    for label, values in made.bars:
        name = element("th", element("bdi", shown(label)), scope="row")
        track = element("td", "".join(_bar(index, value, made.highest) for index, value in enumerate(values)), "track")
        said = "<br>".join(shown(amount(value, panel.unit)) for value in values)
        lines.append(element("tr", name + track + element("td", said, "value")))
    key = [element("li", _swatch(index) + element("bdi", shown(heading(one)))) for index, one in enumerate(made.names)]
    legend = element("ul", "".join(key), "legend") if len(key) > 1 else ""
    return element("table", "".join(lines), "bars") + legend + _left_out(made.left_out, "rows")


def _bar(index: int, value: float, highest: float) -> str:
    share = max(0.0, value / highest * 100) if highest else 0.0
    rectangle = element("rect", "", f"c{index % shapes.MOST_SERIES}", width=f"{share:.2f}%", height="100%", rx="2")
    return element("svg", rectangle, "share", aria_hidden="true")


def _table(answer: Answer, look: Look, go: Go) -> str:
    panel, rows = answer.panel, answer.rows
    names = filled(rows)
    numeric = {name for name in names if all(shapes.is_number(row[name]) or row[name] is None for row in rows)}
    head = "".join(
        element("th", shown(heading(name)), "value" if name in numeric else "", scope="col") for name in names
    )
    lines = [_line(panel, names, row, go) for row in rows[: shapes.MOST_ROWS]]
    table = element("table", element("thead", element("tr", head)) + element("tbody", "".join(lines)))
    return element("div", table, "scroll", tabindex="0") + _left_out(len(rows) - len(lines), "rows")


def _line(panel: Panel, names: Sequence[str], row: Row, go: Go) -> str:
    links = {link.sets[0][1]: link for link in reversed(panel.links) if go(link, row)}
    return element("tr", "".join(_cell(name, row[name], _led(links.get(name), row, go)) for name in names))


def _cell(name: str, value: Any, led: Callable[[str], str]) -> str:
    """Ids are long and alike: their first letters do, with the whole one where the pointer rests."""
    if is_id(name) and isinstance(value, str):
        return element("td", led(element("code", shown(value[:SHORT]))), title=value)
    kind = "value" if shapes.is_number(value) else "time" if isinstance(value, datetime) else ""
    return element("td", led(element("bdi", shown(cell(name, value)))), kind)


def _led(link: Link | None, row: Row, go: Go) -> Callable[[str], str]:
    """What makes a link of a cell, of the column whose value the link sets."""
    if link is None:
        return lambda inside: inside
    return lambda inside: element("a", inside, title=link.title, href=go(link, row))


def _left_out(count: int, what: str) -> str:
    return element("p", f"and {count} more {what}", "more") if count > 0 else ""


BODIES: Mapping[Kind, Callable[[Answer, Look, Go], str]] = {
    Kind.TIMESERIES: _timeseries,
    Kind.HEATMAP: _heatmap,
    Kind.STAT: _stat,
    Kind.BAR: _bars,
    Kind.TABLE: _table,
}
