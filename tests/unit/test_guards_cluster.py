"""The limits over many objects: a policy's rate, the brake in a storm, and the breaker of an action."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Outcome, Reason, Verdict
from schemas.ledger import TargetState
from services.reconciler.guards import Bounds, Request
from services.reconciler.guards.breaker import breaker
from services.reconciler.guards.rate import rate
from services.reconciler.guards.storm import closed_until, storm
from services.reconciler.tally import Tally
from tests.guards_kit import Platform, asked, on_alert, tried
from tests.reconciler_kit import NOON, drift, policy, target_of

MINUTE = timedelta(minutes=1)
PODS = [target_of(f"p{number}", namespace, kind="Pod") for number in range(5) for namespace in ("shop", "pay")]
times = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(PODS)), min_size=1, max_size=60)


@given(requests=times, most=st.integers(1, 5), per=st.sampled_from(["cluster", "namespace"]))
def test_no_window_ever_holds_more_than_the_rate(requests: list[tuple[int, object]], most: int, per: str) -> None:
    """In the cluster or in each namespace, whichever stretch of time one looks at."""
    limited = on_alert(limits={"rate": {"max": most, "within": "1m", "per": per}})
    now, everywhere, by_namespace = NOON, Platform(), {"shop": Platform(), "pay": Platform()}
    for gap, pod in requests:
        now += timedelta(seconds=gap)
        assert isinstance(pod, type(PODS[0]))
        if everywhere.may(rate, limited, pod, now):
            by_namespace[pod.namespace].began.append(now)
    counted = [everywhere] if per == "cluster" else list(by_namespace.values())
    assert all(one.most_within(MINUTE) <= most for one in counted)


@pytest.mark.parametrize(
    ("name", "target", "now", "until"),
    [
        pytest.param("restart", PODS[0], 59.0, 60.0, id="full"),
        pytest.param("restart", PODS[0], 60.0, None, id="the oldest has left"),
        pytest.param("restart", PODS[1], 59.0, None, id="another namespace"),
        pytest.param("another", PODS[0], 59.0, None, id="another policy"),
    ],
)
def test_a_rate_is_one_policys_in_one_place(name: str, target: object, now: float, until: float | None) -> None:
    """It waits until the oldest of those that fill the window has left it."""
    platform = Platform()
    for age in (0, -20):
        platform.attempt(PODS[2], tried(age))
    assert isinstance(target, type(PODS[0]))
    limited = on_alert(name, limits={"rate": {"max": 2, "within": "1m", "per": "namespace"}})
    request = asked(limited, now=NOON + timedelta(seconds=now), tally=platform.tally, subject=target)
    denial = rate(request)
    assert (denial.until if denial else None) == (NOON + timedelta(seconds=until) if until else None)
    assert denial is None or (denial.reason, denial.verdict) == (Reason.RATE, Verdict.WAIT)


@given(alerts=st.integers(500, 520), most=st.integers(1, 60), apart=st.sampled_from([0.0, 0.01, 0.5]))
def test_a_storm_of_500_alerts_acts_at_most_n_times(alerts: int, most: int, apart: float) -> None:
    """Each on a pod of its own, by several policies, within the window."""
    bounds, policies, platform = Bounds("c1", storm_max=most), [on_alert("a"), on_alert("b")], Platform()
    for number in range(alerts):
        target = target_of(f"p{number}", kind="Pod")
        now = NOON + timedelta(seconds=apart * number)
        platform.may(storm, policies[number % 2], target, now, bounds)
    assert len(platform.began) == most


@given(requests=st.lists(st.integers(0, 200), min_size=1, max_size=150), most=st.integers(1, 9))
def test_the_brake_opens_only_below_half(requests: list[int], most: int) -> None:
    """As if it remembered that it had closed, though all it knows are the attempts."""
    bounds = Bounds("c1", storm_max=most, storm_within=10 * MINUTE)
    platform, now, closed = Platform(), NOON, False
    for gap in requests:
        now += timedelta(seconds=gap)
        inside = sum(at > now - bounds.storm_within for at in platform.began)
        closed = closed and inside >= most / 2
        assert platform.may(storm, on_alert(), PODS[0], now, bounds) is not closed
        closed = closed or (not closed and inside + 1 >= most)
    assert platform.most_within(bounds.storm_within) <= most


@given(ages=st.lists(st.integers(0, 900), max_size=40), most=st.integers(1, 9))
def test_the_brake_says_when_it_opens(ages: list[int], most: int) -> None:
    """Also where more was begun than it would have let through: a setting was lowered, a step of an `else`."""
    tally = Tally([TargetState(target=PODS[0], attempts=tuple(tried(age) for age in ages))])
    within = 5 * MINUTE
    until = closed_until(tally.on_alerts, NOON, most, within)
    if until is not None:
        assert until > NOON
        assert closed_until(tally.on_alerts, until, most, within) is None
        assert closed_until(tally.on_alerts, until - timedelta(milliseconds=1), most, within) == until
    full = sum(age < 300 for age in ages) >= most
    assert until is not None or not full


def test_a_storm_of_drift_closes_no_brake() -> None:
    """What is declared is known to be right."""
    attempts = tuple(tried(1, action="revert") for _ in range(100))
    tally = Tally([TargetState(target=PODS[0], attempts=attempts)])
    assert storm(asked(tally=tally)) is None


@given(
    steps=st.lists(st.tuples(st.integers(0, 90), st.sampled_from(["ok", "bad", "superseded"])), max_size=40),
    failures=st.integers(1, 4),
)
def test_the_breaker_lets_one_try_in_each_wait(steps: list[tuple[int, str]], failures: int) -> None:
    """After so many failures in a row none for a minute; then one, whose failure closes it for another minute and whose
    success forgets it all. What was superseded is neither."""
    limited = on_alert(limits={"breaker": {"failures": failures, "wait": "1m"}})
    outcomes = {"ok": Outcome.SUCCEEDED, "bad": Outcome.FAILED, "superseded": Outcome.SUPERSEDED}
    platform, now, row, last = Platform(), NOON, 0, NOON
    for number, (gap, end) in enumerate(steps):
        now += timedelta(seconds=gap)
        pod = PODS[number % len(PODS)]
        expected = row < failures or now >= last + MINUTE
        assert platform.may(breaker, limited, pod, now) is expected
        if expected:
            platform.ends(pod, outcomes[end])
            row, last = (0, last) if end == "ok" else (row + 1, now) if end == "bad" else (row, last)


def test_while_one_tries_the_others_wait() -> None:
    """Half open: until it is known how that went."""
    limited = on_alert(limits={"breaker": {"failures": 2, "wait": "1m"}})
    platform = Platform()
    for age in (20, 10):
        platform.attempt(PODS[0], tried(age, "other", Outcome.FAILED))
    later = NOON + MINUTE
    assert platform.may(breaker, limited, PODS[1], later)
    for seconds in (0, 1, 59, 60, 3600):
        now = later + timedelta(seconds=seconds)
        denial = breaker(asked(limited, now=now, tally=platform.tally))
        assert denial is not None
        assert denial.until is not None
        assert denial.until > now
    platform.ends(PODS[1], Outcome.SUCCEEDED)
    assert platform.may(breaker, limited, PODS[2], later + timedelta(seconds=2))


@pytest.mark.parametrize(
    ("made", "denied"),
    [
        pytest.param([("restart", Outcome.FAILED, Reason.FORBIDDEN)] * 5, True, id="five failures"),
        pytest.param([("restart", Outcome.UNDONE, None)] * 3 + [("restart", Outcome.INEFFECTIVE, None)] * 2, True,
                     id="undone and without help"),
        pytest.param([("restart", Outcome.FAILED, None)] * 4, False, id="four"),
        pytest.param([("scale", Outcome.FAILED, None)] * 5, False, id="another action's"),
        pytest.param([("restart", Outcome.FAILED, Reason.UNAVAILABLE)] * 9, False, id="the API server was away"),
        pytest.param([("restart", Outcome.FAILED, None)] * 5 + [("restart", Outcome.SUCCEEDED, None)], False,
                     id="a success since"),
    ],
)  # fmt: skip
def test_what_breaks_an_action(made: list[tuple[str, Outcome, Reason | None]], denied: bool) -> None:
    """Any policy's failures of this kind, in a row."""
    attempts = tuple(
        tried(60 - number, f"p{number}", outcome, action, reason)
        for number, (action, outcome, reason) in enumerate(made)
    )
    denial = breaker(asked(tally=Tally([TargetState(target=PODS[0], attempts=attempts)])))
    assert bool(denial) is denied
    assert denial is None or (denial.reason, denial.verdict) == (Reason.BREAKER, Verdict.WAIT)


