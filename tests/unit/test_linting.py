"""Policies that are likely a mistake: what is said of them is certain, and what is well is left alone."""

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import AlertFired, Severity
from schemas.policy import Policy
from services.reconciler.policies.choosing import PolicyIndex
from services.reconciler.policies.globs import covers, may_meet
from services.reconciler.policies.linting import Lint, lint, shadows_all
from tests.reconciler_kit import target_of
from tests.rehearsing import alert

API = "setpoint.dev/v1alpha1"


def policy(name: str = "b", do: Any = None, **spec: Any) -> Policy:
    steps = {} if "drift" in spec.get("trigger", {}) and do is None else {"do": do or [{"restart": {}}]}
    spec = {"trigger": {"alert": "Bad"}, **steps, **spec}
    return Policy.model_validate({"apiVersion": API, "kind": "Policy", "metadata": {"name": name}, "spec": spec})


def found(*policies: Policy) -> list[tuple[str, Lint, str]]:
    return [(one.policy, one.lint, one.other) for one in lint(policies)]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(policy(when="false"), "'false' is never true", id="never true"),
        pytest.param(policy(when="1 > 2 || warning > error"), "'1 > 2 || warning > error' is never true", id="folded"),
        pytest.param(policy(when="1 / 0 == 1"), "'1 / 0 == 1' is never true", id="always fails"),
        pytest.param(policy(when="event.name == 'x' && false"), None, id="looks at the event"),
        pytest.param(policy(when="true"), None, id="always true"),
        pytest.param(policy(trigger={"schedule": "0 0 30 2 *"}, do=[{"notify": {"to": "#x"}}]),
                     "the schedule '0 0 30 2 *' has no hour", id="no such day"),
        pytest.param(policy(trigger={"schedule": "0 0 29 2 *"}, do=[{"notify": {"to": "#x"}}]), None, id="leap day"),
    ],
)  # fmt: skip
def test_what_never_decides_is_unreachable(document: Policy, expected: str | None) -> None:
    """Only where that is certain whatever the event may be."""
    messages = [one.message for one in lint([document]) if one.lint is Lint.UNREACHABLE]
    assert messages == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("baseline", "known", "reachable"),
    [
        pytest.param("pay", {"pay"}, True, id="there"), pytest.param("pey", {"pay"}, False, id="misspelt"),
        pytest.param("*", {"pay"}, True, id="any"), pytest.param("pey", None, True, id="not known"),
    ],
)  # fmt: skip
def test_drift_of_a_baseline_that_there_is_not_is_unreachable(
    baseline: str, known: set[str] | None, reachable: bool
) -> None:
    """Where the baselines are known."""
    warned = lint([policy(trigger={"drift": {"baseline": baseline}})], frozenset(known) if known else None)
    assert (Lint.UNREACHABLE not in {one.lint for one in warned}) is reachable


