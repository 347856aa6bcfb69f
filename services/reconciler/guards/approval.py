"""Whether people must be asked first. Whether the policy wants them asked is evaluated by whoever has the event."""

from schemas.events import Reason, Verdict
from schemas.ledger import Case
from services.reconciler.guards.base import Denial


def approval(case: Case, needed: bool, plan_hash: str) -> Denial | None:
    """Ask unless people have said yes to exactly this plan. `needed`: what the policy's `approve.if` came to, where an
    error means yes."""
    if not needed or case.approved == plan_hash:
        return None
    words = "people are asked first" if case.approved is None else "what people said yes to was another plan"
    return Denial(Reason.APPROVAL, words, verdict=Verdict.ASK)
