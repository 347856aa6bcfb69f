"""A rehearsal decides as a partition does: the same guards and deadlines, with every action supposed to work."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.events import ActionFinished, ActionStarted, ControlKind, ControlSet, Mode, Scope, make_event
from schemas.ledger import Place
from schemas.window import MaintenanceWindow
from services.reconciler.guards import Bounds
from services.reconciler.policies.rehearsal import AS_RECORDED, Rehearsal, Supposed, enforced
from tests.reconciler_kit import NOON, drift
from tests.reconciler_kit import policy as on_drift
from tests.rehearsing import POD, WEB, alert, event, policy, resolved, rules, said

PLACE = Place(object=POD, pod=POD, workload=WEB)


def rehearse(*policies: Any, supposed: Supposed = AS_RECORDED, **more: Any) -> Rehearsal:
    return Rehearsal(rules(*policies, **more), Bounds("c1", frozenset({"kube-system"})), NOON, supposed)


def fire(rehearsal: Rehearsal, life: str = "a1", seconds: float = 0.0, **more: Any) -> None:
    at = NOON + timedelta(seconds=seconds)
    rehearsal.take(event(alert(life, at=at, **more), at), at, PLACE)


def test_a_cooldown_holds_between_two_alerts() -> None:
    """The second is put off to the very end of the cool-down, and then answered if it still fires."""
    rehearsal = rehearse(policy(limits={"oncePer": "1h"}))
    fire(rehearsal, "a1")
    rehearsal.take(event(resolved(alert("a1"), NOON)), NOON)
    fire(rehearsal, "a2", 60)
    rehearsal.advance(NOON + timedelta(hours=2))
    assert said(rehearsal)[:3] == [("act", "policy", 0), ("wait", "cooldown", 60), ("act", "policy", 3600)]


def test_an_alert_that_is_over_is_not_acted_on_again() -> None:
    """Its end comes when its source said so."""
    rehearsal = rehearse(policy(limits={"oncePer": "1h"}))
    fire(rehearsal)
    rehearsal.take(event(resolved(alert(), NOON)), NOON + timedelta(minutes=5))
    rehearsal.advance(NOON + timedelta(days=1))
    assert said(rehearsal) == [("act", "policy", 0)]


def test_what_helps_ends_the_alert() -> None:
    """Where that is supposed, the recorded end says nothing any more."""
    lasting = rehearse(policy(limits={"oncePer": "1h"}))
    helped = rehearse(policy(limits={"oncePer": "1h"}), supposed=Supposed(helped=True))
    for rehearsal in (lasting, helped):
        fire(rehearsal)
        rehearsal.advance(NOON + timedelta(hours=3, minutes=1))
    assert len(said(lasting)) > 3
    assert said(helped) == [("act", "policy", 0)]


@pytest.mark.parametrize(
    ("approved", "expected"),
    [
        pytest.param(False, [("ask", "approval", 0), ("deny", "expired", 1800)], id="nobody answers"),
        pytest.param(True, [("ask", "approval", 0), ("act", "approved", 0)], id="they say yes"),
    ],
)
@pytest.mark.parametrize(
    "by", [pytest.param((), id="anybody"), pytest.param(["group:oncall", "cem"], id="a group and a person")]
)
def test_questions_are_answered_as_supposed(approved: bool, expected: Any, by: Any) -> None:
    """By so many of those who may answer as the policy wants."""
    asking = policy(approve={"by": by, "count": 2})
    groups = {"oncall": frozenset({"ana"})}
    rehearsal = rehearse(asking, groups=groups, supposed=Supposed(approved=approved))
    fire(rehearsal)
    rehearsal.advance(NOON + timedelta(minutes=31))
    assert said(rehearsal)[:2] == expected


def test_a_pause_holds_from_when_it_was_set() -> None:
    """Controls of the past count as they did."""
    rehearsal = rehearse(policy())
    scope = Scope(cluster="c1")
    control = ControlSet(kind=ControlKind.PAUSE, name="all", scope=scope, by="ana")
    made = make_event(control, id="c", source="t", subject="c1", time=NOON, correlationid="c")
    rehearsal.control(b"c1/all", made, NOON)
    fire(rehearsal, seconds=1)
    assert said(rehearsal) == [("wait", "paused", 1)]


def test_hours_of_schedules_come_by_themselves() -> None:
    """Without any trigger: from the beginning of the rehearsal until its end, each once."""
    nightly = policy("nightly", [{"notify": {"to": "#x"}}], trigger={"schedule": "0 3 * * *"})
    rehearsal = rehearse(nightly)
    rehearsal.advance(NOON + timedelta(days=3))
    assert said(rehearsal) == [("act", "policy", 3600.0 * (15 + 24 * day)) for day in range(3)]


def test_what_is_only_for_a_time_is_lifted() -> None:
    """An isolation's end belongs to what would have been done."""
    rehearsal = rehearse(policy(do=[{"isolate": {"for": "2h"}}]))
    fire(rehearsal, lasting=False)
    rehearsal.advance(NOON + timedelta(hours=3))
    starts = [one for one in rehearsal.told if isinstance(one.data, ActionStarted)]
    assert [(one.at - NOON).total_seconds() for one in starts] == [0, 7200]


def test_a_step_that_waits_for_the_alerts_end_is_undone_without_it() -> None:
    """The recorded end was not that of the step: it did not come in time."""
    step = {"scale": {"by": 1}, "verify": {"within": "5m", "until": ["alertResolved"]}, "undo": "auto"}
    rehearsal = rehearse(policy(do=[step]))
    fire(rehearsal)
    rehearsal.advance(NOON + timedelta(minutes=5))
    ends = [one for one in rehearsal.told if isinstance(one.data, ActionFinished)]
    assert [(one.data.outcome, (one.at - NOON).total_seconds()) for one in ends] == [("undone", 300)]  # type: ignore[attr-defined]


def test_a_corrected_drift_is_over() -> None:
    """Later updates of a drift that would have been corrected are no part of this world; a new one is."""
    rehearsal = rehearse(on_drift())
    for number, life in enumerate(("d1", "d1", "d2")):
        at = NOON + timedelta(minutes=number)
        rehearsal.take(event(drift(life=life, update=number, version=100 + number, at=at), at), at)
    assert [verdict for verdict, _, _ in said(rehearsal)] == ["act", "act"]


def test_policies_that_observe_can_be_rehearsed_as_if_they_acted() -> None:
    """Their documents stay as they are."""
    written = rules(policy(mode="observe"))
    assert [one.spec.mode for one in enforced(written).policies] == [Mode.ENFORCE]
    assert [one.spec.mode for one in written.policies] == [Mode.OBSERVE]
    assert enforced(written).index.on_alerts[0].policy.spec.mode is Mode.ENFORCE


def test_windows_hold_in_their_own_time() -> None:
    """Time is the rehearsal's, not this machine's."""
    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "MaintenanceWindow", "metadata": {"name": "w"}}
    spec = {"from": "2026-11-24T11:00:00Z", "until": "2026-11-24T13:00:00Z"}
    window = MaintenanceWindow.model_validate({**header, "spec": spec})
    rehearsal = rehearse(policy(), windows=(window,))
    fire(rehearsal)
    rehearsal.advance(NOON + timedelta(hours=1))
    assert said(rehearsal)[:2] == [("wait", "maintenance", 0), ("act", "policy", 3600)]
