"""What the state machine is given, what it knows besides, and what it answers: all frozen, nothing does anything."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.base import EventModel
from schemas.events import ControlSet, DriftCleared, DriftDetected, Mode, Outcome, Reason
from schemas.ledger import InFlight, TargetState
from schemas.policy import Policy, RevertStep
from schemas.target import Target
from services.reconciler.guards import Bounds

LEAST_MEMORY = timedelta(hours=1)


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
    """A person lifted a control that covered this target."""

    event_id: str


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


Input = Detected | Cleared | Resumed | Due | Result


@dataclass(frozen=True)
class World:
    """What every decision of a batch shares. `controls` may hold expired ones; the guards look at `now`."""

    now: datetime
    policies: tuple[Policy, ...] = ()
    controls: tuple[ControlSet, ...] = ()
    bounds: Bounds = field(default_factory=lambda: Bounds(""))

    def policy_for(self, drift: DriftDetected) -> Policy | None:
        """The first policy by name that matches."""
        found = (policy for policy in self.policies if policy.applies(drift.baseline, drift.target))
        return min(found, key=lambda policy: policy.name, default=None)

    def memory(self) -> timedelta:
        """How long an attempt may matter to any policy."""
        limits = [policy.spec.limits for policy in self.policies]
        windows = [limit.attempts.within for limit in limits if limit.attempts]
        return max([LEAST_MEMORY, *windows, *(limit.once_per for limit in limits)])

    def most_attempts(self) -> int:
        """How many attempts of a target any policy may need to count; ten where none has a budget."""
        return max([10, *(entry.spec.limits.attempts.max for entry in self.policies if entry.spec.limits.attempts)])


@dataclass(frozen=True)
class Job:
    """An action to run, or to take up again after a crash."""

    target: Target
    action: InFlight
    step: RevertStep
    resumed: bool = False

    @property
    def plan_only(self) -> bool:
        """True where nothing may be applied."""
        return self.action.mode is not Mode.ENFORCE


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
