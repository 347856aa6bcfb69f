"""The rules as decisions take them: made once for a state of the documents, and looked for at a bounded pace."""

from typing import Any

import pytest

from schemas.policy import Policy
from schemas.window import MaintenanceWindow
from services.reconciler.policies.rulebook import LOOK_S, Rulebooks
from services.runtime.logging import get_log
from services.runtime.rules import Written
from tests.fakes import StillClock
from tests.reacting import policy


class Files:
    """What the documents say, and how often somebody has looked."""

    def __init__(self, *policies: Policy) -> None:
        self.now, self.looks = Written(policies), 0

    def __call__(self) -> Written:
        self.looks += 1
        return self.now


RESTART: list[dict[str, Any]] = [{"restart": {}}]


def test_looked_for_at_a_bounded_pace() -> None:
    """However often a batch asks, files are not looked at more often."""
    files, clock = Files(policy("a", RESTART)), StillClock()
    books = Rulebooks(files, clock, get_log("test"))
    for _ in range(1000):
        books()
    assert files.looks == 1
    clock.advance(LOOK_S)
    books()
    assert files.looks == 2


def test_the_same_documents_are_the_same_book() -> None:
    """Read anew and equal: nothing is decided anew for it."""
    files, clock = Files(policy("a", RESTART)), StillClock()
    books = Rulebooks(files, clock, get_log("test"))
    before = books()
    files.now = Written((policy("a", RESTART),))
    clock.advance(LOOK_S)
    assert books() is before
    files.now = Written((policy("b", RESTART),))
    clock.advance(LOOK_S)
    assert [one.name for one in books().policies] == ["b"]
    assert books() is not before


def test_the_last_good_book_stays_in_force(capsys: pytest.CaptureFixture[str]) -> None:
    """A calendar that cannot be read costs the change, not the service, and the log says so once."""
    spec = {"calendar": "x.ics"}
    document = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "MaintenanceWindow", "metadata": {"name": "w"}}
    files, clock = Files(policy("a", RESTART)), StillClock()
    books = Rulebooks(files, clock, get_log("test"))
    before = books()
    files.now = Written((), (MaintenanceWindow.model_validate({**document, "spec": spec}),), {"w": b"no calendar"})
    for _ in range(3):
        clock.advance(LOOK_S)
        assert books() is before
    assert capsys.readouterr().out.count("the policies of before stay in force") == 1
