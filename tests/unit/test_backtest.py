"""What policies would have made of the recorded past: counted by policy and reason, each cluster for itself."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import DecisionMade, Verdict
from schemas.policy import Policy
from services.reconciler.guards import Bounds
from services.reconciler.policies.backtest import Line, Trigger, backtest
from services.reconciler.policies.rehearsal import Rehearsal
from tests.reconciler_kit import NOON, drift
from tests.reconciler_kit import policy as on_drift
from tests.rehearsing import POD, WEB, alert, event, policy, resolved, rules, trigger

BOUNDS: dict[str, Any] = {"protected": frozenset({"kube-system"})}


def ran(triggers: list[Trigger], *policies: Policy, hours: float = 1.0) -> list[Line]:
    until = NOON + timedelta(hours=hours)
    return list(backtest(rules(*policies), triggers, since=NOON, until=until, bounds=BOUNDS).lines)


def counted(lines: list[Line]) -> list[tuple[str, str | None, str | None, int]]:
    return [(one.policy, one.verdict, one.reason, one.count) for one in lines]


def burst(count: int, cluster: str = "c1", apart: float = 1.0) -> list[Trigger]:
    """So many alerts on so many pods, each over at once."""
    found = []
    for number in range(count):
        pod = POD.model_copy(update={"cluster": cluster, "name": f"web-{number}"})
        fired = alert(f"{cluster}-{number}", pod, NOON + timedelta(seconds=number * apart), lasting=False)
        web = WEB.model_copy(update={"cluster": cluster, "name": f"web{number}"})
        found.append(trigger(fired, number * apart, web))
    return found


def test_a_policy_that_only_observes_is_counted_as_if_it_acted() -> None:
    """With the mode that it has, when it was first and last asked, and what it would have acted on."""
    (line,) = ran(burst(3), policy(mode="observe"))
    assert (line.policy, line.mode, line.verdict, line.reason, line.count) == ("restart", "observe", "act", "policy", 3)
    assert (line.first, line.last) == (NOON, NOON + timedelta(seconds=2))
    assert line.targets == [f"c1/apps/Deployment/shop/web{number}" for number in range(3)]
    assert line.actions == {"restart": 3}


def test_limits_count_what_would_have_been_done() -> None:
    """A rate of two an hour acts twice, whatever the past did."""
    lines = ran(burst(5), policy(limits={"rate": {"max": 2, "within": "1h"}}), hours=0.5)
    assert counted(lines) == [("restart", "wait", "rate", 3), ("restart", "act", "policy", 2)]


def test_each_cluster_has_limits_of_its_own() -> None:
    """As each has a reconciler of its own."""
    triggers = [one for pair in zip(burst(3, "c1"), burst(3, "c2"), strict=True) for one in pair]
    lines = ran(triggers, policy(limits={"rate": {"max": 2, "within": "1h"}}), hours=0.5)
    assert counted(lines) == [("restart", "act", "policy", 4), ("restart", "wait", "rate", 2)]


def test_what_nobody_answers_and_who_is_never_asked_are_told() -> None:
    """A policy without a line would look forgotten."""
    lines = ran(burst(2), policy("a", trigger={"alert": "Other"}))
    assert counted(lines) == [("a", None, None, 0), ("", "observe", "no-policy", 2)]


def test_drift_is_played_too() -> None:
    """By the policies on drift, and a protected namespace stays protected."""
    kube = WEB.model_copy(update={"namespace": "kube-system"})
    triggers = [trigger(drift(at=NOON)), trigger(drift(kube, life="d2", at=NOON), 1)]
    lines = ran(triggers, on_drift("heal", mode="observe"))  # type: ignore[arg-type]
    assert counted(lines) == [("heal", "act", "policy", 1), ("heal", "deny", "protected-namespace", 1)]


def test_assumed_workloads_are_counted() -> None:
    """Only of alerts that a policy wants: of the others nothing had to be known."""
    triggers = [trigger(alert()), trigger(alert("a2", name="Other"), 1)]
    report = backtest(rules(policy()), triggers, since=NOON, until=NOON, bounds=BOUNDS)
    assert (report.triggers, report.assumed) == (2, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7200), st.integers(0, 4), st.booleans()), max_size=25),
    st.integers(1, 3), st.integers(60, 3600),
)  # fmt: skip
def test_no_window_of_a_rehearsal_has_more_than_the_limit(moves: Any, most: int, within: int) -> None:
    """What a backtest says that would have been done keeps the policy's limit in every window."""
    limits = {"rate": {"max": most, "within": f"{within}s"}, "stays": "1m"}
    rehearsal = Rehearsal(rules(policy(limits=limits)), Bounds("c1"), NOON)
    for seconds, number, ends in sorted(moves):
        at = NOON + timedelta(seconds=seconds)
        data = alert(f"a{number}", WEB.model_copy(update={"name": f"w{number}"}), at)
        rehearsal.take(event(resolved(data, at) if ends else data, at), at, None)
    rehearsal.advance(NOON + timedelta(hours=4))
    acts = [one.at for one in rehearsal.told
            if isinstance(one.data, DecisionMade) and one.data.verdict is Verdict.ACT]  # fmt: skip
    assert acts or not moves or min(moves)[2]  # an alert that fires first is acted on
    for first in acts:
        assert sum(first <= one < first + timedelta(seconds=within) for one in acts) <= most
