"""One action at a time on a target; the drift is decided again as soon as the one under way has ended."""

from schemas.events import Reason, Verdict
from services.reconciler.guards.base import Denial, Request


def one_at_a_time(request: Request) -> Denial | None:
    """Wait while an action on this target is under way."""
    if request.state.in_flight is None:
        return None
    return Denial(Reason.IN_FLIGHT, "an action on this target is under way", verdict=Verdict.WAIT)
