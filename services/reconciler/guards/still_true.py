"""Whether the drift is still there: judged on what the action's worker sees right before it would apply."""

from schemas.events import DriftState, Reason
from services.kube.verdict.judge import Finding
from services.reconciler.guards.base import Denial


def still_true(finding: Finding) -> Denial | None:
    """Deny where nothing is left to do, and where by now nothing may be done."""
    if finding.state is None:
        return Denial(Reason.NO_LONGER_TRUE, "the object is as it should be already")
    if finding.state is DriftState.UNJUDGED:
        return Denial(Reason(finding.reason or Reason.INVALID), finding.message)
    return None
