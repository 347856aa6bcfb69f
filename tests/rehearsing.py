"""What the tests of rehearsals share: policies and alerts in short, as events with their times."""

from datetime import datetime, timedelta
from typing import Any

from schemas.alerts import AlertFired, AlertResolved, Severity
from schemas.base import EventModel
from schemas.events import DecisionMade, Event, make_event, stable_id
from schemas.policy import Policy
from schemas.target import Target
from services.reconciler.policies.backtest import Trigger
from services.reconciler.policies.rehearsal import Rehearsal
from services.reconciler.policies.rulebook import Rulebook, rulebook_of
from services.runtime.rules import Written
from tests.reconciler_kit import NOON, target_of

POD = target_of("web-6d4cf56db6-x7k2p", kind="Pod")
WEB = target_of("web")


def policy(name: str = "restart", do: Any = None, **spec: Any) -> Policy:
    spec = {"trigger": {"alert": "CrashLoop"}, "do": do or [{"restart": {}}], "mode": "enforce", **spec}
    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name}}
    return Policy.model_validate({**header, "spec": spec})


def rules(*policies: Policy, **more: Any) -> Rulebook:
    return rulebook_of(Written(tuple(sorted(policies, key=lambda one: one.name)), **more))


def alert(life: str = "a1", target: Target = POD, at: datetime = NOON, **more: Any) -> AlertFired:
    given = {
        "alert_id": life, "target": target, "source": "test", "sender": "x", "name": "CrashLoop", "lasting": True,
        "severity": Severity.WARNING, "onset": at, "fired_at": at, "values": {"restarts": 7}, **more,
    }  # fmt: skip
    return AlertFired(**given)


def resolved(of: AlertFired, at: datetime) -> AlertResolved:
    names = ("alert_id", "target", "source", "sender", "name", "onset")
    return AlertResolved(**{name: getattr(of, name) for name in names}, resolved_at=at)


def event(data: EventModel, at: datetime = NOON) -> Event[Any]:
    target: Target = data.target  # type: ignore[attr-defined]
    id = stable_id(data.model_dump_json(), at)
    return make_event(data, id=id, source="test", subject=target.subject, time=at, correlationid=id)


def trigger(data: EventModel, seconds: float = 0.0, *acted_on: Target) -> Trigger:
    at = NOON + timedelta(seconds=seconds)
    target: Target = data.target  # type: ignore[attr-defined]
    return Trigger(at, target.cluster, event(data, at), acted_on)


def said(rehearsal: Rehearsal) -> list[tuple[str, str, float]]:
    """(verdict, reason, seconds after noon) of every decision."""
    return [
        (one.data.verdict.value, one.data.reason.value, (one.at - NOON).total_seconds())
        for one in rehearsal.told
        if isinstance(one.data, DecisionMade)
    ]
