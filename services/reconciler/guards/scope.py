"""What is not this reconciler's to touch: other clusters, and the namespaces that the operator protects."""

from schemas.events import Reason
from services.reconciler.guards.base import Denial, Request


def scope(request: Request) -> Denial | None:
    """Deny for a target of a cluster that this process has no connection to."""
    cluster = request.state.target.cluster
    if cluster == request.bounds.cluster:
        return None
    return Denial(Reason.OUT_OF_SCOPE, f"this reconciler acts on {request.bounds.cluster!r}, not on {cluster!r}")


def protected_namespace(request: Request) -> Denial | None:
    """Deny in the namespaces of the setting `protected_namespaces`, and for those Namespace objects themselves."""
    target = request.state.target
    name = target.name if target.kind == "Namespace" and not target.group else target.namespace
    if name not in request.bounds.protected:
        return None
    return Denial(
        Reason.PROTECTED_NAMESPACE, f"the namespace {name!r} is protected by the setting protected_namespaces"
    )
