"""The chains as wholes: their order, the kill switch above all, and what may be asked only once a plan is made."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import ControlKind, ControlSet, Outcome, Reason, Scope, Verdict
from schemas.ledger import Hold, TargetState
from schemas.target import Target
from services.reconciler.guards import (
    ALERT_CHAIN,
    CHAIN,
    ELSE_CHAIN,
    LAST_MOMENT,
    Bounds,
    Guard,
    approval,
    first_denial,
    plan_unchanged,
    touches_only_own,
)
from services.reconciler.memory import memory_of, most_of
from services.reconciler.tally import Tally
from services.runtime.settings import Settings
from tests.guards_kit import BOUNDS, asked, case, on_alert, tried
from tests.reconciler_kit import NOON, policy, target_of
from tests.unit.test_guards_windows import Open

POD = target_of("web-1", kind="Pod")
KILL = ControlSet(name="k", kind=ControlKind.KILL_SWITCH, scope=Scope(cluster="c1"), by="ann")
PAUSE = ControlSet(name="p", kind=ControlKind.PAUSE, scope=Scope(cluster="c1"), by="ann")

attempts = st.lists(
    st.builds(
        tried, st.integers(0, 5000), outcome=st.sampled_from([None, Outcome.SUCCEEDED, Outcome.FAILED]),
        action=st.sampled_from(["restart", "notify"]),
    ),
    max_size=12,
).map(tuple)  # fmt: skip
requests = st.builds(
    lambda made, hold, over, windows, controls, bounds, limits, action: asked(
        on_alert(limits=limits), case(POD, hold=hold, over_at=over), attempts=made, bounds=bounds, controls=controls,
        tally=Tally([TargetState(target=POD, attempts=made)]), windows=windows, action=action,
    ),
    attempts,
    st.sampled_from([None, Hold(reason=Reason.CONFLICT, until=NOON + timedelta(hours=1))]),
    st.sampled_from([None, NOON]),
    st.sampled_from([(), (Open(NOON + timedelta(hours=1)),)]),
    st.sampled_from([(), (PAUSE,)]),
    st.sampled_from([Bounds("c1", storm_max=2), Bounds("c2", frozenset({"shop"})), BOUNDS]),
    st.sampled_from([
        {}, {"oncePer": "1h", "attempts": {"max": 1, "within": "2h"}, "rate": {"max": 1, "within": "1h"}},
        {"ineffective": 1, "breaker": {"failures": 1, "wait": "1h"}},
    ]),
    st.sampled_from(["restart", "notify"]),
)  # fmt: skip


@given(requests)
@pytest.mark.parametrize(
    "chain", [ALERT_CHAIN, ELSE_CHAIN, LAST_MOMENT, CHAIN[:1]], ids=["do", "else", "last", "drift"]
)
def test_the_kill_switch_beats_all(chain: tuple[Guard, ...], request_: Any) -> None:
    """Whatever else is the case, and whatever is to be done, the answer is the kill switch."""
    denial = first_denial(chain, replace(request_, controls=(*request_.controls, KILL)))
    assert denial is not None
    assert (denial.reason, denial.verdict) == (Reason.KILL_SWITCH, Verdict.DENY)


@given(requests)
def test_an_answer_that_ends_by_itself_ends_later_than_now(request_: Any) -> None:
    """Else the alert would be decided again at once, for ever."""
    for guard in (*ALERT_CHAIN, *ELSE_CHAIN):
        denial = guard(request_)
        assert denial is None or denial.until is None or denial.until > request_.now


def test_the_chains_have_the_order_that_the_documentation_gives() -> None:
    """The first denial is the answer, so the order is a promise."""
    assert [guard.__name__ for guard in ALERT_CHAIN] == [
        "kill_switch", "scope", "protected_namespace", "still_firing", "maintenance", "paused", "one_at_a_time",
        "cooldown", "budget", "ineffective_chain", "held", "rate", "storm", "breaker",
    ]  # fmt: skip
    assert [guard.__name__ for guard in CHAIN] == [
        "kill_switch", "scope", "protected_namespace", "judged", "maintenance", "paused", "one_at_a_time", "cooldown",
        "budget", "ineffective_chain", "held", "fight", "rate", "breaker", "irreversible",
    ]  # fmt: skip


@pytest.mark.parametrize("chain", [ALERT_CHAIN, ELSE_CHAIN], ids=["do", "else"])
@pytest.mark.parametrize(
    ("action", "reason"),
    [
        pytest.param("restart", Reason.PROTECTED_NAMESPACE, id="what touches it"),
        pytest.param("apply-manifest", Reason.PROTECTED_NAMESPACE, id="what has no subject of its own"),
        pytest.param("notify", None, id="telling people of it"),
    ],
)
def test_nothing_is_touched_in_a_protected_namespace(
    chain: tuple[Guard, ...], action: str, reason: Reason | None
) -> None:
    """Not where a policy gives up either; but people may be told."""
    denial = first_denial(chain, asked(of=case(target_of(namespace="kube-system")), action=action, subject=None))
    assert (denial.reason if denial else None) is reason


@pytest.mark.parametrize(
    ("touched", "reason"),
    [
        pytest.param([POD, target_of()], None, id="its own"),
        pytest.param([POD, target_of(namespace="kube-system")], Reason.PROTECTED_NAMESPACE, id="a protected one"),
        pytest.param([target_of(cluster="c2"), POD], Reason.OUT_OF_SCOPE, id="another cluster's"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_every_object_that_a_plan_touches_is_looked_at(touched: list[Target], reason: Reason | None) -> None:
    """Parameters may name more than the action's subject."""
    denial = touches_only_own(touched, BOUNDS)
    assert (denial.reason if denial else None) is reason


