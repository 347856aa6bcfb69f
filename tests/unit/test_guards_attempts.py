"""The limits of one policy on one object, where alerts are the trigger: cool-down, budget, and the chain that ends."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Outcome, Reason, Verdict
from schemas.ledger import Attempt, Hold
from services.reconciler.guards.attempts import budget, ineffective_chain, unhelpful
from services.reconciler.guards.cooldown import cooldown
from services.reconciler.guards.held import held
from services.reconciler.guards.still_firing import still_firing
from tests.guards_kit import asked, case, on_alert, tried
from tests.reconciler_kit import NOON

MINUTE = timedelta(minutes=1)
THREE = on_alert(do=[{"evidence": {}}, {"restart": {}}, {"notify": {"to": "#a"}}, {"notify": {"to": "#b"}}],
                 limits={"oncePer": "1h", "attempts": {"max": 1, "within": "1h"}, "ineffective": 1})  # fmt: skip


@pytest.mark.parametrize(
    ("step", "made", "denied"),
    [
        pytest.param(1, tried(5, action="evidence", step=0), False, id="an earlier step with another action"),
        pytest.param(3, tried(5, action="notify", step=2), False, id="an earlier step with the same action"),
        pytest.param(3, tried(5, action="notify", step=3), True, id="the step itself"),
        pytest.param(3, tried(5, action="notify"), True, id="the same action, its step not known"),
        pytest.param(1, tried(5, action="restart", step=7), True, id="the only such step, when it stood elsewhere"),
        pytest.param(1, tried(5, "other", action="restart", step=1), False, id="another policy's"),
    ],
)
@pytest.mark.parametrize("guard", [cooldown, budget, ineffective_chain])
def test_the_steps_of_one_run_do_not_hold_each_other_back(guard: Any, step: int, made: Attempt, denied: bool) -> None:
    """Each step counts its own attempts: a run goes through, and a second run is held at its first step."""
    request = asked(THREE, case(step=step, onset=NOON - MINUTE), attempts=(made,))
    assert bool(guard(request)) is denied


@given(
    gaps=st.lists(st.integers(0, 50), min_size=1, max_size=40),
    outcome=st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.UNDONE, Outcome.INEFFECTIVE, None]),
    most=st.integers(1, 4),
)
def test_no_window_ever_holds_more_attempts_than_the_budget(
    gaps: list[int], outcome: Outcome | None, most: int
) -> None:
    """Whenever it is asked, and whatever came of the attempts."""
    policy = on_alert(limits={"attempts": {"max": most, "within": "1m"}})
    now, made = NOON, list[Attempt]()
    for gap in gaps:
        now += timedelta(seconds=gap)
        denial = budget(asked(policy, now=now, attempts=tuple(made)))
        if denial is None:
            made.append(Attempt(policy="restart", at=now, action="restart", outcome=outcome))
        else:
            assert denial.until is not None
            assert budget(asked(policy, now=denial.until, attempts=tuple(made))) is None
            assert budget(asked(policy, now=denial.until - timedelta(milliseconds=1), attempts=tuple(made)))
        assert sum(attempt.at > now - MINUTE for attempt in made) <= most


@given(
    lives=st.lists(st.tuples(st.booleans(), st.integers(0, 29), st.integers(0, 100_000)), min_size=12, max_size=12),
    outcome=st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.UNDONE]),
    most=st.integers(1, 6),
)
def test_a_loop_that_never_helps_ends(lives: list[tuple[bool, int, int]], outcome: Outcome, most: int) -> None:
    """After so many attempts, however long the policy's other limits keep these apart: the alert goes on, or comes back
    before it stayed away for long enough. What the actions say of themselves does not count."""
    policy = on_alert(limits={"stays": "30m", "ineffective": most})
    onset, now, made = NOON, NOON, list[Attempt]()
    for goes_on, back_after, waited in lives:
        denial = ineffective_chain(asked(policy, case(onset=onset), now=now, attempts=tuple(made)))
        assert bool(denial) is (len(made) >= most)
        if denial:
            assert (denial.reason, denial.verdict, denial.until) == (Reason.INEFFECTIVE_CHAIN, Verdict.DENY, None)
            break
        made.append(Attempt(policy="restart", at=now, action="restart", outcome=outcome, onset=onset))
        onset = onset if goes_on else now + back_after * MINUTE
        now = max(now, onset) + timedelta(seconds=waited)
    assert len(made) == most


@given(
    away=st.lists(st.integers(30, 10_000), min_size=1, max_size=20),
    waited=st.integers(0, 100_000),
    outcome=st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED]),
)
def test_a_policy_whose_alert_stays_away_is_never_stopped(away: list[int], waited: int, outcome: Outcome) -> None:
    """However often the trouble comes again later."""
    policy = on_alert(limits={"stays": "30m", "ineffective": 1})
    onset, now, made = NOON, NOON, list[Attempt]()
    for minutes in away:
        assert ineffective_chain(asked(policy, case(onset=onset), now=now, attempts=tuple(made))) is None
        made.append(Attempt(policy="restart", at=now, action="restart", outcome=outcome, onset=onset))
        onset = now + minutes * MINUTE
        now = onset + timedelta(seconds=waited)


@pytest.mark.parametrize(
    ("attempts", "more", "count"),
    [
        pytest.param((), {}, 0, id="none"),
        pytest.param((tried(60), tried(30)), {}, 2, id="two, made while it fired"),
        pytest.param((tried(60, outcome=Outcome.SUPERSEDED), tried(30)), {}, 1, id="one that never came to a write"),
        pytest.param((tried(60), tried(30)), {"resumed_at": NOON - timedelta(seconds=45)}, 1, id="one since a resume"),
        pytest.param((tried(60), tried(30)), {"resumed_at": NOON}, 0, id="none since a resume"),
    ],
)
def test_what_counts_as_no_help(attempts: tuple[Attempt, ...], more: dict[str, Any], count: int) -> None:
    """A person's resume forgets what was before."""
    assert unhelpful(asked(of=case(onset=NOON - timedelta(hours=1), **more), attempts=attempts)) == count


