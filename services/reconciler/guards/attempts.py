"""How often at most: a budget in a sliding window, and an end to trying what does not help.

What counts is the attempt, whatever came of it: an action that says of itself that it succeeded, while the trouble goes
on, is the most common way in which automatic remedies run for ever.
"""

from datetime import datetime

from schemas.events import Outcome, Reason
from schemas.ledger import Attempt, Case
from services.reconciler.guards.base import Denial, Request


def budget(request: Request) -> Denial | None:
    """Deny while `limits.attempts.max` attempts lie within the window, until enough of them have left it."""
    limit = request.policy.spec.limits.attempts
    if limit is None:
        return None
    since, own = request.now - limit.within, of_this_step(request)
    recent = sorted(entry.at for entry in own if entry.at > since) if len(own) >= limit.max else []
    if len(recent) < limit.max:
        return None
    message = f"{len(recent)} attempts within {limit.within}, at most {limit.max} are allowed"
    return Denial(Reason.ATTEMPTS_SPENT, message, recent[-limit.max] + limit.within)


def ineffective_chain(request: Request) -> Denial | None:
    """Deny once that many attempts in a row did not help, until a person resumes or the declared state changes."""
    most = request.policy.spec.limits.ineffective
    count = request.state.ineffective if request.case is None else unhelpful(request)
    if count < most:
        return None
    last = next((entry.reason for entry in reversed(request.attempts) if entry.reason), None)
    why = f" (the last: {last})" if last else ""
    return Denial(Reason.INEFFECTIVE_CHAIN, f"{count} attempts in a row did not help{why}; resume it to try again")


def unhelpful(request: Request) -> int:
    """How many attempts in a row were no help to an alert that fires now.

    An attempt has helped where the alert stayed away for `limits.stays` after it, whatever the action's own
    verification said. One that was made while this alert was firing has not; nor has one after which an alert that led
    to the next attempt began too soon. What was before a person resumed is forgotten.
    """
    assert request.case is not None
    tried, count = _since_resumed(request), 0
    if not tried:
        return count
    stays, trouble = request.policy.spec.limits.stays, _trouble_since(request, request.case)
    for attempt in reversed(tried):
        if trouble - attempt.at >= stays:
            break
        trouble, count = min(trouble, attempt.onset or attempt.at), count + 1
    return count


def of_this_step(request: Request) -> list[Attempt]:
    """The policy's attempts that limits on this action count, oldest first.

    Of an alert's policy with several steps each step counts its own attempts: else the second step of a run would have
    to wait for the cool-down that the first one began.
    """
    name = request.policy.name
    own = [attempt for attempt in request.attempts if attempt.policy == name]
    if request.case is None or not own:
        return own
    return [attempt for attempt in own if attempt.action == request.action and not another_step(request, attempt)]


def another_step(request: Request, attempt: Attempt) -> bool:
    """Whether an attempt was at another step with the same action. Where the policy has one such step alone, the
    number does not count, so that steps may be added to a policy without forgetting what was tried."""
    if request.case is None or attempt.step is None or attempt.step == request.case.step:
        return False
    return sum(step.action == request.action for step in request.policy.spec.do) > 1


def _trouble_since(request: Request, case: Case) -> datetime:
    """Since when this alert fires, or another one about the same object that the policy has answered."""
    name = request.policy.name
    others = (one.alert.onset for one in request.state.cases if one.said is not None and one.said.policy == name)
    return min([case.alert.onset, *others])


def _since_resumed(request: Request) -> list[Attempt]:
    resumed_at = request.case.resumed_at if request.case else None
    return [
        attempt
        for attempt in of_this_step(request)
        if attempt.outcome is not Outcome.SUPERSEDED and (resumed_at is None or attempt.at > resumed_at)
    ]
