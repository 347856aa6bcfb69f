"""Many declarations as one state: at most one for each object.

A manifest of a file or of a Helm release says more than an object's own annotation and wins over it, in silence. Two
that stand on the same step contradict each other: neither is judged, and the finding names both. An application that
is declared as well is both: its manifest is compared, and its state counts.
"""

from collections.abc import Iterable
from dataclasses import replace

from services.kube.declaration.baselines import Declared, OriginKind, digest_of
from services.kube.objects import ObjectKey

WEIGHT = {OriginKind.FILES: 2, OriginKind.HELM: 2, OriginKind.LAST_APPLIED: 1, OriginKind.APPLICATION: 0}


def merged(claims: Iterable[Declared]) -> dict[ObjectKey, Declared]:
    """One declaration an object. The order of claims decides only who is named first."""
    found: dict[ObjectKey, Declared] = {}
    for claim in claims:
        other = found.get(claim.key)
        found[claim.key] = claim if other is None else _of_two(other, claim)
    return found


def _of_two(first: Declared, second: Declared) -> Declared:
    strong, weak = sorted((first, second), key=lambda claim: -WEIGHT[claim.origin.kind])  # stable
    if WEIGHT[strong.origin.kind] > WEIGHT[weak.origin.kind]:
        return _also_application(strong) if weak.application else strong
    if strong.origin.kind is OriginKind.APPLICATION:
        return strong  # watched twice is watched
    rivals = (*strong.rivals, _name(weak))
    return replace(strong, rivals=rivals, digest=digest_of([strong.digest, weak.digest, *rivals]))


def _also_application(claim: Declared) -> Declared:
    if claim.application:
        return claim
    return replace(claim, application=True, digest=digest_of([claim.digest, "application"]))


def _name(claim: Declared) -> str:
    """Its baseline, and for a Helm release which one, since one baseline may hold many."""
    origin = claim.origin
    return f"{claim.baseline} ({origin.namespace}/{origin.name})" if origin.name else claim.baseline
