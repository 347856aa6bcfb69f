"""How often at most: a budget in a sliding window, and an end to trying what does not help."""

from schemas.events import Reason
from services.reconciler.guards.base import Denial, Request


def budget(request: Request) -> Denial | None:
    """Deny while `limits.attempts.max` attempts lie within the window, until enough of them have left it."""
    limit = request.policy.spec.limits.attempts
    if limit is None:
        return None
    name, since = request.policy.name, request.now - limit.within
    recent = sorted(entry.at for entry in request.state.attempts if entry.policy == name and entry.at > since)
    if len(recent) < limit.max:
        return None
    message = f"{len(recent)} attempts within {limit.within}, at most {limit.max} are allowed"
    return Denial(Reason.ATTEMPTS_SPENT, message, recent[-limit.max] + limit.within)


def ineffective_chain(request: Request) -> Denial | None:
    """Deny once that many attempts in a row did not help, until a person resumes or the declared state changes."""
    count, most = request.state.ineffective, request.policy.spec.limits.ineffective
    if count < most:
        return None
    last = next((entry.reason for entry in reversed(request.state.attempts) if entry.reason), None)
    why = f" (the last: {last})" if last else ""
    return Denial(Reason.INEFFECTIVE_CHAIN, f"{count} attempts in a row did not help{why}; resume it to try again")
