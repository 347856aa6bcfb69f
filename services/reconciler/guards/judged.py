"""What is reported and never acted on: objects without a verdict, and other tools' applications that do not work."""

from schemas.events import DriftState, FindingReason, Reason
from services.reconciler.guards.base import Denial, Request

REPORTED = frozenset({FindingReason.SUSPENDED, FindingReason.FAILING})


def judged(request: Request) -> Denial | None:
    """Deny where there is no verdict, and where the finding is another tool's state; with the finding's own reason."""
    drift = request.open_drift
    if drift.state is not DriftState.UNJUDGED and drift.reason not in REPORTED:
        return None
    return Denial(Reason(drift.reason or Reason.INVALID), drift.message)