DRIFT: dict[str, Any] = {"drift": {"baseline": "*"}}
SHADOWS = [
    pytest.param({}, {}, True, id="the same"),
    pytest.param({"trigger": {"alert": "*"}}, {"trigger": {"alert": "B?d"}}, True, id="any alert"),
    pytest.param({"trigger": {"alert": "Bad"}}, {"trigger": {"alert": "B*"}}, False, id="one of several alerts"),
    pytest.param({"match": {"namespace": ["pay*"]}}, {"match": {"namespace": ["payments"]}}, True, id="wider"),
    pytest.param({"match": {"namespace": ["pay*"]}}, {"match": {"namespace": ["pay*", "shop"]}}, False, id="narrower"),
    pytest.param({"match": {"namespace": ["pay*"]}}, {}, False, id="everywhere"),
    pytest.param({"match": {"severity": ">=warning"}}, {"match": {"severity": "error"}}, True, id="severity"),
    pytest.param({"match": {"severity": "error"}}, {"match": {"severity": ">=error"}}, False, id="more severe"),
    pytest.param({"match": {"labels": {"team": "*"}}}, {"match": {"labels": {"team": "pay"}}}, True, id="label"),
    pytest.param({"match": {"labels": {"team": "*"}}}, {}, False, id="a label that may be absent"),
    pytest.param({"when": "event.age_s > 1"}, {}, False, id="condition"),
    pytest.param({"when": "event.age_s > 1"}, {"when": "event.age_s > 1"}, True, id="the same condition"),
    pytest.param({}, {"when": "event.age_s > 1"}, True, id="condition of the later"),
    pytest.param({"trigger": {"alert": "Bad", "source": ["falco"]}}, {}, False, id="one source"),
    pytest.param({"trigger": {"alert": "Bad", "for": "5m"}}, {}, True, id="the earlier waits, and decides that"),
    pytest.param({"trigger": DRIFT}, {"trigger": {"drift": {"baseline": "pay"}}}, True, id="any drift"),
    pytest.param({"trigger": {"drift": {"baseline": "pay"}}}, {"trigger": DRIFT}, False, id="one baseline"),
    pytest.param({"trigger": DRIFT}, {"trigger": DRIFT, "do": [{"prune": {}}]}, False, id="another step"),
    pytest.param({"trigger": DRIFT}, {}, False, id="drift and alert"),
]


@pytest.mark.parametrize(("earlier", "later", "shadowed"), SHADOWS)
def test_a_policy_that_an_earlier_one_always_precedes_is_shadowed(
    earlier: dict[str, Any], later: dict[str, Any], shadowed: bool
) -> None:
    """Whatever would meet it meets the earlier one first."""
    findings = found(policy("a", **earlier), policy("b", **later))
    assert (("b", Lint.SHADOWED, "a") in findings) is shadowed


def test_of_several_that_shadow_the_first_is_named() -> None:
    """It is the one that decides."""
    names = [(one, other) for one, kind, other in found(policy("c"), policy("b"), policy("a")) if kind is Lint.SHADOWED]
    assert names == [("b", "a"), ("c", "a")]


def on(action: str, when: str | None = None, name: str = "a", **more: Any) -> Policy:
    parameters = more.pop("parameters", {})
    return policy(name, [{action: parameters}], **({"when": when} if when else {}), **more)


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        pytest.param(on("suspend", "event.age_s > 9"), on("resume", name="b"), True, id="suspend and resume"),
        pytest.param(on("cordon", "event.age_s > 9"), on("uncordon", name="b"), True, id="cordon and uncordon"),
        pytest.param(on("scale", "event.age_s > 9", parameters={"replicas": 1}),
                     on("scale", name="b", parameters={"replicas": 5}), True, id="two counts"),
        pytest.param(on("scale", "event.age_s > 9", parameters={"replicas": 5}),
                     on("scale", name="b", parameters={"replicas": 5}), False, id="one count"),
        pytest.param(on("suspend", match={"namespace": ["a"]}), on("resume", name="b", match={"namespace": ["b"]}),
                     False, id="elsewhere"),
        pytest.param(on("suspend", match={"severity": "info"}), on("resume", name="b", match={"severity": ">=error"}),
                     False, id="other severities"),
        pytest.param(on("suspend", trigger={"alert": "Bad*"}), on("resume", name="b", trigger={"alert": "Good*"}),
                     False, id="other alerts"),
        pytest.param(on("suspend", "event.age_s > 9", parameters={"object": "CronJob/a/b"}),
                     on("resume", name="b", parameters={"object": "CronJob/a/c"}), False, id="other objects"),
        pytest.param(on("suspend"), on("resume", name="b"), False, id="shadowed instead"),
        pytest.param(on("restart", "event.age_s > 9"), on("rollback", name="b"), False, id="not opposite"),
    ],
)  # fmt: skip
def test_policies_that_undo_each_other_contradict(one: Policy, other: Policy, contradict: bool) -> None:
    """Where the same alert may meet both, at another time or with other values."""
    assert (("b", Lint.CONTRADICTING, "a") in found(one, other)) is contradict


