"""Why a policy answers a trigger, or does not: the first clause that fails, in the words of its file."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.base import EventModel
from schemas.events import DriftState
from schemas.ledger import Place
from schemas.policy import Policy
from services.reconciler.guards import Bounds
from services.reconciler.policies.explaining import Decided, clause_of, decision_on, explain_all
from services.reconciler.policies.rehearsal import Rehearsal
from services.runtime.errors import UsageError
from tests.reconciler_kit import NOON, clear, drift
from tests.reconciler_kit import policy as on_drift
from tests.rehearsing import POD, WEB, alert, event, policy, rules

PLACE = Place(object=POD, pod=POD, workload=WEB)


def decide(data: EventModel, *policies: Policy, seconds: float = 0.0) -> Decided:
    rehearsal = Rehearsal(rules(*policies), Bounds("c1"), NOON)
    rehearsal.take(event(data), NOON, PLACE)
    rehearsal.advance(NOON + timedelta(seconds=seconds))
    return decision_on(rehearsal, event(data), PLACE)


@pytest.mark.parametrize(
    ("document", "data", "clause"),
    [
        pytest.param(policy(), alert(), "", id="all hold"),
        pytest.param(policy(trigger={"alert": "Other"}), alert(), "trigger.alert: 'Other' is not 'CrashLoop'",
                     id="name"),
        pytest.param(policy(trigger={"alert": "*", "source": ["falco"]}), alert(), "trigger.source", id="source"),
        pytest.param(policy(match={"namespace": ["pay"]}), alert(), "match.namespace", id="namespace"),
        pytest.param(policy(match={"severity": ">=error"}), alert(), "match.severity", id="severity"),
        pytest.param(policy(match={"labels": {"team": "a"}}), alert(), "match.labels.team", id="label"),
        pytest.param(policy(when="event.values.restarts > 9"), alert(), "when: event.values.restarts > 9 is false",
                     id="condition"),
        pytest.param(policy(when="event.values.nope > 9"), alert(),
                     "when: 'event.values.nope > 9' failed: a key is missing", id="condition fails"),
        pytest.param(on_drift(), alert(), "trigger: it is not about alerts", id="drift policy"),
        pytest.param(policy(), drift(), "trigger: it is not about drift", id="alert policy"),
        pytest.param(on_drift(baseline="pay"), drift(), "trigger.drift.baseline: 'pay' is not 'base'", id="baseline"),
        pytest.param(on_drift(match={"kind": ["Pod"]}), drift(), "match.kind", id="kind"),
        pytest.param(on_drift(), drift(state=DriftState.UNWANTED), "do: it has no step for an object that is unwanted",
                     id="no step"),
        pytest.param(on_drift(), drift(), "", id="drift answered"),
    ],
)  # fmt: skip
def test_the_first_clause_that_fails_is_named(document: Policy, data: EventModel, clause: str) -> None:
    """In the order in which they are written, and as the file writes them."""
    assert clause_of(document, event(data), PLACE, "", NOON) == clause


def test_the_policy_that_decides_is_told_with_its_decision() -> None:
    """Others that match as well come too late, and it is said after which."""
    data = alert()
    policies = (policy("a", trigger={"alert": "X"}), policy("b"), policy("c"))
    decided = decide(data, *policies)
    found = explain_all(policies, event(data), decided, PLACE, "", NOON)
    assert [(one.policy, one.clause, one.decided) for one in found] == [
        ("a", "trigger.alert: 'X' is not 'CrashLoop'", None), ("b", "", decided), ("c", "'b' comes first", None)
    ]  # fmt: skip


def test_only_triggers_are_explained() -> None:
    """What no policy can answer is wrong use."""
    with pytest.raises(UsageError, match=r"no policy answers dev.setpoint.drift.cleared"):
        clause_of(policy(), event(clear()), PLACE, "", NOON)


RESTART = "restart Deployment/shop/web"


@pytest.mark.parametrize(
    ("spec", "seconds", "expected"),
    [
        pytest.param({}, 0, ("restart", "act", "policy", (RESTART,)), id="acts"),
        pytest.param({"mode": "observe"}, 0, ("restart", "observe", "observe-mode", (RESTART,)), id="observes"),
        pytest.param({"mode": "dry-run"}, 0, ("restart", "observe", "dry-run-mode", (RESTART,)), id="dry-run"),
        pytest.param({"approve": {}}, 0, ("restart", "ask", "approval", (RESTART,)), id="asks"),
        pytest.param({"trigger": {"alert": "CrashLoop", "for": "5m"}}, 0, ("restart", "wait", "too-young", (RESTART,)),
                     id="waits"),
        pytest.param({"trigger": {"alert": "CrashLoop", "for": "5m"}}, 300, ("restart", "act", "policy", (RESTART,)),
                     id="waited"),
        pytest.param({"do": [{"evidence": {}}, {"deletePod": {}}, {"notify": {"to": "#x"}}]}, 0,
                     ("restart", "act", "policy", (f"evidence Pod/shop/{POD.name}", f"deletePod Pod/shop/{POD.name}",
                                                   "notify")), id="several steps"),
        pytest.param({"mode": "observe", "do": [{"cordon": {}}]}, 0,
                     ("restart", "deny", "parameters", ()), id="no node"),
        pytest.param({"do": [{"cordon": {}}], "else": [{"notify": {"to": "#x"}}]}, 0,
                     ("restart", "deny", "parameters", ("notify",)), id="gives up"),
        pytest.param({"match": {"namespace": ["x"]}}, 0, ("", "observe", "no-policy", ()), id="no policy"),
    ],
)  # fmt: skip
def test_a_decision_says_what_is_done(spec: dict[str, Any], seconds: float, expected: Any) -> None:
    """Or what would be; an answer that only put it off gives way to the one that came."""
    found = decide(alert(), policy(**spec), seconds=seconds)
    assert (found.policy, found.verdict, found.reason, found.do) == expected


def test_a_decision_on_drift_says_what_is_put_back() -> None:
    """The object itself."""
    found = decide(drift(), on_drift())
    assert (found.verdict, found.do) == ("act", ("revert Deployment/shop/web",))
