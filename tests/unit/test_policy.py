"""What a policy may say, and which of its steps answers which finding."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.actions import Notify
from schemas.events import DriftState
from schemas.template import FILLED
from tests.reacting import policy as alert_policy
from tests.reconciler_kit import policy


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        pytest.param([{}], "name exactly one action", id="none"),
        pytest.param([{"revert": {}, "prune": {}}], r"name exactly one action \(revert, prune\)", id="two in one step"),
        pytest.param([{"prune": {}}, {"prune": {}}], "name each action once", id="one twice"),
        pytest.param([{"prune": {}, "undo": "auto"}], "what is pruned is gone", id="a prune that is undone"),
        pytest.param([{"prune": {}, "verify": {"until": ["available"]}}], "is gone", id="a prune that runs"),
        pytest.param([], "at least 1 item", id="no step"),
        pytest.param([{"prune": {"recreate": True}}], "recreate", id="another action's parameter"),
    ],
)  # fmt: skip
def test_a_step_is_one_action(steps: Any, words: str) -> None:
    """What cannot mean anything is refused, with words that say what may be written."""
    with pytest.raises(ValidationError, match=words):
        policy(do=steps)


@pytest.mark.parametrize(
    ("steps", "answers"),
    [
        pytest.param(None, {"revert"}, id="nothing said"),
        pytest.param([{"revert": {}}], {"revert"}, id="revert"),
        pytest.param([{"prune": {}}], {"prune"}, id="prune"),
        pytest.param([{"prune": {}}, {"revert": {"recreate": True}}], {"revert", "prune"}, id="both"),
    ],
)
@pytest.mark.parametrize("state", list(DriftState))
def test_only_prune_answers_what_is_unwanted(steps: Any, answers: set[str], state: DriftState) -> None:
    """And it answers nothing else, so that no policy deletes that does not say so."""
    found = policy(**({"do": steps} if steps else {})).step_for(state)
    wanted = "prune" if state is DriftState.UNWANTED else "revert"
    assert (found.action if found else None) == (wanted if wanted in answers else None)


def test_nothing_is_made_anew_by_default() -> None:
    """Deleting is never what a short policy means."""
    step = policy().spec.do[0]
    assert (step.action, step.recreates, step.timeout.total_seconds()) == ("revert", False, 30)


def test_text_around_a_template_is_refused() -> None:
    """It would stand in the message as it is written; the words say how it is meant."""
    step = {"notify": {"to": "#ops", "message": "restarting ${event.workload} does not help"}}
    with pytest.raises(ValidationError, match="make it one expression"):
        alert_policy("tell", [step])
    whole = "${'restarting ' + event.workload + ' does not help'}"
    assert alert_policy("tell", [{"notify": {"to": "#ops", "message": whole}}]).spec.do[0].action == "notify"


def test_a_filled_value_may_hold_anything() -> None:
    """What came from an event is never read as a template, nor refused for looking like one."""
    filled = Notify.model_validate({"to": "#ops", "message": "costs ${price}"}, context=FILLED)
    assert filled.message == "costs ${price}"
