"""The whole report as one HTML file: no request to anywhere, light and dark, wide and narrow.

`live` pages are served by `serve.py`: they load themselves anew, and a row's link sets the variables by the address.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from services.local.report_page.asking import Look, Marks, Page, Section
from services.local.report_page.assets import assets
from services.local.report_page.html import data, element, shown
from services.local.report_page.panels import Go, article
from services.local.report_page.shapes import seconds
from services.local.report_page.words import moment, text
from services.recorder.dashboards.model import Link

REFRESH_S = 60
SPANS = ("1h", "6h", "24h", "7d", "30d")


def render(page: Page, *, live: str | None = None) -> str:
    """The page. `live` is the length of time that it shows up to now, where it is served; None for a file."""
    go = _goes(page, live)
    sections = "".join(_section(section, page.look, go) for section in page.sections)
    scripts = "".join(f"<script>{script}</script>" for script in assets().scripts)
    body = f"{_top(page, live)}<main>{sections}</main>{_foot(page.made_at)}{scripts}"
    return f'<!doctype html>\n<html lang="en">{_head(live)}<body>{body}</body></html>\n'


def _head(live: str | None) -> str:
    again = f'<meta http-equiv="refresh" content="{REFRESH_S}">' if live else ""
    return (
        f'<head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{assets().policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"{again}<title>Setpoint report</title><style>{assets().style}</style></head>"
    )


def _top(page: Page, live: str | None) -> str:
    look = page.look
    when = f"{moment(look.since)} to {moment(look.until)} UTC"
    chosen = "".join(_chip(look, name, live) for name, values in look.chosen.items() if values)
    links = "".join(
        element("a", shown(section.dashboard.title), href=f"#{section.dashboard.uid}") for section in page.sections
    )
    return element(
        "header",
        element("h1", "Setpoint")
        + element("p", shown(when) + chosen + _spans(look, live), "when")
        + '<button type="button" id="theme" hidden>light or dark</button>'
        + element("nav", links, aria_label="Dashboards"),
    )


def _chip(look: Look, name: str, live: str | None) -> str:
    """A variable that was set, and where there is somebody to ask, how to take it back."""
    said = f"{shown(name)}: {shown(', '.join(look.chosen[name]))}"
    if not live:
        return element("span", said, "chip")
    others = {other: values for other, values in look.chosen.items() if other != name}
    return element("a", f"{said} ×", "chip", href=address(live, others), title="show all again")


def _spans(look: Look, live: str | None) -> str:
    """Links to other lengths of time, where there is somebody to ask."""
    if not live:
        return ""
    return "".join(
        element("a", span, "chip now" if span == live else "chip", href=address(span, look.chosen)) for span in SPANS
    )


def _section(section: Section, look: Look, go: Go) -> str:
    dashboard = section.dashboard
    groups = [
        (element("h3", shown(title)) if title else "")
        + element("div", "".join(article(answer, look, go) for answer in answers), "grid")
        for title, answers in section.groups
    ]
    head = element("h2", shown(dashboard.title)) + element("p", shown(dashboard.says), "says") + _marks(section.marks)
    return element("section", head + "".join(groups), id=dashboard.uid)


def _marks(found: Sequence[Marks]) -> str:
    """For the script, which marks them on every chart of the section."""
    marks = [
        [seconds(row["time"]), one.annotation.colour, text(row["title"]), text(row["text"])]
        for one in found
        for row in one.rows
    ]
    failed = [f"{one.annotation.name} could not be read: {one.problem}" for one in found if one.problem]
    said = "".join(element("p", shown(problem), "problem") for problem in failed)
    return said + (data(sorted(marks), "marks") if marks else "")


def _goes(page: Page, live: str | None) -> Go:
    """A file has nobody to ask: its rows' links lead nowhere."""
    if not live:
        return lambda link, row: ""
    shown_here = {section.dashboard.uid for section in page.sections}

    def go(link: Link, row: Mapping[str, Any]) -> str:
        values = {name: [str(row[column])] for name, column in link.sets if row.get(column) not in (None, "")}
        known = link.dashboard in shown_here and values
        return f"{address(live, {**page.look.chosen, **values})}#{link.dashboard}" if known else ""

    return go


def address(span: str, chosen: Mapping[str, Sequence[str]]) -> str:
    """This page with another length of time or other variables, as Grafana writes them."""
    return "/?" + urlencode(
        [("since", span), *((f"var-{name}", value) for name, values in chosen.items() for value in values)]
    )


def _foot(made_at: datetime) -> str:
    return element("footer", f"made {shown(moment(made_at))} UTC · charts by uPlot (MIT), which is in this file")
