"""What is not this reconciler's to touch: other clusters, and the namespaces that the operator protects."""

from collections.abc import Iterable

from schemas.events import Reason
from schemas.target import Target
from services.reconciler.guards.base import Bounds, Denial, Request


def scope(request: Request) -> Denial | None:
    """Deny for a target of a cluster that this process has no connection to."""
    return _elsewhere(request.about, request.bounds)


def protected_namespace(request: Request) -> Denial | None:
    """Deny in the namespaces of the setting `protected_namespaces`, and for those Namespace objects themselves; not
    what only tells people of them."""
    return None if request.only_tells else _protected(request.about, request.bounds)


def touches_only_own(touched: Iterable[Target], bounds: Bounds) -> Denial | None:
    """The same for everything that a plan would touch, right before it is carried out: an action's parameters may name
    more than its subject."""
    return next((no for target in touched if (no := _elsewhere(target, bounds) or _protected(target, bounds))), None)


def _elsewhere(target: Target, bounds: Bounds) -> Denial | None:
    if target.cluster == bounds.cluster:
        return None
    return Denial(Reason.OUT_OF_SCOPE, f"this reconciler acts on {bounds.cluster!r}, not on {target.cluster!r}")


def _protected(target: Target, bounds: Bounds) -> Denial | None:
    name = target.name if target.kind == "Namespace" and not target.group else target.namespace
    if name not in bounds.protected:
        return None
    return Denial(
        Reason.PROTECTED_NAMESPACE, f"the namespace {name!r} is protected by the setting protected_namespaces"
    )
