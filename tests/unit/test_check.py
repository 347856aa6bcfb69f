"""`setpoint check`: errors with their places, warnings beside them, and what the exit code says of each."""

import json
from pathlib import Path

import pytest

from services.cli.main import main

HEAD = "apiVersion: setpoint.dev/v1alpha1\n"
GOOD = HEAD + (
    "kind: Policy\nmetadata: {name: a}\nspec:\n  trigger: {alert: Bad}\n  do: [{restart: {}}]\n"
    "  match: {namespace: [pay]}\n"
)
SHADOWED = GOOD.replace("name: a", "name: b")
WRONG = GOOD + "  when: event.values.restarts >\n"
GROUP = HEAD + "kind: Group\nmetadata: {name: oncall}\nspec: {members: [ana]}\n"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETPOINT_BASELINES", "SETPOINT_POLICIES"):
        monkeypatch.delenv(name, raising=False)


def check(tmp_path: Path, *documents: str, more: tuple[str, ...] = ()) -> int:
    (tmp_path / "p.yaml").write_text("---\n".join(documents))
    return main(["check", "--policies", str(tmp_path), *more])


def test_good_policies_are_all_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that was read is counted."""
    assert check(tmp_path, GOOD, GROUP) == 0
    assert capsys.readouterr().out == "1 policies, 1 groups: all good\n"


def test_an_error_names_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As an editor's list of problems wants it."""
    assert check(tmp_path, WRONG) == 1
    out = capsys.readouterr().out
    assert f"{tmp_path / 'p.yaml'}:8:3: spec.when: no expression" in out
    assert out.endswith("1 problem\n")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        pytest.param("restrat: {}", "spec.do[0].restrat: unknown key (did you mean restart?)", id="unknown action"),
        pytest.param("scale: {replicas: three}", "spec.do[0].scale.replicas: must be a number", id="wrong type"),
        pytest.param("scale: {by: 1, mim: 2}", "spec.do[0].scale.mim: unknown key", id="unknown parameter"),
        pytest.param("restart: {workload: web}", "spec.do[0].restart.workload: names no object", id="no object"),
        pytest.param('scale: {by: "${event.values.by +}"}', "spec.do[0].scale: no expression", id="broken template"),
    ],
)
def test_a_step_is_checked_against_its_action(
    step: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the action's own parameters, templates let through where they can be evaluated."""
    assert check(tmp_path, GOOD.replace("restart: {}", step)) == 1
    assert words in capsys.readouterr().out


PLAIN_AND_STRICT = [pytest.param((), 0, id="plain"), pytest.param(("--strict",), 1, id="strict")]


@pytest.mark.parametrize(("more", "code"), PLAIN_AND_STRICT)
def test_warnings_are_shown_and_count_where_asked(
    more: tuple[str, ...], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning is a likely mistake, and no reason to stop a roll-out unless somebody wants that."""
    assert check(tmp_path, GOOD, SHADOWED, more=more) == code
    out = capsys.readouterr().out
    assert out.startswith("warning: b: shadowed: 'a' comes first by name")
    assert out.endswith("2 policies: 1 warning\n")


def test_programs_get_the_finding_as_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pull request's check can count them by kind."""
    assert check(tmp_path, GOOD, SHADOWED, more=("--output", "json")) == 0
    (warning,) = json.loads(capsys.readouterr().out)["warnings"]
    assert (warning["policy"], warning["lint"], warning["other"]) == ("b", "shadowed", "a")
