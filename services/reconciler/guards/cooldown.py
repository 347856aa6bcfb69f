"""`limits.oncePer`: the least time between two attempts of a policy on a target."""

from schemas.events import Reason, Verdict
from services.reconciler.guards.attempts import of_this_step
from services.reconciler.guards.base import Denial, Request


def cooldown(request: Request) -> Denial | None:
    """Wait while the policy's last attempt on this target is younger than `limits.oncePer`, whatever its outcome."""
    once_per = request.policy.spec.limits.once_per
    times = [attempt.at for attempt in of_this_step(request)] if once_per else []
    if not times or request.now - max(times) >= once_per:
        return None
    return Denial(Reason.COOLDOWN, f"one attempt per {once_per}", max(times) + once_per, Verdict.WAIT)
