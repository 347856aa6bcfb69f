"""`setpoint policy`: an event explained, golden cases run, and the recorded past counted."""

import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.cli.main import main
from services.cli.policy_backtest import read_triggers
from services.cli.policy_test import cases_below
from tests.reconciler_kit import NOON, drift
from tests.rehearsing import POD, WEB, alert, event

POLICIES = """\
apiVersion: setpoint.dev/v1alpha1
kind: Policy
metadata: {name: restart}
spec:
  trigger: {alert: CrashLoop, for: 5m}
  match: {namespace: [shop]}
  limits: {oncePer: 1h}
  approve: {if: event.env == "prod"}
  do: [{restart: {}}]
  mode: enforce
---
apiVersion: setpoint.dev/v1alpha1
kind: Policy
metadata: {name: watch-shells}
spec:
  trigger: {alert: "Terminal shell*"}
  do: [{evidence: {}}]
"""
GOLDEN = """\
name: a crash loop is restarted
alert: {name: CrashLoop, target: Pod/shop/web-6d4cf56db6-x7k2p, age: 6m}
expect: {policy: restart, decision: act, reason: policy, do: [restart Deployment/shop/web]}
---
name: production asks
environment: prod
alert: {name: CrashLoop, target: Pod/shop/web-6d4cf56db6-x7k2p, age: 6m}
expect: {decision: ask}
---
name: once an hour
earlier:
- {at: 2026-11-24T12:00:00Z, alert: {name: CrashLoop, target: Deployment/shop/web, age: 6m}}
at: 2026-11-24T12:10:00Z
alert: {name: CrashLoop, target: Deployment/shop/web, age: 6m}
expect: {decision: wait, reason: cooldown}
---
name: a place that only the cluster knows
alert: {name: CrashLoop, target: Pod/shop/toolbox, age: 6m}
place: {workload: StatefulSet/shop/db}
expect: {do: [restart StatefulSet/shop/db]}
---
name: gone
alert: {name: CrashLoop, target: Pod/shop/toolbox, age: 6m}
place: {reason: target-gone}
expect: {decision: deny, reason: target-gone, do: []}
---
name: no policy on drift
drift: {baseline: payments, target: Deployment/shop/web}
expect: {policy: "", decision: observe, reason: no-policy}
---
name: recorded
file: event.json
at: 2026-11-24T12:05:00Z
expect: {policy: restart, decision: act}
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETPOINT_POLICIES", "SETPOINT_ENVIRONMENT", "SETPOINT_CLICKHOUSE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies.yaml").write_text(POLICIES)
    (tmp_path / "event.json").write_text(event(alert()).model_dump_json())
    (tmp_path / "golden.yaml").write_text(GOLDEN)
    return tmp_path


def test_golden_cases_beside_the_policies_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Short and full events, earlier ones, other environments, and what only the cluster knows."""
    assert main(["policy", "test", str(folder)]) == 0
    assert capsys.readouterr().out == "7 cases: all as expected\n"