@pytest.mark.parametrize(
    ("more", "now", "expected"),
    [
        pytest.param({}, 0.0, (Reason.TOO_YOUNG, Verdict.WAIT, 300.0), id="new"),
        pytest.param({}, 299.0, (Reason.TOO_YOUNG, Verdict.WAIT, 300.0), id="nearly old enough"),
        pytest.param({}, 300.0, None, id="old enough"),
        pytest.param({"over_at": NOON}, 400.0, (Reason.RESOLVED, Verdict.DENY, None), id="over"),
        pytest.param({"over_at": NOON}, 1.0, (Reason.RESOLVED, Verdict.DENY, None), id="over while new"),
    ],
)
def test_an_alert_must_fire_for_as_long_as_the_policy_wants(more: Any, now: float, expected: Any) -> None:
    """And still fire."""
    request = asked(
        on_alert(trigger={"for": "5m"}), case(**more), now=NOON + timedelta(seconds=now)
    )  # fmt: skip
    denial = still_firing(request)
    until = NOON + timedelta(seconds=expected[2]) if expected and expected[2] else None
    assert (denial and (denial.reason, denial.verdict, denial.until)) == (expected and (*expected[:2], until))


def test_a_case_is_held_by_its_own_failure() -> None:
    """Not by the drift's of the same object, whose hold is another matter."""
    until = NOON + MINUTE
    request = asked(of=case(hold=Hold(reason=Reason.FORBIDDEN, until=until, message="no right")))
    denial = held(request)
    assert denial is not None
    assert (denial.reason, denial.verdict, denial.until) == (Reason.FORBIDDEN, Verdict.DENY, until)
    plain = asked()
    drifting = plain.state.model_copy(update={"hold": Hold(reason=Reason.CONFLICT, until=until)})
    assert held(replace(plain, state=drifting)) is None
