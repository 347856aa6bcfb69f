"""The guard chain: who says no, when, and for how long."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import ControlKind, ControlSet, DriftState, FindingReason, Outcome, Reason, Scope, Verdict
from schemas.ledger import Attempt, Hold, InFlight, TargetState
from schemas.target import Target
from services.kube.verdict.judge import Finding, unjudged
from services.reconciler.guards import CHAIN, Bounds, Request, first_denial, still_true
from services.reconciler.guards.attempts import budget, ineffective_chain
from services.reconciler.guards.cooldown import cooldown
from services.reconciler.guards.fight import WAITS_S, author_of, corrected, fight, heat, next_probe, peace
from services.reconciler.guards.held import held
from services.reconciler.guards.kill_switch import kill_switch
from services.reconciler.guards.one_at_a_time import one_at_a_time
from services.reconciler.guards.paused import paused
from services.reconciler.guards.scope import protected_namespace, scope
from services.reconciler.tally import Tally
from tests.reconciler_kit import NOON, drift, policy, target_of

BOUNDS = Bounds("c1", frozenset({"kube-system"}))


def request_for(target: Target | None = None, *, spec: dict[str, Any] | None = None, **row: Any) -> Request:
    target = target or target_of()
    state = TargetState(target=target, **row)
    return Request(state, drift(target), policy(**(spec or {})), (), BOUNDS, NOON, attempts=state.attempts)


def control(kind: ControlKind, until: float | None = None, **scope: Any) -> ControlSet:
    ends = NOON + timedelta(seconds=until) if until is not None else None
    return ControlSet(
        name="x", kind=kind, scope=Scope(**{"cluster": "c1", **scope}), until=ends, by="ann", reason="deploy"
    )


def tried(*ages: float, policy: str = "heal", outcome: Outcome = Outcome.SUCCEEDED) -> tuple[Attempt, ...]:
    return tuple(Attempt(policy=policy, at=NOON - timedelta(seconds=age), outcome=outcome) for age in ages)


FLIGHT = InFlight(action_id="a", decision_id="d", policy="heal", attempt=1, started_at=NOON)


def test_all_pass_where_nothing_stands_against_it() -> None:
    """An object that nobody has touched before may be corrected."""
    assert first_denial(CHAIN, request_for()) is None


@pytest.mark.parametrize(
    ("until", "scoped", "denied"),
    [
        pytest.param(None, {}, True, id="whole cluster"),
        pytest.param(None, {"namespace": "shop"}, True, id="its namespace"),
        pytest.param(None, {"namespace": "other"}, False, id="another namespace"),
        pytest.param(None, {"subject": target_of().subject}, True, id="the target itself"),
        pytest.param(None, {"cluster": "c2"}, False, id="another cluster"),
        pytest.param(1.0, {}, True, id="not over yet"),
        pytest.param(0.0, {}, False, id="over now"),
    ],
)
@pytest.mark.parametrize(
    ("guard", "kind", "reason", "verdict"),
    [
        pytest.param(kill_switch, ControlKind.KILL_SWITCH, Reason.KILL_SWITCH, Verdict.DENY, id="kill switch"),
        pytest.param(paused, ControlKind.PAUSE, Reason.PAUSED, Verdict.WAIT, id="pause"),
    ],
)
def test_controls_hold_in_their_scope_and_time(
    guard: Any, kind: ControlKind, reason: Reason, verdict: Verdict, until: float | None, scoped: Any, denied: bool
) -> None:
    """A control stops what it covers, until it is lifted or its time is over, and says who set it and why."""
    found = control(kind, until, **scoped)
    denial = guard(replace(request_for(), controls=(found,)))
    assert bool(denial) is denied
    if denial:
        assert (denial.reason, denial.verdict, denial.until) == (reason, verdict, found.until)
        assert "ann" in denial.message
        assert "deploy" in denial.message


def test_a_longer_pause_outlasts_a_shorter_one() -> None:
    """Where two cover a target, the answer holds until both are over."""
    request = replace(request_for(), controls=(control(ControlKind.PAUSE, 5), control(ControlKind.PAUSE, 60)))
    denial = paused(request)
    assert denial
    assert denial.until == NOON + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        pytest.param(target_of(), None, id="own cluster"),
        pytest.param(target_of(cluster="c2"), Reason.OUT_OF_SCOPE, id="other cluster"),
        pytest.param(target_of(namespace="kube-system"), Reason.PROTECTED_NAMESPACE, id="protected"),
        pytest.param(
            Target(cluster="c1", group="", kind="Namespace", namespace="", name="kube-system"),
            Reason.PROTECTED_NAMESPACE, id="the protected namespace itself",
        ),
    ],
)  # fmt: skip
def test_scope(target: Target, reason: Reason | None) -> None:
    """What this reconciler may touch at all."""
    denial = first_denial((scope, protected_namespace), request_for(target))
    assert (denial.reason if denial else None) is reason


def test_one_at_a_time() -> None:
    """A second action waits for the first, however the first was begun."""
    denial = one_at_a_time(request_for(in_flight=FLIGHT))
    assert denial
    assert (denial.reason, denial.verdict) == (Reason.IN_FLIGHT, Verdict.WAIT)


@pytest.mark.parametrize(
    ("age", "denied"), [pytest.param(59, True, id="inside"), pytest.param(60, False, id="at the end")]
)
@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_second_attempt_waits_for_the_cooldown(age: float, denied: bool, outcome: Outcome) -> None:
    """One attempt a minute means one attempt a minute, whatever its outcome was, and the wait ends by itself."""
    request = request_for(spec={"limits": {"oncePer": "1m"}}, attempts=tried(age, outcome=outcome))
    denial = cooldown(request)
    assert bool(denial) is denied
    assert not denial or denial.until == NOON + timedelta(seconds=60 - age)


def test_limits_are_each_policys_own() -> None:
    """Another policy's attempts do not count."""
    limits = {"oncePer": "1h", "attempts": {"max": 1, "within": "1h"}}
    request = request_for(spec={"limits": limits}, attempts=tried(1, policy="other"))
    assert first_denial((cooldown, budget), request) is None


