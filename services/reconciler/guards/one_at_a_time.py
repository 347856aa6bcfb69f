"""One action at a time on a target; the trigger is decided again as soon as the one under way has ended."""

from schemas.events import Reason, Verdict
from services.reconciler.guards.base import Denial, Request
from services.reconciler.tally import flights_of


def one_at_a_time(request: Request) -> Denial | None:
    """Wait while an action on what would be acted on is under way, for whatever trigger."""
    if request.only_tells:
        return None
    about = request.about.subject
    if about not in flights_of(request.state) and not request.tally.busy_elsewhere(about, request.state):
        return None
    return Denial(Reason.IN_FLIGHT, "an action on this target is under way", verdict=Verdict.WAIT)
