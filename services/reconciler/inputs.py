"""What the state machine is given, what it knows besides, and what it answers: all frozen, nothing does anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from schemas.alerts import AlertFired, AlertResolved
from schemas.approvals import ApprovalAnswered
from schemas.base import EventModel
from schemas.events import ControlSet, DriftCleared, DriftDetected, Mode, Outcome, Reason
from schemas.ledger import Flight, InFlight, Lift, Place, TargetState
from schemas.policy import PLAIN, Policy
from schemas.policy import Step as PolicyStep
from schemas.target import Target
from services.reconciler.guards import Bounds
from services.reconciler.guards.base import Window
from services.reconciler.memory import memory_of, most_of
from services.reconciler.policies.choosing import PolicyIndex
from services.reconciler.tally import Tally


@dataclass(frozen=True)
class Detected:
    """A `drift.detected` event. `digest` identifies the declared object as this process has it; None if it has none."""

    event_id: str
    correlation_id: str
    data: DriftDetected
    digest: str | None = None


@dataclass(frozen=True)
class Cleared:
    """A `drift.cleared` event."""

    event_id: str
    data: DriftCleared


@dataclass(frozen=True)
class Resumed:
    """A person lifted a control that covered this target, and so asks for what comes of it."""

    event_id: str
    by: str = ""


@dataclass(frozen=True)
class Due:
    """A deadline has come, or controls or policies have changed: decide again. `event_id` is what changed, if known."""

    event_id: str | None = None


@dataclass(frozen=True)
class Result:
    """How an action's worker ended. Durations are milliseconds of this run.

    `applied`: a write reached the server, or may have. `temporary`: the same may work later. `resource_version` is the
    object's when the worker last saw it right, 0 where it did not. For a plan only, `message` is the diff.
    """

    action_id: str
    subject: str
    outcome: Outcome
    reason: Reason
    message: str = ""
    temporary: bool = False
    retry_after: float | None = None
    applied: bool = False
    resource_version: int = 0
    plan_ms: float = 0.0
    apply_ms: float = 0.0
    verify_ms: float = 0.0
    resumed: bool = False


@dataclass(frozen=True)
class Fired:
    """An `alert.fired` event. `place` is what the cluster says of its target, None where it was not asked yet."""

    event_id: str
    correlation_id: str
    data: AlertFired
    place: Place | None = None


@dataclass(frozen=True)
class Armed:
    """A policy on a schedule is new here: its hours count from `at` on."""

    at: datetime


@dataclass(frozen=True)
class Over:
    """An `alert.resolved` event."""

    event_id: str
    data: AlertResolved


@dataclass(frozen=True)
class Found:
    """What the cluster says of an alert's target; `place` is None where it did not answer, for the reason `message`."""

    subject: str
    alert_id: str
    place: Place | None
    message: str = ""


@dataclass(frozen=True)
class Answered:
    """A person's answer to a question of this row."""

    event_id: str
    data: ApprovalAnswered


@dataclass(frozen=True)
class Ended:
    """How a task on an alert ended. `subject` is the row's. Durations are milliseconds of this run.

    `words` and `plan` tell the plan in one line and in full; `plan_hash` is what an approval of it is bound to.
    `before` is what an undo needs, `lift_after` in how many seconds it is undone by itself. `facts` are published with
    the end.
    """

    action_id: str
    subject: str
    outcome: Outcome
    reason: Reason
    message: str = ""
    temporary: bool = False
    retry_after: float | None = None
    applied: bool = False
    words: str = ""
    plan: str = ""
    plan_hash: str = ""
    before: Mapping[str, Any] = field(default_factory=dict)
    lift_after: float | None = None
    facts: tuple[EventModel, ...] = ()
    plan_ms: float = 0.0
    apply_ms: float = 0.0
    verify_ms: float = 0.0
    resumed: bool = False


Input = Detected | Cleared | Resumed | Due | Result | Fired | Armed | Over | Found | Answered | Ended


@dataclass(frozen=True)
class World:
    """What every decision of a batch shares. `controls` may hold expired ones; the guards look at `now`."""

    now: datetime
    policies: tuple[Policy, ...] = ()
    controls: tuple[ControlSet, ...] = ()
    bounds: Bounds = field(default_factory=lambda: Bounds(""))
    index: PolicyIndex = field(default_factory=lambda: PolicyIndex(()))
    windows: tuple[Window, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    environment: str = ""

    def policy_named(self, name: str | None) -> Policy | None:
        """The policy of that name, None where there is none any more."""
        return next((policy for policy in self.policies if policy.name == name), None)

    def policy_for(self, drift: DriftDetected) -> Policy | None:
        """The first policy by name that matches and has a step for such a drift."""
        matching = (policy for policy in self.policies if policy.applies(drift.baseline, drift.target))
        found = (policy for policy in matching if policy.step_for(drift.state))
        return min(found, key=lambda policy: policy.name, default=None)

    def memory(self) -> timedelta:
        """How long an attempt may matter to any policy."""
        return self._remembers[0]

    def most_attempts(self) -> int:
        """How many attempts of a row any limit may need to count."""
        return self._remembers[1]

    @cached_property
    def _remembers(self) -> tuple[timedelta, int]:
        return memory_of(self.policies, self.bounds), most_of(self.policies, self.bounds)


@dataclass(frozen=True)
class Job:
    """An action to run, or to take up again after a crash. `drift` is what it is for; None where that is over."""

    target: Target
    action: InFlight
    step: PolicyStep
    drift: DriftDetected | None = None
    resumed: bool = False

    @property
    def plan_only(self) -> bool:
        """True where nothing may be applied."""
        return self.action.mode is not Mode.ENFORCE


class Errand(StrEnum):
    """What a task is to do."""

    FIND = "find"
    PLAN = "plan"
    DO = "do"
    UNDO = "undo"


@dataclass(frozen=True)
class Task:
    """Something to do about an alert. `flight` says what, `step` how it is verified; `lift` is what is taken back.

    A task to find the target has neither.
    """

    errand: Errand
    row: Target
    alert: AlertFired
    place: Place
    flight: Flight | None = None
    step: PolicyStep | None = None
    lift: Lift | None = None
    resumed: bool = False


@dataclass(frozen=True)
class Fact:
    """One event to write: its data, its id, the event that led to it, and the trigger that it all began with."""

    data: EventModel
    id: str
    cause: str | None
    correlation: str


@dataclass(frozen=True)
class Step:
    """What one input makes of one row. `state` None forgets the row; the very same object: nothing changed."""

    state: TargetState | None
    facts: tuple[Fact, ...] = ()
    job: Job | None = None
    tasks: tuple[Task, ...] = ()


def step_of(flight: InFlight, policies: tuple[Policy, ...]) -> PolicyStep:
    """What an action under way is to do: its policy's step, or the plain one where that policy is gone by now."""
    found = next((policy for policy in policies if policy.name == flight.policy), None)
    steps = found.spec.do if found else ()
    return next((step for step in steps if step.action == flight.action), PLAIN[flight.action])
