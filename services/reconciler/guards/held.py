"""The pause for breath after an attempt that failed: a back-off where it may pass, a longer wait after a refusal."""

from schemas.events import Reason, Verdict
from services.reconciler.guards.base import Denial, Request

REFUSALS = frozenset({Reason.FORBIDDEN, Reason.INVALID, Reason.IMMUTABLE, Reason.NO_LONGER_TRUE, Reason.NOT_DECLARED})


def held(request: Request) -> Denial | None:
    """Wait out the last failure's back-off; a refusal by the API server is a denial with the server's reason."""
    hold = request.state.hold
    if hold is None or hold.until <= request.now:
        return None
    verdict = Verdict.DENY if hold.reason in REFUSALS else Verdict.WAIT
    return Denial(hold.reason, hold.message, hold.until, verdict)
