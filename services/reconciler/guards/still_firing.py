"""An alert that is over is not acted on, and one that may yet pass is waited out: the trigger's `for`."""

from schemas.events import Reason, Verdict
from services.reconciler.guards.base import Denial, Request


def still_firing(request: Request) -> Denial | None:
    """Deny once the alert is over; wait until it has been firing for as long as the policy wants."""
    case = request.case
    if case is None:
        return None
    if case.over_at is not None:
        return Denial(Reason.RESOLVED, "the alert is over")
    young_until = case.alert.onset + request.policy.spec.trigger.sustained
    if request.now < young_until:
        return Denial(Reason.TOO_YOUNG, "it must have been firing longer", young_until, Verdict.WAIT)
    return None
