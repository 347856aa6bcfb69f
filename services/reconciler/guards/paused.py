"""A pause: the drift is left until somebody resumes or the pause ends."""

from schemas.events import ControlKind, Reason, Verdict
from services.reconciler.guards.base import Denial, Request, active_control, words


def paused(request: Request) -> Denial | None:
    """Wait while a pause covers this target."""
    control = active_control(request, ControlKind.PAUSE)
    if control is None:
        return None
    return Denial(Reason.PAUSED, f"paused {words(control)}", control.until, Verdict.WAIT)
