"""How long, and how many, attempts must be remembered for every limit of every policy to stay exact."""

from collections.abc import Iterable
from datetime import timedelta

from schemas.policy import Limits, Policy
from services.reconciler.guards.base import Bounds

LEAST = timedelta(hours=1)
FEWEST = 10


def memory_of(policies: Iterable[Policy], bounds: Bounds) -> timedelta:
    """How long an attempt may matter to any policy, or to the brake over all of them."""
    return max([LEAST, 2 * bounds.storm_within, *(_longest(policy) for policy in policies)])


def most_of(policies: Iterable[Policy], bounds: Bounds) -> int:
    """How many attempts of one row any limit may need to count; the brake counts those on alerts."""
    known = tuple(policies)
    storm = bounds.storm_max if any(policy.spec.trigger.drift is None for policy in known) else 0
    return max([FEWEST, storm, *(_most(policy.spec.limits) for policy in known)])


def _longest(policy: Policy) -> timedelta:
    """Of an alert's policy a chain that does not help lasts as long as its attempts are held apart, each time."""
    limits = policy.spec.limits
    budget = limits.attempts.within if limits.attempts else timedelta(0)
    rate = limits.rate.within if limits.rate else timedelta(0)
    apart = max(limits.once_per, budget, rate)
    chain = timedelta(0) if policy.spec.trigger.drift else max(apart, limits.stays) * (limits.ineffective + 1)
    return max(apart, chain, limits.breaker.wait * 2)


def _most(limits: Limits) -> int:
    budget = limits.attempts.max if limits.attempts else 0
    return max(budget, limits.rate.max if limits.rate else 0, limits.ineffective, limits.breaker.failures)
