"""Golden cases for `setpoint policy test`: a trigger, and what the policies are expected to make of it.

Users' files, strict like all of them; a case is a YAML document of its own, without apiVersion, so that it may lie
beside the policies. See docs/policies.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field, model_validator

from schemas.alerts import ALERT_GROUP, ALERT_KIND, AlertFired, Scalar, Severity
from schemas.base import Duration, StrictModel, Timestamp
from schemas.events import DriftDetected, DriftState, Event, FieldChange, Reason, Verdict, make_event, stable_id
from schemas.ledger import Place
from schemas.reference import Ref
from schemas.target import Target
from services.reconciler.guards import Bounds
from services.reconciler.policies.explaining import Decided, decision_on
from services.reconciler.policies.rehearsal import Rehearsal, Supposed
from services.reconciler.policies.rulebook import Rulebook
from services.reconciler.policies.supposing import suppose

SOME_DAY = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When a case happens that does not say."""
ReadEvent = Callable[[str | dict[str, Any]], Event[Any]]
"""An event from a file's name or from itself. Raises UsageError."""


class AlertGiven(StrictModel):
    """An alert in short."""

    name: str
    severity: Severity = Severity.WARNING
    target: Ref | None = Field(None, description="such as Pod/payments/api-1; none: it is about no object")
    source: str = "alertmanager"
    labels: dict[str, str] = Field(default_factory=dict)
    values: dict[str, Scalar] = Field(default_factory=dict)
    summary: str = ""
    lasting: bool = True
    age: Duration = Field(timedelta(0), description="for how long it has been firing")


class DriftGiven(StrictModel):
    """A drift in short."""

    baseline: str
    target: Ref
    state: DriftState = DriftState.CHANGED
    path: str = "/spec/replicas"
    manager: str | None = None


class PlaceGiven(StrictModel):
    """What the cluster would say of the alert's target, where its own name is not enough."""

    object: Ref | None = None
    pod: Ref | None = None
    workload: Ref | None = None
    node: Ref | None = None
    application: Ref | None = None
    reason: Reason | None = Field(None, description="why there is no such object, such as target-gone")


class Given(StrictModel):
    """One trigger: exactly one of alert, drift, event and file."""

    alert: AlertGiven | None = None
    drift: DriftGiven | None = None
    event: dict[str, Any] | None = Field(None, description="in full, as it is on the topic")
    file: str | None = Field(None, description="the same, in a JSON file beside this one")
    place: PlaceGiven | None = None
    at: Timestamp | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "Given":
        if sum(one is not None for one in (self.alert, self.drift, self.event, self.file)) != 1:
            raise ValueError("name exactly one of alert, drift, event and file")
        return self


class Expect(StrictModel):
    """What is expected; what is not written is not compared."""

    policy: str | None = Field(None, description="'' for none")
    decision: Verdict | None = None
    reason: Reason | None = None
    do: tuple[str, ...] | None = Field(None, description="such as 'restart Deployment/payments/api', in order")


class GoldenCase(Given):
    """One case. `earlier` happened before it, in order, each at its own time."""

    name: str = ""
    cluster: str = "cluster"
    environment: str = ""
    earlier: tuple[Given, ...] = ()
    expect: Expect


@dataclass(frozen=True)
class Differs:
    """One thing that is not as expected."""

    field: str
    expected: str
    found: str


def play(case: GoldenCase, rules: Rulebook, read: ReadEvent, protected: frozenset[str] = frozenset()) -> Decided:
    """What the policies make of a case. Raises UsageError for an event that is none."""
    supposed = Supposed(environment=case.environment)
    triggers = [_trigger(given, case, number, read) for number, given in enumerate((*case.earlier, case))]
    event, _, place = triggers[-1]
    begins = min(min(one.time, at) for one, at, _ in triggers)
    rehearsal = Rehearsal(rules, Bounds(event.data.target.cluster, protected), begins, supposed)
    for one, at, where in triggers:
        rehearsal.take(one, min(one.time, at), where)
        rehearsal.advance(at)
    return decision_on(rehearsal, event, place)


def differences(expect: Expect, found: Decided) -> tuple[Differs, ...]:
    """What is expected and not so."""
    pairs: tuple[tuple[str, Any, Any], ...] = (
        ("policy", expect.policy, found.policy), ("decision", expect.decision, found.verdict),
        ("reason", expect.reason, found.reason), ("do", expect.do, found.do),
    )  # fmt: skip
    return tuple(
        Differs(name, _text(wanted), _text(is_so)) for name, wanted, is_so in pairs
        if wanted is not None and wanted != is_so
    )  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", then ".join(value) or "nothing"
    return "none" if value in (None, "") else str(value)


def _trigger(given: Given, case: GoldenCase, number: int, read: ReadEvent) -> tuple[Event[Any], datetime, Place]:
    """The event, when it is looked at, and its place."""
    written = given.file if given.file is not None else given.event
    if written is not None:
        event = read(written)
        at = given.at or event.time
    else:
        at = given.at or SOME_DAY
        event = _event(given, case, number, at)
    return event, at, _place(given.place, event)


def _event(given: Given, case: GoldenCase, number: int, at: datetime) -> Event[Any]:
    data: Any = _alert(given.alert, case, number, at) if given.alert else _drift(given.drift, case, number, at)
    id = stable_id(case.name, number)
    return make_event(data, id=id, source="golden", subject=data.target.subject, time=at, correlationid=id)


def _alert(given: AlertGiven, case: GoldenCase, number: int, at: datetime) -> AlertFired:
    life = stable_id("alert", given.name, number)
    nowhere = Target(cluster=case.cluster, group=ALERT_GROUP, kind=ALERT_KIND, namespace="", name=life)
    return AlertFired(
        alert_id=life, target=given.target.in_cluster(case.cluster) if given.target else nowhere, source=given.source,
        sender="golden", name=given.name, severity=given.severity, lasting=given.lasting, onset=at - given.age,
        fired_at=at, labels=given.labels, values=given.values, summary=given.summary,
    )  # fmt: skip


def _drift(given: DriftGiven | None, case: GoldenCase, number: int, at: datetime) -> DriftDetected:
    assert given is not None
    change = FieldChange(path=given.path, kind="changed", desired="declared", live="found", manager=given.manager)
    return DriftDetected(
        target=given.target.in_cluster(case.cluster), drift_id=stable_id("drift", number), baseline=given.baseline,
        state=given.state, engine="dry-run", onset=at, detected_at=at, resource_version=str(number + 1),
        fields=(change,) if given.state is DriftState.CHANGED else (),
    )  # fmt: skip


def _place(given: PlaceGiven | None, event: Event[Any]) -> Place:
    """What is written, on top of what the alert's own target is."""
    if not isinstance(event.data, AlertFired):
        return Place()
    if given is None:
        return suppose(event.data)[0]
    cluster = event.data.target.cluster
    names = ("object", "pod", "workload", "node", "application")
    parts = {name: getattr(given, name).in_cluster(cluster) for name in names if getattr(given, name) is not None}
    if given.reason is not None:
        return Place(reason=given.reason, message=f"supposed: {given.reason}")
    return suppose(event.data)[0].model_copy(update=parts)
