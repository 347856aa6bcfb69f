"""A panel as Grafana's JSON: its query, how it is drawn, its units, thresholds and links. See `grafana.py`."""

from typing import Any

from services.recorder.dashboards.model import Colour, Kind, Link, Panel, Threshold, Unit
from services.recorder.dashboards.sqltext import spread

PLUGIN, PLUGIN_VERSION = "grafana-clickhouse-datasource", "4.20.0"
DATASOURCE = "setpoint-clickhouse"
"""The provisioned datasource's uid. A dashboard has a variable for it, so that another one may be chosen."""
CHOSEN = {"type": PLUGIN, "uid": "${datasource}"}
SERIES, TABLE = 0, 1
UNITS_BY_SUFFIX = {"_ms": Unit.MILLISECONDS, "_s": Unit.SECONDS}
DRAWN = {
    Kind.TIMESERIES: "timeseries",
    Kind.HEATMAP: "heatmap",
    Kind.STAT: "stat",
    Kind.BAR: "barchart",
    Kind.TABLE: "table",
}


Json = dict[str, Any]


def panel_json(number: int, panel: Panel, left: int, top: int) -> Json:
    """The panel with this number and place."""
    made = {
        "id": number,
        "type": DRAWN[panel.kind],
        "title": panel.title,
        "description": panel.says,
        "datasource": CHOSEN,
        "gridPos": {"x": left, "y": top, "w": panel.width, "h": panel.height},
        "targets": [{"refId": "A", "datasource": CHOSEN, **query(panel.sql, _format(panel.kind))}],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [*_unit_overrides(panel), *_links(panel)]},
        "options": _options(panel),
    }
    return made | ({"interval": f"{panel.step_s}s"} if panel.kind in (Kind.TIMESERIES, Kind.HEATMAP) else {})


def query(sql: str, form: int) -> Json:
    """A query as the plugin keeps it."""
    kind = "timeseries" if form == SERIES else "table"
    return {
        "editorType": "sql",
        "rawSql": spread(sql),
        "format": form,
        "queryType": kind,
        "pluginVersion": PLUGIN_VERSION,
    }


def _format(kind: Kind) -> int:
    return SERIES if kind in (Kind.TIMESERIES, Kind.HEATMAP) else TABLE


def _defaults(panel: Panel) -> Json:
    made: Json = {"unit": str(panel.unit), "thresholds": _thresholds(panel.thresholds)}
    if panel.kind is Kind.TABLE:
        return {"unit": str(Unit.NONE), "custom": {"filterable": True, "cellOptions": {"type": "auto"}}}
    if panel.kind is Kind.TIMESERIES:
        made["custom"] = _strokes(panel)
        made["color"] = {"mode": "palette-classic"}
        if "AS series" in panel.sql:
            made["displayName"] = "${__field.labels.series}"
    if panel.kind is Kind.HEATMAP:
        made["displayName"] = "${__field.labels.bucket}"
    if panel.kind is Kind.BAR:
        made["color"] = {"mode": "palette-classic"}
    if panel.kind is Kind.STAT:
        made["noValue"] = "–"
    return made


def _strokes(panel: Panel) -> Json:
    if panel.bars:
        return {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}
    return {"drawStyle": "line", "fillOpacity": 8, "lineWidth": 1, "showPoints": "auto", "spanNulls": False}


def _thresholds(thresholds: tuple[Threshold, ...]) -> Json:
    steps: list[Json] = [{"color": str(Colour.GREEN), "value": None}]
    steps += [{"color": str(threshold.colour), "value": threshold.at} for threshold in thresholds]
    return {"mode": "absolute", "steps": steps}


def _unit_overrides(panel: Panel) -> list[Json]:
    """In tables, a column's unit is the end of its name: `age_s` is in seconds."""
    if panel.kind is not Kind.TABLE:
        return []
    return [
        {
            "matcher": {"id": "byRegexp", "options": f"/{suffix}$/"},
            "properties": [{"id": "unit", "value": str(unit)}],
        }
        for suffix, unit in UNITS_BY_SUFFIX.items()
    ]


def _links(panel: Panel) -> list[Json]:
    """Links hang on the first column that they need."""
    columns = dict.fromkeys(link.sets[0][1] for link in panel.links)
    return [
        {
            "matcher": {"id": "byName", "options": column},
            "properties": [
                {"id": "links", "value": [_link(link) for link in panel.links if link.sets[0][1] == column]}
            ],
        }
        for column in columns
    ]


def _link(link: Link) -> Json:
    sets = [f"var-{variable}=${{__data.fields.{column}:percentencode}}" for variable, column in link.sets]
    time = f"from=now-{link.since}&to=now" if link.since else "${__url_time_range}"
    return {
        "title": link.title,
        "url": f"/d/{link.dashboard}?{'&'.join([*sets, 'var-datasource=${datasource}', time])}",
    }


def _options(panel: Panel) -> Json:
    legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
    by_kind: dict[Kind, Json] = {
        Kind.TIMESERIES: {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}},
        Kind.HEATMAP: {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 32}},
        Kind.STAT: {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
        },
        Kind.BAR: {"orientation": "horizontal", "legend": {**legend, "showLegend": False}, "showValue": "auto"},
        Kind.TABLE: {"showHeader": True, "cellHeight": "sm"},
    }
    return by_kind[panel.kind]
