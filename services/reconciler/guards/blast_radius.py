"""`limits.blastRadius`: how much may be out at once. Judged on what the action's worker sees right before it applies.

Shares are exact and always rounded to the safe side: 50% of 3 replicas that must stay are 2, 30% of 5 nodes that may be
out are 1. A limit that is exceeded already, by whatever cause, forbids the action too: that is when people should look.
"""

from dataclasses import dataclass

from schemas.events import Reason, Verdict
from schemas.policy import BlastRadius
from services.reconciler.guards.base import Denial

ON_NODES = frozenset({"cordon", "drain"})
DISRUPTING = frozenset({"delete-pod", "isolate"})
"""What takes single pods out of service, which their PodDisruptionBudgets are about. A roll-out is not limited by them,
and a drain asks for each pod by itself."""


@dataclass(frozen=True)
class Observation:
    """What the worker saw; None: not known, or not what the action is about.

    `takes`: how many of the ready replicas the action puts out of service at once. `pdb_allowed`: how many more
    disruptions the budgets that select the pod allow. `node_is_out`: the node acted on is among `nodes_out` already.
    `acted_in_namespace`: other workloads of the namespace that were acted on within an hour.
    """

    ready: int | None = None
    wanted: int | None = None
    takes: int = 1
    pdb_allowed: int | None = None
    nodes: int | None = None
    nodes_out: int = 0
    node_is_out: bool = False
    workloads_in_namespace: int | None = None
    acted_in_namespace: int = 0


def blast_radius(observation: Observation, limits: BlastRadius | None, action: str) -> Denial | None:
    """Wait where the action would take out more than the policy or a PodDisruptionBudget allows. A policy that limits
    nothing is not asked: an isolated intruder does not wait for a budget."""
    if limits is None:
        return None
    return (
        _ready(observation, limits)
        or _budgets(observation, action)
        or _nodes(observation, limits, action)
        or _namespace(observation, limits)
    )


def at_least(amount: str | int, of: int) -> int:
    """An amount that must stay: a share is rounded up."""
    text = str(amount)
    return -(-int(text[:-1]) * of // 100) if text.endswith("%") else int(text)


def at_most(amount: str | int, of: int) -> int:
    """An amount that may be out: a share is rounded down."""
    text = str(amount)
    return int(text[:-1]) * of // 100 if text.endswith("%") else int(text)


def _ready(seen: Observation, limits: BlastRadius) -> Denial | None:
    if limits.min_ready is None or seen.ready is None or seen.wanted is None:
        return None
    keep, left = at_least(limits.min_ready, seen.wanted), seen.ready - seen.takes
    if left >= keep:
        return None
    return _denial(f"{left} of {seen.wanted} replicas would stay ready, at least {keep} must (minReady)")


def _budgets(seen: Observation, action: str) -> Denial | None:
    if action not in DISRUPTING or seen.pdb_allowed is None or seen.takes <= seen.pdb_allowed:
        return None
    words = f"a PodDisruptionBudget allows {seen.pdb_allowed} more disruptions, not {seen.takes}"
    return Denial(Reason.DISRUPTION_BUDGET, words, verdict=Verdict.WAIT)


def _nodes(seen: Observation, limits: BlastRadius, action: str) -> Denial | None:
    if limits.max_nodes is None or seen.nodes is None or action not in ON_NODES:
        return None
    out, most = seen.nodes_out + (not seen.node_is_out), at_most(limits.max_nodes, seen.nodes)
    if out <= most:
        return None
    return _denial(f"{out} of {seen.nodes} nodes would be unready or cordoned, at most {most} may (maxNodes)")


def _namespace(seen: Observation, limits: BlastRadius) -> Denial | None:
    if limits.max_in_namespace is None or seen.workloads_in_namespace is None:
        return None
    acted, most = seen.acted_in_namespace + 1, at_most(limits.max_in_namespace, seen.workloads_in_namespace)
    if acted <= most:
        return None
    return _denial(
        f"{acted} of {seen.workloads_in_namespace} workloads of the namespace would be acted on within an hour, "
        f"at most {most} may (maxInNamespace)"
    )


def _denial(message: str) -> Denial:
    return Denial(Reason.BLAST_RADIUS, message, verdict=Verdict.WAIT)
