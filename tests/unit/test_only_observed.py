"""What is declared by somebody who could not make it so is never corrected, on both ways to a correction."""

from dataclasses import replace

import pytest

from schemas.events import Reason, Verdict
from schemas.ledger import TargetState
from services.kube.api.errors import Forbidden
from services.kube.correction.revert import put_back
from services.kube.verdict.judge import MISSING
from services.reconciler.decide import answer_for
from services.reconciler.inputs import World
from tests.fakes import NOON
from tests.reconciler_kit import declared, drift, policy, target_of

WHY = "no baseline was chosen"


def test_a_policy_that_enforces_only_observes_it() -> None:
    """The drift itself says why, so that every reconciler decides alike; a policy for all baselines changes nothing."""
    found, enforcing = drift(observe=WHY), policy()
    answer = answer_for(TargetState(target=target_of(), drift=found), found, enforcing, World(NOON, (enforcing,)))
    assert (answer.verdict, answer.reason) == (Verdict.OBSERVE, Reason.OBSERVE_MODE)
    assert WHY in answer.message


async def test_the_write_itself_is_refused() -> None:
    """The last line: an event of an older watcher does not say it, and no cluster is asked for anything."""
    with pytest.raises(Forbidden, match=WHY):
        await put_back(None, replace(declared(target_of()), observe=WHY), None, MISSING)  # type: ignore[arg-type]
