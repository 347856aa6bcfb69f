"""The pause for breath after an attempt that failed: a back-off where it may pass, a longer wait after a refusal."""

from schemas.events import Reason, Verdict
from services.reconciler.guards.base import Denial, Request

REFUSALS = frozenset(
    {
        Reason.FORBIDDEN, Reason.INVALID, Reason.IMMUTABLE, Reason.HOLDS_DATA, Reason.UNKNOWN_FIELD,
        Reason.ADMISSION_DENIED, Reason.WEBHOOK_REFUSED, Reason.CLAIMED_TWICE, Reason.FOREIGN_OWNED,
        Reason.NO_LONGER_TRUE, Reason.NOT_DECLARED, Reason.TARGET_GONE, Reason.TARGET_UNKNOWN,
        Reason.TARGET_AMBIGUOUS, Reason.PARAMETERS, Reason.OUT_OF_SCOPE, Reason.PROTECTED_NAMESPACE,
        Reason.NOT_SERVED,
    }
)  # fmt: skip


def held(request: Request) -> Denial | None:
    """Wait out the last failure's back-off; a refusal by the API server is a denial with the server's reason.

    What was found to be immutable is asked for, unless the policy allows to make the object anew by now.
    """
    hold = request.case.hold if request.case else request.state.hold
    if hold is None or (hold.until is not None and hold.until <= request.now):
        return None
    if hold.reason is Reason.IMMUTABLE and hold.until is None and request.case is None:
        step = request.policy.step_for(request.open_drift.state)
        return None if step and step.recreates else Denial(hold.reason, hold.message, None, Verdict.ASK)
    verdict = Verdict.DENY if hold.reason in REFUSALS else Verdict.WAIT
    return Denial(hold.reason, hold.message, hold.until, verdict)
