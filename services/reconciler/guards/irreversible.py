"""What costs an object: deleting one that should not be there, and making one anew for a field that cannot change.

Both must be wanted expressly: by the policy's `prune` step and the baseline's `prune: delete`, or by the `recreate` of
the policy's `revert` step. Else it is asked for. What holds data is never deleted, and nobody is asked.
"""

from schemas.events import DriftDetected, DriftState, FindingReason, Reason, Verdict
from services.kube.correction.recreate import holds_data
from services.reconciler.guards.base import Denial, Request


def irreversible(request: Request) -> Denial | None:
    """Deny for what holds data; ask where the policy or the baseline does not allow to delete."""
    drift, step = request.open_drift, request.policy.step_for(request.open_drift.state)
    if drift.state is DriftState.UNWANTED:
        return _kept(drift) or (_asked(drift) if drift.prune != "delete" else None)
    if drift.reason is not FindingReason.IMMUTABLE:
        return None
    if step and step.recreates:
        return _kept(drift)
    words = f"only making it anew would help, which 'recreate: true' allows: {drift.message}"
    return _kept(drift) or Denial(Reason.IMMUTABLE, words, verdict=Verdict.ASK)


def _asked(drift: DriftDetected) -> Denial:
    return Denial(Reason.UNWANTED, f"to be deleted: {drift.message}", verdict=Verdict.ASK)


def _kept(drift: DriftDetected) -> Denial | None:
    if not holds_data(drift.target.group, drift.target.kind):
        return None
    return Denial(Reason.HOLDS_DATA, f"a {drift.target.kind} is never deleted, since it holds what nobody declares")
