"""Alert rules as Grafana's provisioning file: query, last value, threshold. A pure function, as `grafana.py` is."""

from typing import Any

import yaml

from services.recorder.dashboards.grafana_panels import DATASOURCE, TABLE, query
from services.recorder.dashboards.model import Rule
from services.recorder.dashboards.rules import RULES

FOLDER = "Setpoint"
EXPRESSION = "__expr__"
HEAD = "# Made by 'make dashboards' from services/recorder/dashboards/rules.py: change it there.\n"

Yaml = dict[str, Any]


def alerting_text() -> str:
    """The file's text."""
    group = {
        "orgId": 1,
        "name": "setpoint",
        "folder": FOLDER,
        "interval": "1m",
        "rules": [_rule(rule) for rule in RULES],
    }
    return HEAD + yaml.safe_dump({"apiVersion": 1, "groups": [group]}, sort_keys=False, width=120, allow_unicode=True)


def _rule(rule: Rule) -> Yaml:
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "C",
        "for": rule.lasting,
        "noDataState": "Alerting" if rule.silence_is_bad else "OK",
        "execErrState": "Alerting" if rule.silence_is_bad else "Error",
        "labels": {"severity": rule.severity, "team": "platform"},
        "annotations": {"summary": rule.says, "description": f"{rule.fix}.", "dashboard": f"/d/{rule.dashboard}"},
        "data": [_asked(rule), _reduced(), _compared(rule)],
    }


def _asked(rule: Rule) -> Yaml:
    """`refId` is A. The time range is what the rule looks at; its SQL says so itself."""
    return {
        "refId": "A",
        "relativeTimeRange": {"from": rule.window_s, "to": 0},
        "datasourceUid": DATASOURCE,
        "model": {"refId": "A", **query(rule.sql, TABLE)},
    }


def _reduced() -> Yaml:
    return _expression("B", {"type": "reduce", "expression": "A", "reducer": "last"})


def _compared(rule: Rule) -> Yaml:
    evaluator = {"type": "gt", "params": [rule.above]}
    return _expression("C", {"type": "threshold", "expression": "B", "conditions": [{"evaluator": evaluator}]})


def _expression(name: str, model: Yaml) -> Yaml:
    return {
        "refId": name,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": EXPRESSION,
        "model": {"refId": name, **model},
    }
