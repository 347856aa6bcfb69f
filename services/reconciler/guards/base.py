"""What a guard sees and what it says. A guard is a pure function `(request) -> Denial | None` in a file of its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from schemas.events import ControlKind, ControlSet, DriftDetected, Reason, Verdict
from schemas.ledger import TargetState
from schemas.policy import Policy


@dataclass(frozen=True)
class Bounds:
    """What this reconciler may touch at all: its own cluster, less the protected namespaces."""

    cluster: str
    protected: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Request:
    """May `policy` act on the target of `state`, whose open drift is `drift`, at `now` (UTC)?"""

    state: TargetState
    drift: DriftDetected
    policy: Policy
    controls: tuple[ControlSet, ...]
    bounds: Bounds
    now: datetime


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
    found = [
        control
        for control in request.controls
        if control.kind is kind
        and control.scope.covers(request.state.target)
        and (control.until is None or control.until > request.now)
    ]
    return max(found, key=lambda control: (control.until is None, control.until or request.now), default=None)


def words(control: ControlSet) -> str:
    """Who set a control and what for."""
    return f"by {control.by}" + (f": {control.reason}" if control.reason else "")