@pytest.mark.parametrize(
    ("needed", "approved", "asks"),
    [
        pytest.param(False, None, False, id="nobody need be asked"),
        pytest.param(True, None, True, id="not asked yet"),
        pytest.param(True, "h1", False, id="this plan was approved"),
        pytest.param(True, "h0", True, id="another plan was"),
    ],
)
def test_people_are_asked_about_each_plan(needed: bool, approved: str | None, asks: bool) -> None:
    """An approval is for one plan and no other."""
    denial = approval(case(approved=approved), needed, "h1")
    assert bool(denial) is asks
    assert denial is None or (denial.reason, denial.verdict) == (Reason.APPROVAL, Verdict.ASK)


@pytest.mark.parametrize(
    ("expects", "changed"),
    [
        pytest.param(None, False, id="nobody was asked"),
        pytest.param("h1", False, id="the approved plan"),
        pytest.param("h0", True, id="another plan"),
    ],
)
def test_only_the_approved_plan_is_carried_out(expects: str | None, changed: bool) -> None:
    """Looked at right before it is."""
    denial = plan_unchanged(expects, "h1")
    assert (denial.reason if denial else None) is (Reason.PLAN_CHANGED if changed else None)


@pytest.mark.parametrize(
    ("limits", "hours", "most"),
    [
        pytest.param({}, 2.0, 60, id="three times the half hour that helps must last, and one more"),
        pytest.param({"oncePer": "6h", "ineffective": 3}, 24.0, 60, id="a chain whose attempts are far apart"),
        pytest.param({"breaker": {"wait": "8h"}}, 16.0, 60, id="a breaker that waits long"),
        pytest.param({"rate": {"max": 500, "within": "1m"}}, 2.0, 500, id="a rate that counts many"),
    ],
)
def test_attempts_are_remembered_for_as_long_as_any_limit_counts_them(limits: Any, hours: float, most: int) -> None:
    """Else a limit would forget, and let more through than it says."""
    assert memory_of([on_alert(limits=limits)], BOUNDS) == timedelta(hours=hours)
    assert most_of([on_alert(limits=limits)], BOUNDS) == most
    assert most_of([policy()], BOUNDS) == 10
    assert memory_of([policy(limits={"attempts": {"max": 3, "within": "24h"}})], BOUNDS) == timedelta(hours=24)


def test_the_brake_can_be_set() -> None:
    """And has the same defaults wherever it comes from."""
    settings = Settings()
    assert (settings.storm_max, settings.storm_within) == (BOUNDS.storm_max, BOUNDS.storm_within)
