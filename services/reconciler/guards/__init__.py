"""The guard chain, in the order in which it is asked. The first denial is the answer."""

from services.reconciler.guards.attempts import budget, ineffective_chain
from services.reconciler.guards.base import Bounds, Denial, Guard, Request, first_denial
from services.reconciler.guards.cooldown import cooldown
from services.reconciler.guards.fight import fight
from services.reconciler.guards.held import held
from services.reconciler.guards.kill_switch import kill_switch
from services.reconciler.guards.one_at_a_time import one_at_a_time
from services.reconciler.guards.paused import paused
from services.reconciler.guards.scope import protected_namespace, scope
from services.reconciler.guards.still_true import still_true

CHAIN: tuple[Guard, ...] = (
    kill_switch,
    scope,
    protected_namespace,
    # still_true belongs here; it needs the live object, so the action's worker asks it
    paused,
    one_at_a_time,
    cooldown,
    budget,
    ineffective_chain,
    held,
    fight,
)

# What a person may have said between the decision and the write; asked once more right before the write.
LAST_MOMENT: tuple[Guard, ...] = (kill_switch, paused)

__all__ = ["CHAIN", "LAST_MOMENT", "Bounds", "Denial", "Guard", "Request", "first_denial", "still_true"]