@pytest.mark.parametrize(
    ("ages", "until"),
    [
        pytest.param((10,), None, id="one of two"),
        pytest.param((10, 20), 40, id="two of two: until the older one leaves"),
        pytest.param((10, 20, 30), 40, id="more than allowed, after a stricter limit came: until enough have left"),
        pytest.param((10, 60), None, id="the older one has just left"),
    ],
)
def test_the_budget_slides(ages: tuple[float, ...], until: float | None) -> None:
    """At most two within a minute, counted at every moment."""
    request = request_for(
        spec={"limits": {"attempts": {"max": 2, "within": "1m"}}}, attempts=tuple(reversed(tried(*ages)))
    )
    denial = budget(request)
    assert (denial.until if denial else None) == (NOON + timedelta(seconds=until) if until else None)


def test_the_ineffective_chain_has_no_end_of_its_own() -> None:
    """What did not help three times is not tried again until a person says so."""
    assert ineffective_chain(request_for(ineffective=2)) is None
    denial = ineffective_chain(request_for(ineffective=3))
    assert denial
    assert (denial.reason, denial.until, denial.verdict) == (Reason.INEFFECTIVE_CHAIN, None, Verdict.DENY)


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        pytest.param(Reason.UNAVAILABLE, Verdict.WAIT, id="may pass"),
        pytest.param(Reason.FORBIDDEN, Verdict.DENY, id="refused"),
    ],
)
def test_a_failure_is_held(reason: Reason, verdict: Verdict) -> None:
    """After a failure the answer is the failure's reason, until its back-off is over."""
    later = NOON + timedelta(seconds=1)
    denial = held(request_for(hold=Hold(reason=reason, until=later, message="why")))
    assert denial
    assert (denial.reason, denial.verdict, denial.until, denial.message) == (reason, verdict, later, "why")
    assert held(request_for(hold=Hold(reason=reason, until=NOON))) is None


def test_still_true() -> None:
    """What is right already is left alone."""
    denial = still_true(Finding(None))
    assert denial
    assert denial.reason is Reason.NO_LONGER_TRUE
    assert still_true(Finding(DriftState.CHANGED)) is None
    assert still_true(Finding(DriftState.MISSING)) is None


def test_what_has_become_another_matter_is_left_with_its_reason() -> None:
    """Right before the write there may be no verdict any more."""
    denial = still_true(unjudged(FindingReason.TERMINATING, "is being deleted"))
    assert denial
    assert (denial.reason, denial.message) == (Reason.TERMINATING, "is being deleted")