@pytest.mark.parametrize(
    ("spec", "wide"),
    [
        pytest.param({}, True, id="no bound"),
        pytest.param({"mode": "dry-run"}, False, id="touches nothing"),
        pytest.param({"match": {"kind": ["Pod"]}}, True, id="a kind is everywhere"),
        pytest.param({"match": {"namespace": ["pay"]}}, False, id="namespace"),
        pytest.param({"match": {"labels": {"team": "pay"}}}, False, id="label"),
        pytest.param({"limits": {"oncePer": "1h"}}, False, id="cool-down"),
        pytest.param({"limits": {"rate": {"max": 5, "within": "1h"}}}, False, id="rate"),
        pytest.param({"do": [{"notify": {"to": "#x"}}, {"evidence": {}}]}, False, id="only tells and reads"),
        pytest.param({"trigger": {"schedule": "0 3 * * *"}}, False, id="schedule"),
        pytest.param({"trigger": DRIFT}, True, id="all drift"),
        pytest.param({"trigger": {"drift": {"baseline": "pay"}}}, False, id="one baseline"),
    ],
)
def test_what_acts_without_any_bound_is_too_wide(spec: dict[str, Any], wide: bool) -> None:
    """A namespace, a label, a limit or a baseline is one."""
    assert (("b", Lint.TOO_WIDE, "") in found(policy("b", **{"mode": "enforce", **spec}))) is wide


GLOBS = st.text("ab*?[]", max_size=5)


@given(GLOBS, GLOBS, st.text("ab", max_size=6))
def test_what_is_said_of_globs_holds_for_every_name(one: str, other: str, name: str) -> None:
    """A glob that covers fits whatever the other fits, and two that fit one name may meet."""
    if fnmatchcase(name, other):
        assert fnmatchcase(name, one) or not covers(one, other)
        if fnmatchcase(name, one):
            assert may_meet((one,), (other,))


NAMES = st.sampled_from(["Bad", "B*", "*", "Bad1", "Good"])
SOME = st.lists(st.sampled_from(["pay", "pay*", "*", "shop"]), max_size=2)
SPECS = st.fixed_dictionaries({
    "trigger": st.fixed_dictionaries({"alert": NAMES, "source": st.sampled_from([[], ["a"], ["a", "b"], ["*"]])}),
    "match": st.fixed_dictionaries(
        {"namespace": SOME, "kind": st.sampled_from([[], ["Pod"], ["P*"]])},
        optional={"severity": st.sampled_from(["error", ">=warning", ">=error", "info"]),
                  "labels": st.sampled_from([{}, {"team": "*"}, {"team": "pay"}])},
    ),
})  # fmt: skip
ALERTS = st.builds(
    alert, name=st.sampled_from(["Bad", "Bad1", "Good"]), source=st.sampled_from(["a", "b"]),
    severity=st.sampled_from(list(Severity)), labels=st.sampled_from([{}, {"team": "pay"}, {"team": "web"}]),
    target=st.builds(target_of, namespace=st.sampled_from(["pay", "payments", "shop"]),
                     kind=st.sampled_from(["Pod", "Deployment"])),
)  # fmt: skip


@settings(max_examples=400)
@given(SPECS, SPECS, st.lists(ALERTS, min_size=1, max_size=20))
def test_a_shadowed_policy_is_never_chosen(one: Any, other: Any, alerts: list[AlertFired]) -> None:
    """By the very index that chooses: what is called shadowed can be removed, and nothing changes."""
    earlier, later = policy("a", **one), policy("b", **other)
    if shadows_all(earlier, later):
        index = PolicyIndex((earlier, later))
        assert all([wanted.name for wanted in index.wanting(alert)] != ["b"] for alert in alerts)
