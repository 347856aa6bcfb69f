"""The guard chains, in the order in which they are asked. The first denial is the answer. See docs/guards.md.

Those that need the cluster (`still_true`, `blast_radius`, `touches_only_own`, `plan_unchanged`) are asked by the
action's worker on what it sees right before it applies; `approval` once the plan is made.
"""

from services.reconciler.guards.approval import approval
from services.reconciler.guards.attempts import budget, ineffective_chain
from services.reconciler.guards.base import Bounds, Denial, Guard, Request, first_denial
from services.reconciler.guards.blast_radius import Observation, blast_radius
from services.reconciler.guards.breaker import breaker
from services.reconciler.guards.cooldown import cooldown
from services.reconciler.guards.fight import fight
from services.reconciler.guards.held import held
from services.reconciler.guards.irreversible import irreversible
from services.reconciler.guards.judged import judged
from services.reconciler.guards.kill_switch import kill_switch
from services.reconciler.guards.maintenance import maintenance
from services.reconciler.guards.one_at_a_time import one_at_a_time
from services.reconciler.guards.paused import paused
from services.reconciler.guards.plan_unchanged import plan_unchanged
from services.reconciler.guards.rate import rate
from services.reconciler.guards.scope import protected_namespace, scope, touches_only_own
from services.reconciler.guards.still_firing import still_firing
from services.reconciler.guards.still_true import still_true
from services.reconciler.guards.storm import storm

CHAIN: tuple[Guard, ...] = (
    kill_switch,
    scope,
    protected_namespace,
    judged,
    maintenance,
    paused,
    one_at_a_time,
    cooldown,
    budget,
    ineffective_chain,
    held,
    fight,
    rate,
    breaker,
    irreversible,
)

ALERT_CHAIN: tuple[Guard, ...] = (
    kill_switch,
    scope,
    protected_namespace,
    still_firing,
    maintenance,
    paused,
    one_at_a_time,
    cooldown,
    budget,
    ineffective_chain,
    held,
    rate,
    storm,
    breaker,
)

# What a policy does where it gives up is not held back by what it gave up for; what protects the platform holds.
ELSE_CHAIN: tuple[Guard, ...] = (
    kill_switch,
    scope,
    protected_namespace,
    maintenance,
    paused,
    one_at_a_time,
    held,
    storm,
)

# What may have changed between the decision and the write; asked once more right before the write.
LAST_MOMENT: tuple[Guard, ...] = (kill_switch, maintenance, paused)

__all__ = [
    "ALERT_CHAIN",
    "CHAIN",
    "ELSE_CHAIN",
    "LAST_MOMENT",
    "Bounds",
    "Denial",
    "Guard",
    "Observation",
    "Request",
    "approval",
    "blast_radius",
    "first_denial",
    "plan_unchanged",
    "still_true",
    "touches_only_own",
]
