"""An approval is for one plan: asked right before it is carried out, on the plan as it is made then."""

from schemas.events import Reason, Verdict
from services.reconciler.guards.base import Denial


def plan_unchanged(expects: str | None, plan_hash: str) -> Denial | None:
    """Ask again where what would be done is not what was approved. `expects` is None where nobody had to be asked."""
    if expects is None or expects == plan_hash:
        return None
    return Denial(Reason.PLAN_CHANGED, "what would be done is not what was approved", verdict=Verdict.ASK)
