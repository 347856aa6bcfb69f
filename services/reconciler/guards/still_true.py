"""Whether the drift is still there: judged on what the action's worker sees right before it would apply."""

from schemas.events import Reason
from services.kube.judge import Finding
from services.reconciler.guards.base import Denial


def still_true(finding: Finding) -> Denial | None:
    """Deny where the live object is at its declared state by now."""
    if finding.state is not None:
        return None
    return Denial(Reason.NO_LONGER_TRUE, "the object is at its declared state already")
