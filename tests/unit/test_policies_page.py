"""docs/policies.md: its examples are right, and its words are those that the code says."""

import re
from pathlib import Path

import pytest

from services.cli.main import main
from services.reconciler.policies.eventview import view_of
from services.reconciler.policies.linting import Lint
from tests.reconciler_kit import NOON
from tests.rehearsing import alert

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_are_right_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policies pass the strict check, and the golden case is as expected by them."""
    monkeypatch.delenv("SETPOINT_BASELINES", raising=False)
    rules, case = BLOCKS
    (tmp_path / "rules.yaml").write_text(rules, encoding="utf-8")
    (tmp_path / "case.yaml").write_text(case, encoding="utf-8")
    assert main(["check", "--policies", str(tmp_path), "--strict"]) == 0
    assert main(["policy", "test", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("1 cases: all as expected\n")


@pytest.mark.parametrize("lint", list(Lint))
def test_every_warning_has_its_word(lint: Lint) -> None:
    """As the check prints it."""
    assert f"| `{lint}` |" in PAGE.read_text(encoding="utf-8")


def test_everything_of_an_event_is_told() -> None:
    """What an expression can ask for stands in the table of the page."""
    table = PAGE.read_text(encoding="utf-8").partition("## The event in expressions")[2].partition("## ")[0]
    named = set(re.findall(r"`(?:event\.)?(\w+)`", table))
    view = view_of(alert(), None, environment="", now=NOON)
    assert set(view) <= named
