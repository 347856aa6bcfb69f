"""Dashboards as data: what Grafana reads is made from them, and nothing in them leads nowhere."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.recorder.dashboards.__main__ import ROOT, made, write
from services.recorder.dashboards.all import DASHBOARDS
from services.recorder.dashboards.grafana import COLUMNS, dashboard_json
from services.recorder.dashboards.grafana_panels import DATASOURCE
from services.recorder.dashboards.model import Dashboard, Kind
from services.recorder.dashboards.rules import RULES
from services.recorder.dashboards.sqltext import spread

HERE = Path(__file__).parents[2] / ROOT
BY_UID = {dashboard.uid: dashboard for dashboard in DASHBOARDS}
ALIAS = re.compile(r"\bAS (\w+)\b(?!\()")
FILTERED = re.compile(r"\$__timeFilter\((\w+)\)|\$__conditionalAll\((\w+) (?:IN|=)")
BUCKET = re.compile(r"\$__timeInterval\([\w.]+\)(?! AS (?:time|step)\b)")
CALL = re.compile(r"\$__time\w+\((?![\w.]+\))[^)]*")


def _queries() -> Iterator[Any]:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            yield pytest.param(panel.sql, id=f"{dashboard.title}: {panel.title}")
        for variable in dashboard.variables:
            if variable.sql:
                yield pytest.param(variable.sql, id=f"{dashboard.title}: ${variable.name}")
        for annotation in dashboard.annotations:
            yield pytest.param(annotation.sql, id=f"{dashboard.title}: {annotation.name}")
    for rule in RULES:
        yield pytest.param(rule.sql, id=f"rule: {rule.uid}")


every_query = pytest.mark.parametrize("sql", list(_queries()))
every_dashboard = pytest.mark.parametrize("dashboard", [pytest.param(board, id=board.uid) for board in DASHBOARDS])


def test_committed_files_are_what_their_source_makes() -> None:
    """Change the source and run 'make dashboards'; a file that was changed by hand would be lost."""
    found = {path.relative_to(HERE) for path in HERE.joinpath("dashboards").iterdir()}
    assert found == {place for place in made() if place.parts[0] == "dashboards"}
    assert {place: (HERE / place).read_text(encoding="utf-8") for place in made()} == made()


def test_a_dashboard_that_is_no_more_goes(tmp_path: Path) -> None:
    """Grafana would show it for ever."""
    write(tmp_path)
    tmp_path.joinpath("dashboards", "old.json").write_text("{}", encoding="utf-8")
    write(tmp_path)
    assert {path.name for path in tmp_path.joinpath("dashboards").iterdir()} == {f"{uid}.json" for uid in BY_UID}


def pitfalls(sql: str) -> list[str]:
    """Aliases by which WHERE may mean something else than it says."""
    filtered = {name for pair in FILTERED.findall(sql) for name in pair if name}
    found = [f"{name} is an alias, and a column that is filtered" for name in filtered & set(ALIAS.findall(sql))]
    found += [f"{bucket} is not called time or step" for bucket in BUCKET.findall(sql)]
    return found + [
        f"{call}: a macro's argument is a column, since the plugin finds its end by a pattern"
        for call in CALL.findall(sql)
    ]


@every_query
def test_no_alias_takes_a_filtered_columns_place(sql: str) -> None:
    """`… AS event_time` makes WHERE filter the bucket: wrong numbers, and no error."""
    assert not pitfalls(sql)


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param("$__timeInterval(t) AS t, count() FROM e WHERE $__timeFilter(t)", id="named-as-its-column"),
        pytest.param("$__timeInterval(time) AS time FROM m WHERE $__timeFilter(time)", id="a-column-named-time"),
        pytest.param("$__timeInterval(t) AS hour FROM m WHERE $__timeFilter(t)", id="bucket-of-another-name"),
        pytest.param("$__timeInterval(greatest(t, u)) AS time FROM m", id="an-expression-in-a-macro"),
        pytest.param(
            "lower(kind) AS kind FROM e WHERE $__conditionalAll(kind IN (${kind:singlequote}), $kind)", id="a-variable"
        ),
    ],
)
def test_the_pitfalls_are_seen(sql: str) -> None:
    """A lint that finds nothing proves nothing."""
    assert pitfalls(f"SELECT {sql}")


@every_query
def test_a_query_is_one_plain_select(sql: str) -> None:
    """It is one SELECT of named columns, and means the same wherever the server is."""
    assert "SELECT *" not in sql
    assert ";" not in sql and "--" not in sql  # noqa: PT018
    assert "now()" not in sql, "without its zone, now() is the server's"


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.uid) for rule in RULES])
def test_rules_need_nothing_of_grafanas_front_end(rule: Any) -> None:
    """`$` in a provisioned file would be read as a variable of the environment."""
    assert "$" not in rule.sql + rule.says + rule.fix
    assert rule.dashboard in BY_UID


@every_dashboard
def test_every_link_arrives(dashboard: Dashboard) -> None:
    """The dashboard that it names is there and has the variables that it sets, and the row has the column."""
    for panel in dashboard.panels:
        for link in panel.links:
            variables = {variable.name for variable in BY_UID[link.dashboard].variables}
            assert {variable for variable, _ in link.sets} <= variables, (panel.title, link.title)
            assert all(re.search(rf"\b{column}\b", panel.sql) for _, column in link.sets), (panel.title, link.title)


@every_dashboard
def test_every_dashboard_leads_to_one_story(dashboard: Dashboard) -> None:
    """From any list of things one comes to everything that belongs to one of them."""
    leads = {link.dashboard for panel in dashboard.panels for link in panel.links}
    without = {"setpoint-record", "setpoint-metrics"}
    assert "setpoint-story" in leads or dashboard.uid in without


@every_dashboard
def test_variables_that_queries_use_are_there(dashboard: Dashboard) -> None:
    """And none is there that no query uses."""
    queries = [panel.sql for panel in dashboard.panels] + [mark.sql for mark in dashboard.annotations]
    queries += [variable.sql for variable in dashboard.variables]
    used = {name for sql in queries for name in re.findall(r"\$\{(\w+):", sql)}
    assert {variable.name for variable in dashboard.variables} == used


@every_dashboard
def test_panels_fill_the_page_and_do_not_overlap(dashboard: Dashboard) -> None:
    """Each cell of Grafana's grid belongs to one panel at most."""
    shown = dashboard_json(dashboard)["panels"]
    assert [panel["id"] for panel in shown] == list(range(1, len(shown) + 1))
    cells: Counter[tuple[int, int]] = Counter()
    for panel in shown:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells.update((x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"]))  # fmt: skip
    assert max(cells.values()) == 1


@every_dashboard
def test_every_panel_says_what_it_means(dashboard: Dashboard) -> None:
    """In one line, and under a title of its own."""
    titles = [panel.title for panel in dashboard.panels]
    assert len(titles) == len(set(titles))
    assert all(panel.says and "\n" not in panel.says for panel in dashboard.panels)


@every_dashboard
def test_a_series_name_is_what_the_legend_shows(dashboard: Dashboard) -> None:
    """Not `drifts changed`, which is what Grafana makes of a column and a label."""
    for panel, shown in zip(dashboard.panels, _drawn(dashboard), strict=True):
        named = shown["fieldConfig"]["defaults"].get("displayName")
        wanted = {Kind.TIMESERIES: "AS series" in panel.sql, Kind.HEATMAP: True}.get(panel.kind, False)
        assert bool(named) is wanted


def _drawn(dashboard: Dashboard) -> list[dict[str, Any]]:
    return [panel for panel in dashboard_json(dashboard)["panels"] if panel["type"] != "row"]


def test_provisioned_files_name_one_datasource() -> None:
    """Rules and dashboards find the datasource by its fixed uid."""
    [source] = _yaml("datasources")["datasources"]
    assert source["uid"] == DATASOURCE
    [group] = _yaml("alerting")["groups"]
    for rule in group["rules"]:
        assert rule["data"][0]["datasourceUid"] == DATASOURCE
        assert rule["condition"] in {step["refId"] for step in rule["data"]}
    assert {rule["uid"] for rule in group["rules"]} == {rule.uid for rule in RULES}
    [provider] = _yaml("dashboards")["providers"]
    assert not provider["allowUiUpdates"]


def test_uids_are_as_grafana_takes_them() -> None:
    """Letters, digits, - and _, at most 40 of them, and each once."""
    uids = [*BY_UID, *(rule.uid for rule in RULES), DATASOURCE]
    assert len(uids) == len(set(uids))
    assert all(re.fullmatch(r"[\w-]{1,40}", uid) for uid in uids)


def _yaml(kind: str) -> dict[str, Any]:
    text = HERE.joinpath("provisioning", kind, "setpoint.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_files_are_json_that_grafana_reads() -> None:
    """Every target names the chosen datasource, and keeps its SQL as it is."""
    for board in DASHBOARDS:
        loaded = json.loads((HERE / "dashboards" / f"{board.uid}.json").read_text(encoding="utf-8"))
        targets = [panel["targets"][0] for panel in loaded["panels"] if panel["type"] != "row"]
        assert [_dense(target["rawSql"]) for target in targets] == [_dense(panel.sql) for panel in board.panels]
        assert {target["datasource"]["uid"] for target in targets} == {"${datasource}"}


def _dense(sql: str) -> str:
    return re.sub(r"\s", "", sql)


@every_query
def test_spreading_a_query_changes_its_white_space_alone(sql: str) -> None:
    """And texts in quotes not even by that; every line is short enough to read."""
    lines = spread(sql)
    assert _dense(lines) == _dense(sql)
    assert re.findall(r"'[^']*'", lines) == re.findall(r"'[^']*'", sql)
    assert lines.count("SELECT") == len(re.findall(r"^\s*SELECT", lines, flags=re.MULTILINE))


def test_clauses_are_lines_and_sub_queries_are_indented() -> None:
    """What stands inside of a function or a window stays there."""
    inner = "SELECT a, ' FROM ' AS b FROM t WHERE a IN (1, 2) AND b > ''"
    sql = f"SELECT a, sum(b) OVER (ORDER BY a) AS c FROM ({inner}) ORDER BY a"
    assert spread(sql).splitlines() == [
        "SELECT a, sum(b) OVER (ORDER BY a) AS c",
        "FROM (",
        "  SELECT a, ' FROM ' AS b",
        "  FROM t",
        "  WHERE a IN (1, 2)",
        "  AND b > ''",
        ")",
        "ORDER BY a",
    ]


def test_the_page_tells_of_every_dashboard_and_rule() -> None:
    """By its title and uid."""
    page = HERE.parents[1].joinpath("docs", "grafana.md").read_text(encoding="utf-8")
    named = [(board.title, board.uid) for board in DASHBOARDS] + [(rule.title, rule.uid) for rule in RULES]
    assert not [title for title, uid in named if f"| {title} | `{uid}` |" not in page]