def fought(count: int, apart: float) -> tuple[TargetState, Any]:
    state, now = TargetState(target=target_of()), NOON
    for _ in range(count):
        now += timedelta(seconds=apart)
        state = corrected(state, now, "rival")
    return state, now


@pytest.mark.parametrize(
    ("count", "apart", "fights"),
    [
        pytest.param(5, 1, False, id="five in five seconds have decayed a little below five"),
        pytest.param(6, 1, True, id="six in six seconds"),
        pytest.param(500, 20, False, id="one every twenty seconds, for hours"),
        pytest.param(30, 10, True, id="six a minute"),
    ],
)
def test_a_fight_is_five_corrections_a_minute(count: int, apart: float, fights: bool) -> None:
    """Heat decays, so what counts is the pace and not the number."""
    state, now = fought(count, apart)
    denial = fight(replace(request_for(), state=state, now=now))
    assert bool(denial) is fights
    if denial:
        assert denial.reason is Reason.FIGHT
        assert "rival" in denial.message
        assert denial.until is not None
        assert denial.until > now


def test_probes_come_ever_more_rarely() -> None:
    """Beyond the heat's decay the wait grows to five minutes and stays there."""
    state, now = fought(6, 1)
    waits = []
    for _ in range(8):
        probe = next_probe(state, now)
        assert probe is not None
        assert fight(replace(request_for(), state=state, now=probe - timedelta(milliseconds=1))) is not None
        assert fight(replace(request_for(), state=state, now=probe)) is None
        waits.append((probe - now).total_seconds())
        now = probe
        state = corrected(state, now, "rival")
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(WAITS_S[-1], abs=1)


def test_a_fight_ends_when_it_stays_right() -> None:
    """A minute without a correction right after the first waits; then the count starts anew."""
    state, now = fought(6, 1)
    later = now + timedelta(seconds=61)
    assert next_probe(state, later) is None
    assert corrected(state, later, None).fight_probes is None


def test_a_person_makes_peace() -> None:
    """Resuming forgets the heat."""
    state, now = fought(6, 1)
    assert next_probe(peace(state), now) is None
    assert heat(peace(state), now) == 0


def test_the_rival_is_who_holds_most_fields() -> None:
    """Setpoint does not fight itself, and an unknown writer has no name."""
    assert author_of(drift(manager="kubectl-edit")) == "kubectl-edit"
    assert author_of(drift(manager="setpoint")) is None
    assert author_of(drift(manager=None)) is None


rows = st.builds(
    TargetState,
    target=st.just(target_of()),
    in_flight=st.sampled_from([None, FLIGHT]),
    ineffective=st.integers(0, 9),
    heat=st.floats(0, 50),
    heat_at=st.sampled_from([None, NOON]),
    fight_probes=st.sampled_from([None, 0, 3, 99]),
    attempts=st.lists(st.floats(0, 5000), max_size=5).map(lambda ages: tried(*ages)),
    hold=st.sampled_from([None, Hold(reason=Reason.CONFLICT, until=NOON + timedelta(hours=1))]),
)


@given(
    row=rows, more=st.lists(st.sampled_from([control(ControlKind.PAUSE), control(ControlKind.PAUSE, 1)]), max_size=3)
)
def test_the_kill_switch_beats_all(row: TargetState, more: list[ControlSet]) -> None:
    """Whatever else is the case, the answer is the kill switch."""
    controls = (*more, control(ControlKind.KILL_SWITCH))
    request = Request(
        row, drift(), policy(), controls, Bounds("elsewhere", frozenset({"shop"})), NOON, attempts=row.attempts
    )  # fmt: skip
    denial = first_denial(CHAIN, request)
    assert denial
    assert denial.reason is Reason.KILL_SWITCH


@given(row=rows)
def test_a_denial_that_ends_by_itself_ends_later_than_now(row: TargetState) -> None:
    """Else the target would be decided again at once, for ever."""
    limits = {"oncePer": "10m", "attempts": {"max": 2, "within": "30m"}, "ineffective": 5}
    request = Request(row, drift(), policy(limits=limits), (), BOUNDS, NOON, attempts=row.attempts, tally=Tally([row]))
    denial = first_denial(CHAIN, request)
    assert not denial or not denial.until or denial.until > NOON
