"""What a guard sees and what it says. A guard is a pure function `(request) -> Denial | None` in a file of its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from schemas.events import ControlKind, ControlSet, DriftDetected, Reason, Verdict
from schemas.ledger import Attempt, Case, TargetState
from schemas.policy import Policy
from schemas.target import Target
from services.reconciler.tally import EMPTY, Tally

TELLING = frozenset({"notify", "webhook", "silence"})
"""The actions that touch nothing of the cluster: they tell people or other systems."""


@dataclass(frozen=True)
class Bounds:
    """What this reconciler may touch at all: its own cluster, less the protected namespaces; and how much of it may be
    acted on in a storm of alerts."""

    cluster: str
    protected: frozenset[str] = frozenset()
    storm_max: int = 60
    storm_within: timedelta = timedelta(minutes=5)


class Window(Protocol):
    """A maintenance window, read from its file. Times are UTC."""

    @property
    def name(self) -> str:
        """As decisions name it."""

    @property
    def freezes(self) -> bool:
        """Whether nothing may be done inside; else nothing may be done outside."""

    @property
    def reason(self) -> str:
        """The user's own words."""

    def covers(self, target: Target) -> bool:
        """Whether it is about this target."""

    def open_until(self, now: datetime) -> datetime | None:
        """When the span that `now` lies in ends; None where `now` lies in none."""

    def opens_at(self, now: datetime) -> datetime | None:
        """When the next span begins; None where there is no other."""


@dataclass(frozen=True)
class Request:
    """May `policy` do `action` to `subject` at `now` (UTC)?

    Either `drift` is set, the open drift of `state` and its own target being the subject, or `case` is, an alert of
    `state`, whose policy may act on another object than the alert is about; None is an action on nothing in the
    cluster. `attempts` are this policy's on the subject, oldest first; `tally` knows those of the whole cluster.
    """

    state: TargetState
    drift: DriftDetected | None
    policy: Policy
    controls: tuple[ControlSet, ...]
    bounds: Bounds
    now: datetime
    case: Case | None = None
    subject: Target | None = None
    action: str = "revert"
    attempts: tuple[Attempt, ...] = ()
    tally: Tally = EMPTY
    windows: tuple[Window, ...] = ()

    @property
    def open_drift(self) -> DriftDetected:
        """For the guards that are about drift alone."""
        assert self.drift is not None
        return self.drift

    @property
    def about(self) -> Target:
        """What would be acted on; the trigger's target where that is nothing in the cluster."""
        return self.subject or self.state.target

    @property
    def doing(self) -> str:
        """The action by its name; for drift it follows from the drift's state."""
        step = self.policy.step_for(self.drift.state) if self.drift is not None else None
        return step.action if step else self.action

    @property
    def only_tells(self) -> bool:
        """Whether nothing of the cluster would be touched."""
        return self.case is not None and self.action in TELLING


@dataclass(frozen=True)
class Denial:
    """No, and why. `until` is when the answer may be another by itself; None means that something must happen first.

    `verdict` is WAIT where the action is only put off, DENY where it is refused.
    """

    reason: Reason
    message: str
    until: datetime | None = None
    verdict: Verdict = Verdict.DENY


Guard = Callable[[Request], Denial | None]


def first_denial(guards: Iterable[Guard], request: Request) -> Denial | None:
    """What the first guard says that does not let the request pass."""
    return next((denial for guard in guards if (denial := guard(request))), None)


def active_control(request: Request, kind: ControlKind) -> ControlSet | None:
    """The control of this kind that covers the target now; the one that lasts longest where several do."""
    if not request.controls:  # as nearly always, and every decision asks
        return None
    found = [
        control
        for control in request.controls
        if control.kind is kind
        and control.scope.covers(request.about)
        and (control.until is None or control.until > request.now)
    ]
    return max(found, key=lambda control: (control.until is None, control.until or request.now), default=None)


def words(control: ControlSet) -> str:
    """Who set a control and what for."""
    return f"by {control.by}" + (f": {control.reason}" if control.reason else "")
