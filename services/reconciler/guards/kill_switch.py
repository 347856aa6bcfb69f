"""The kill switch: nothing is changed in its scope, whatever else holds. First in the chain."""

from schemas.events import ControlKind, Reason
from services.reconciler.guards.base import Denial, Request, active_control, words


def kill_switch(request: Request) -> Denial | None:
    """Deny while the kill switch is on for this target."""
    control = active_control(request, ControlKind.KILL_SWITCH)
    if control is None:
        return None
    return Denial(Reason.KILL_SWITCH, f"the kill switch is on, {words(control)}", control.until)