def test_what_differs_is_shown_side_by_side(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the place of the case, each field that is another, and why it came so."""
    (folder / "golden.yaml").write_text(GOLDEN.replace("decision: ask", "decision: act, do: [scale Node/a]"))
    assert main(["policy", "test", str(folder)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{folder / 'golden.yaml'}:5: production asks",
        "  decision", "    - expected act", "    + found    ask",
        "  do", "    - expected scale Node/a", "    + found    restart Deployment/shop/web",
        "  because would restart",
        "7 cases: 1 not as expected",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("alert: {name: A}\nexpect: {decison: act}\n", "2:10: expect.decison: unknown key", id="misspelt"),
        pytest.param("expect: {decision: act}\n", "name exactly one of alert, drift, event and file", id="no trigger"),
        pytest.param("alert: {name: A}\nexpect: {reason: because}\n", "unknown value 'because'", id="unknown reason"),
    ],
)
def test_a_wrong_case_is_told_with_its_place(
    text: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Golden cases are users' files like all others."""
    (folder / "golden.yaml").write_text(text)
    assert main(["policy", "test", str(folder)]) == 2
    assert words in capsys.readouterr().err


def test_a_folder_without_cases_is_wrong_use(folder: Path) -> None:
    """Nothing tested is no success."""
    (folder / "golden.yaml").unlink()
    assert main(["policy", "test", str(folder)]) == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(event(alert()), "wait (too-young) by policy restart: restart Deployment/shop/web", id="event"),
        pytest.param(alert(), "wait (too-young) by policy restart: restart Deployment/shop/web", id="its data alone"),
        pytest.param(drift(), "observe (no-policy) by no policy", id="drift"),
    ],
)
def test_an_event_is_explained(data: Any, words: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each policy's word, and the decision."""
    (folder / "event.json").write_text(data.model_dump_json())
    assert main(["policy", "explain", str(folder / "event.json"), "--policies", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == words


def test_an_explanation_can_be_looked_at_later_and_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--at` lets a `for:` pass, `--place` says what the cluster would."""
    arguments = ["--at", "2026-11-24T12:06:00+0000", "--place", "workload=StatefulSet/shop/db", "--output", "json"]
    assert main(["policy", "explain", str(folder / "event.json"), "--policies", str(folder), *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["decided"]["do"] == ["restart StatefulSet/shop/db"]
    assert [one["clause"] for one in found["policies"]] == ["", "trigger.alert: 'Terminal shell*' is not 'CrashLoop'"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param("[]", "is no JSON object", id="list"),
        pytest.param("{", "is no JSON", id="broken"),
        pytest.param("{}", "is no event that is known here", id="nothing"),
        pytest.param('{"type": "dev.setpoint.alert.fired.v1"}', "is no such event: id: Field required", id="no id"),
        pytest.param('{"type": "dev.setpoint.weather.changed.v1"}', "is no event that is known here", id="unknown"),
    ],
)
def test_what_is_no_event_is_wrong_use(
    content: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told with the file, and without a traceback."""
    (folder / "event.json").write_text(content)
    assert main(["policy", "explain", str(folder / "event.json"), "--policies", str(folder)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("place", ["workload=web", "house=Deployment/shop/web", "workload"])
def test_a_place_that_is_none_is_wrong_use(place: str, folder: Path) -> None:
    """A part of a place, and an object."""
    assert main(["policy", "explain", str(folder / "event.json"), "--policies", str(folder), "--place", place]) == 2


def row(data: Any, seconds: int = 0) -> dict[str, Any]:
    return {"event_time": NOON, "cluster": "c1", "payload": event(data).model_dump_json()}


def test_recorded_rows_become_triggers() -> None:
    """With what was acted on; what an older or newer version wrote and this one cannot read is counted."""
    rows = [row(alert()), {**row(alert()), "payload": '{"type": "dev.setpoint.alert.fired.v1"}'}, row(drift())]
    triggers, unread = read_triggers(rows, {"a1": [WEB.subject]})
    assert [one.event.data for one in triggers] == [alert(), drift()]
    assert [one.acted_on for one in triggers] == [(WEB,), ()]
    assert unread == 1


def test_a_backtest_is_told_as_a_table_and_as_data(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By policy, with its mode of now and what would have been done."""

    class Recorded:
        async def rows(self, query: Any) -> list[dict[str, Any]]:
            return [row(alert(target=POD))] if "payload" in query.sql else []

    @asynccontextmanager
    async def opened(url: str) -> Any:
        yield Recorded()

    monkeypatch.setattr("services.cli.policy_backtest.open_reader", opened)
    arguments = ["policy", "backtest", "--policies", str(folder), "--clickhouse", "http://x/y", "--helped", "--since",
                 "2026-11-24T11:00:00Z", "--until", "2026-11-24T13:00:00Z"]  # fmt: skip
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "act: restart" in out
    assert "never asked" in out
    assert main([*arguments, "--output", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["policy"], one["verdict"], one["reason"], one["count"]) for one in found["lines"]] == [
        ("restart", "act", "policy", 1), ("restart", "wait", "too-young", 1), ("watch-shells", None, None, 0)
    ]  # fmt: skip
    assert (found["triggers"], found["assumed"], found["unread"]) == (1, 1, 0)


def test_cases_keep_their_lines(folder: Path) -> None:
    """So that an editor finds the one that failed."""
    assert [line for _, line, _ in cases_below(folder)] == [1, 5, 10, 17, 22, 27, 31]
