"""`limits.breaker`: an action that fails again and again, on whatever target, is broken itself: its rights, a webhook,
what it relies on. After so many failures in a row nobody does it for a while, then one tries.

Derived from the attempts of the whole cluster: no state of its own. What only says that the API server was away is no
failure of the action, and each target's back-off is the answer to it. For drift a refusal is about the one object, and
an object that fails again is the same failure: one that cannot be put back must not keep all others from it.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import takewhile

from schemas.events import Outcome, Reason, Verdict
from services.reconciler.guards.base import Denial, Request
from services.reconciler.guards.held import REFUSALS
from services.reconciler.tally import Entry

FAILURES = frozenset({Outcome.FAILED, Outcome.UNDONE, Outcome.INEFFECTIVE})
AWAY = frozenset({Reason.UNAVAILABLE, Reason.CONFLICT})
ONE_OBJECTS = AWAY | REFUSALS | {Reason.TIMEOUT, Reason.QUOTA, Reason.TERMINATING}


def breaker(request: Request) -> Denial | None:
    """Wait for `wait` after the last of `failures` failed actions in a row; then while the one that tries is under
    way."""
    limit, action = request.policy.spec.limits.breaker, request.doing
    failed = _last_of(reversed(request.tally.ended_of(action)), limit.failures, request.case is None)
    if failed is None:
        return None
    message = f"{limit.failures} {action} actions in a row have failed, the last: {failed.reason or failed.outcome}"
    if request.now < failed.at + limit.wait:
        return Denial(Reason.BREAKER, message, failed.at + limit.wait, Verdict.WAIT)
    later = takewhile(lambda entry: entry.at > failed.at, reversed(request.tally.of_action(action)))
    probe = next((entry for entry in later if entry.outcome is None), None)
    if probe is None:
        return None
    until = _next_look(probe.at, request.now, limit.wait)
    return Denial(Reason.BREAKER, f"{message}; one more is being tried", until, Verdict.WAIT)


def _last_of(newest_first: Iterable[Entry], enough: int, on_drift: bool) -> Entry | None:
    """The newest of `enough` failures in a row; None where a success came before, or they are fewer."""
    last: Entry | None = None
    seen: set[object] = set()
    for entry in newest_first:
        if entry.outcome is Outcome.SUCCEEDED:
            return None
        if entry.outcome in FAILURES and entry.reason not in (ONE_OBJECTS if on_drift else AWAY):
            last = last or entry
            seen.add(entry.subject if on_drift else id(entry))
            if len(seen) >= enough:
                return last
    return None


def _next_look(began: datetime, now: datetime, wait: timedelta) -> datetime:
    """When to look again at one that is under way: the same answer for a while, so that it is not recorded anew."""
    if not wait:
        return now + timedelta(seconds=1)
    return began + wait * ((now - began) // wait + 1)
