"""The command line without any part behind it: help, exit codes, and errors that say what to do."""

import json
from pathlib import Path

import pytest

from services.cli.main import COMMANDS, main

BASELINE = """\
apiVersion: setpoint.dev/v1alpha1
kind: Baseline
metadata: {name: shop}
spec:
  source: {folder: ./manifests}
"""
MANIFEST = "{apiVersion: v1, kind: ConfigMap, metadata: {name: limits, namespace: shop}, data: {most: '5'}}\n"


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine's, no running `up`, no kubeconfig; and the logs of other tests stay as they are."""
    monkeypatch.setattr("services.cli.run.configure_logging", lambda *_: None)
    for name in ("SETPOINT_KAFKA", "SETPOINT_CLICKHOUSE", "SETPOINT_CONTEXT", "SETPOINT_BASELINES", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def baselines(tmp_path: Path) -> Path:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "limits.yaml").write_text(MANIFEST)
    file = tmp_path / "baselines.yaml"
    file.write_text(BASELINE)
    return file


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` answers for each command, and shows how it is called."""
    assert main([name, "--help"]) == 0
    assert f"Example: setpoint {name}" in capsys.readouterr().out


def test_the_list_of_commands_is_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """Plain `--help` names every command."""
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["diff", "--baseline", "."], "Give --context NAME or --kubeconfig FILE", id="no-cluster"),
        pytest.param(["up"], "Give --context NAME", id="no-context"),
        pytest.param(["run", "recorder"], "SETPOINT_KAFKA", id="no-broker"),
        pytest.param(["drift"], "Give --clickhouse", id="no-history"),
        pytest.param(["pause", "--kafka", "localhost:1"], "Give --cluster NAME", id="no-scope"),
        pytest.param(["pause", "--target", "a/b", "--kafka", "x:1"], "a target is cluster/group", id="odd-target"),
        pytest.param(["doctor"], "Give --kafka", id="nothing-to-look-at"),
        pytest.param(["schemas", "Nothing"], "there is no schema 'Nothing'", id="no-schema"),
        pytest.param(["timeline", "only-a-name", "--clickhouse", "http://127.0.0.1:1/x"], "only-a-name", id="odd-name"),
    ],
)
def test_wrong_use_exits_with_2_and_says_what_to_give(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cluster, broker or database is never guessed: what was not named is asked for."""
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_part_that_is_away_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing listens there: the error names the part, without a traceback."""
    assert main(["topics", "--create", "--kafka", "127.0.0.1:1"]) == 3
    assert "setpoint: the broker does not answer" in capsys.readouterr().err


def test_a_wrong_setting_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], baselines: Path
) -> None:
    """A setting from the environment is named as the environment has it."""
    monkeypatch.setenv("SETPOINT_PARTITIONS", "many")
    assert main(["check", "--baselines", str(baselines)]) == 2
    assert "SETPOINT_PARTITIONS" in capsys.readouterr().err


def test_check_counts_what_is_good(baselines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Good files: exit code 0, and what they hold."""
    assert main(["check", "--baselines", str(baselines)]) == 0
    assert "1 baselines, 1 objects: all good" in capsys.readouterr().out


def test_check_names_file_line_field_and_fix(baselines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt key: exit code 1, its place, and what was meant."""
    baselines.write_text(BASELINE.replace("source:", "sorce:"))
    assert main(["check", "--baselines", str(baselines), "--output", "json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert any(problem["line"] == 5 and "sorce" in problem["field"] + problem["message"] for problem in problems)
    assert any("source" in problem["fix"] for problem in problems)


def test_topics_come_from_the_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    """`topics` needs no broker to say what there is."""
    assert main(["topics", "--output", "json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"setpoint-drift", "setpoint-ledger"}


def test_schemas_lists_and_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name the list, with one the schema."""
    assert main(["schemas"]) == 0
    assert "Policy" in capsys.readouterr().out
    assert main(["schemas", "Policy"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Policy"
