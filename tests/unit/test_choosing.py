"""Which policy answers an alert: the index is quick, and says what a look at every clause of every policy says."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import ALERT_GROUP, ALERT_KIND, AlertFired, Severity
from schemas.ledger import Place
from schemas.policy import Policy
from schemas.target import Target
from services.reconciler.policies import choosing
from services.reconciler.policies.choosing import PolicyIndex, choose, explain
from services.reconciler.policies.eventview import view_of
from tests.reconciler_kit import NOON, target_of

names = st.sampled_from(["KubePodCrashLooping", "KubePodNotReady", "Shell in pod", "[x"])
globs = st.sampled_from(["KubePod*", "*", "Kube?od*", "[KS]*", "[x", "KubePodCrashLooping", "Shell in pod"])
words = st.sampled_from(["pay", "shop", "checkout-1", ""])
word_globs = st.lists(st.sampled_from(["pay", "checkout-*", "s?op", "*", "[!p]*"]), max_size=2)
severities = st.sampled_from([None, ">=warning", "critical", "info"])
policies = st.builds(
    lambda name, alert, source, when, match: (name, alert, source, when, match),
    st.sampled_from("abcdef"),
    globs,
    st.lists(st.sampled_from(["falco", "alert*"]), max_size=1),
    st.sampled_from([None, "event.values.restarts > 5", "event.absent == 1"]),
    st.fixed_dictionaries({
        "namespace": word_globs, "kind": word_globs, "name": word_globs, "cluster": word_globs,
        "labels": st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(["p*", "*"]), max_size=2),
    }),
    )  # fmt: skip
alerts = st.builds(
    lambda name, target, source, severity, labels, restarts: fired(
        name=name, target=target, source=source, severity=severity, labels=labels, values={"restarts": restarts}
    ),
    names,
    st.builds(target_of, words.filter(bool), words, cluster=words.filter(bool)),
    st.sampled_from(["falco", "alertmanager"]),
    st.sampled_from(Severity),
    st.dictionaries(st.sampled_from(["team", "env"]), words, max_size=2),
    st.integers(4, 7),
)


def fired(**more: Any) -> AlertFired:
    values: dict[str, Any] = {
        "alert_id": "a1", "target": target_of(), "source": "alertmanager", "sender": "east", "name": "X",
        "severity": Severity.WARNING, "lasting": True, "onset": NOON, "fired_at": NOON,
    }  # fmt: skip
    return AlertFired.model_validate(values | more)


def policy(name: str, alert: str, source: list[str], when: str | None, match: dict[str, Any]) -> Policy:
    spec = {
        "trigger": {"alert": alert, "source": source}, "match": match, "when": when,
        "do": [{"notify": {"to": "#sre", "message": "look"}}],
    }  # fmt: skip
    return Policy.model_validate({
        "apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name}, "spec": spec
    })  # fmt: skip


@given(st.lists(policies, max_size=6, unique_by=lambda one: one[0]), severities, st.lists(alerts, max_size=6))
def test_the_index_says_what_every_clause_says(made: list[Any], severity: str | None, told: list[AlertFired]) -> None:
    """The first by name for which `explain` finds no clause that fails, whatever was looked up before."""
    known = [
        policy(name, alert, source, when, {**match, "severity": severity}) for name, alert, source, when, match in made
    ]
    index = PolicyIndex(known)
    for alert in told:
        holds = [one for one in known if explain(one, alert, None, environment="", now=NOON) is None]
        first = min(holds, key=lambda one: one.name, default=None)
        assert choose(index, alert, None, environment="", now=NOON).policy is first


def test_names_from_outside_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever invents a name for each alert is answered as before, and the index stays small."""
    monkeypatch.setattr(choosing, "MOST_KNOWN", 3)
    index = PolicyIndex([policy("p", "Kube*", [], None, {})])
    for number in range(20):
        assert len(index.wanting(fired(name=f"Kube{number}"))) == 1
        assert len(index.known) <= 3


def test_an_event_has_what_is_known_of_it() -> None:
    """What was looked up is there under its name, as a reference; what was not is not there at all."""
    pod, node = target_of("api-1", "pay"), Target(cluster="c1", group="", kind="Node", namespace="", name="n1")
    alert = fired(target=pod, labels={"env": "prod"}, onset=NOON - timedelta(minutes=1))
    view = view_of(alert, Place(object=pod, node=node), environment="test", now=NOON)
    assert {"object", "node", "labels"} < set(view)
    assert len(view) == len(set(view))
    assert (view["node"], view["env"], view["age_s"], view["severity"]) == ("Node/n1", "prod", 60.0, 1)
    assert "pod" not in view
    with pytest.raises(KeyError):
        view["pod"]


def test_an_alert_about_nothing_has_no_kind() -> None:
    """Its target is the alert itself, which is no kind that a policy could mean."""
    nowhere = Target(cluster="c1", group=ALERT_GROUP, kind=ALERT_KIND, namespace="", name="a1")
    view = view_of(fired(target=nowhere), None, environment="test", now=NOON)
    assert (view["kind"], view["namespace"], view["env"]) == ("", "", "test")
