"""`limits.rate`: how many attempts of a policy there may be at once over all targets of the cluster or a namespace.

A sliding window and no bucket: whichever stretch of that length one looks at, it holds no more than `max`. A policy
with several steps counts each for itself, as it does under the other limits.
"""

from itertools import islice

from schemas.events import Reason, Verdict
from services.reconciler.guards.attempts import another_step
from services.reconciler.guards.base import Denial, Request
from services.reconciler.tally import Entry


def rate(request: Request) -> Denial | None:
    """Wait while the window is full, until the oldest of those that fill it has left."""
    limit = request.policy.spec.limits.rate
    if limit is None:
        return None
    namespace = request.about.namespace if limit.per == "namespace" else None
    oldest = _newest(request, namespace, limit.max)
    if oldest is None or oldest.at <= request.now - limit.within:
        return None
    where = f"in namespace {namespace!r}" if namespace else "in the cluster"
    message = f"{limit.max} attempts of this policy {where} within {limit.within}, no more are allowed"
    return Denial(Reason.RATE, message, oldest.at + limit.within, Verdict.WAIT)


def _newest(request: Request, namespace: str | None, number: int) -> Entry | None:
    """The policy's newest attempt but so many; None where there are fewer."""
    entries = request.tally.of_policy(request.policy.name, request.doing, namespace)
    if len(entries) < number:
        return None
    counted = (
        entry for entry in reversed(entries) if entry.attempt is None or not another_step(request, entry.attempt)
    )
    return next(islice(counted, number - 1, None), None)