@pytest.mark.parametrize(
    ("spread", "reason", "denied"),
    [
        pytest.param(False, Reason.NOT_VERIFIED, False, id="one object again and again"),
        pytest.param(True, Reason.NOT_VERIFIED, True, id="five objects"),
        pytest.param(True, Reason.IMMUTABLE, False, id="five objects that are refused for themselves"),
    ],
)
def test_one_object_that_cannot_be_put_back_keeps_no_other_from_it(spread: bool, reason: Reason, denied: bool) -> None:
    """For drift the breaker is about the action and never about one object."""
    platform = Platform()
    for number in range(5):
        platform.attempt(PODS[number if spread else 0], tried(9 - number, "heal", Outcome.FAILED, "revert", reason))
    target = target_of()
    state = TargetState(target=target)
    request = Request(state, drift(target), policy(), (), Bounds("c1"), NOON, tally=platform.tally)
    assert bool(breaker(request)) is denied


def test_a_busy_cluster_costs_no_more_than_a_quiet_one() -> None:
    """The questions look at the end of a list and not at all that was ever done; counted, not timed."""
    looked: list[datetime] = []

    class Counting(list):  # type: ignore[type-arg]
        def __getitem__(self, index: Any) -> Any:
            looked.append(NOON)
            return super().__getitem__(index)

        def __reversed__(self) -> Iterator[Any]:
            return (self[index] for index in range(len(self) - 1, -1, -1))

    attempts = tuple(tried(100_000 - number) for number in range(5000))
    tally = Tally([TargetState(target=PODS[0], attempts=attempts)])
    tally.on_alerts = Counting(tally.on_alerts)
    tally.by_action = {key: Counting(found) for key, found in tally.by_action.items()}
    tally.by_policy = {key: Counting(found) for key, found in tally.by_policy.items()}
    limited = on_alert(limits={"rate": {"max": 50, "within": "1h"}})
    for guard in (rate, storm, breaker):
        guard(asked(limited, tally=tally))
    assert len(looked) < 100
