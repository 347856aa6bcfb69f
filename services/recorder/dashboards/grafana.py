"""Dashboards as Grafana's JSON, for its ClickHouse plugin (grafana-clickhouse-datasource, 4.x).

A pure function from the data in this package: the committed files are what it makes, to the byte. The shape is that of
Grafana 11 (schemaVersion 39), which newer ones read too.
"""

import json
from collections.abc import Iterator

from services.recorder.dashboards.grafana_panels import CHOSEN, DATASOURCE, PLUGIN, TABLE, Json, panel_json, query
from services.recorder.dashboards.model import Annotation, Dashboard, Variable

TAG = "setpoint"
COLUMNS = 24
HEADING = 1


def text_of(dashboard: Dashboard) -> str:
    """The file's text."""
    return json.dumps(dashboard_json(dashboard), indent=2, ensure_ascii=False) + "\n"


def dashboard_json(dashboard: Dashboard) -> Json:
    """The whole dashboard."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.says,
        "tags": [TAG],
        "schemaVersion": 39,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": f"now-{dashboard.since}", "to": "now"},
        "links": [_elsewhere()],
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "annotations": {"list": [_annotation(annotation) for annotation in dashboard.annotations]},
        "panels": list(_panels(dashboard)),
    }


def _panels(dashboard: Dashboard) -> Iterator[Json]:
    """Rows and their panels from left to right, each row of panels as high as its highest."""
    number, top = 1, 0
    for row in dashboard.rows:
        yield _heading(number, row.title, top)
        number, top, left, highest = number + 1, top + HEADING, 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, highest = top + highest, 0, 0
            yield panel_json(number, panel, left, top)
            number, left, highest = number + 1, left + panel.width, max(highest, panel.height)
        top += highest


def _heading(number: int, title: str, top: int) -> Json:
    place = {"x": 0, "y": top, "w": COLUMNS, "h": HEADING}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _datasource() -> Json:
    current = {"text": DATASOURCE, "value": DATASOURCE}
    return {"type": "datasource", "name": "datasource", "label": "Record", "query": PLUGIN, "current": current}


def _variable(variable: Variable) -> Json:
    named = {"name": variable.name, "label": variable.label}
    if not variable.sql:
        value = variable.default
        return {"type": "textbox", **named, "query": value, "current": {"text": value, "value": value}}
    all_of_them = {"text": ["All"], "value": ["$__all"]}
    one = {"text": variable.default, "value": variable.default}
    return {
        "type": "query",
        **named,
        "datasource": CHOSEN,
        "query": {"refId": "A", **query(variable.sql, TABLE)},
        "refresh": 2,
        "sort": 0,
        "multi": variable.all,
        "includeAll": variable.all,
        "current": all_of_them if variable.all else one,
    }


def _annotation(annotation: Annotation) -> Json:
    return {
        "name": annotation.name,
        "datasource": CHOSEN,
        "enable": annotation.shown,
        "iconColor": str(annotation.colour),
        "target": {"refId": "Anno", **query(annotation.sql, TABLE)},
    }


def _elsewhere() -> Json:
    """A menu of all dashboards, which keeps the time and the variables."""
    return {
        "type": "dashboards",
        "title": "Setpoint",
        "tags": [TAG],
        "asDropdown": True,
        "keepTime": True,
        "includeVars": True,
    }
