"""What is declared where nobody named a baseline: the cluster's Helm releases, and what `kubectl apply` noted.

Useful on any cluster at once, and harmless: it is only observed, whatever policies say, and nothing is pruned.
"""

from schemas.baseline import API_VERSION, Baseline
from services.kube.declaration.baselines import DeclaredState, state_of

ONLY_OBSERVED = "no baseline was chosen, so what the cluster itself declares is only observed"
SOURCES = {"helm": "helm", "last-applied": "lastApplied"}


def unchosen() -> tuple[Baseline, ...]:
    """The baselines `helm` and `last-applied`, of the whole cluster."""
    return tuple(
        Baseline.model_validate(
            {
                "apiVersion": API_VERSION,
                "kind": "Baseline",
                "metadata": {"name": name},
                "spec": {"source": {source: {}}},
            }
        )
        for name, source in SOURCES.items()
    )


def unchosen_state() -> DeclaredState:
    """The same as what files would give."""
    return state_of((), unchosen())
