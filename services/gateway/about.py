"""Which cluster an alert that was sent is about: what its sender may speak for. Called by the sources.

What else can be told from labels is the same for all who make alerts: `services/runtime/alerts/about.py`.
"""

from collections.abc import Mapping

from services.gateway.source import Sender
from services.runtime.alerts.about import CLUSTER, NAMESPACED, object_of, target_of

__all__ = ["CLUSTER", "NAMESPACED", "cluster_of", "object_of", "target_of"]


def cluster_of(sender: Sender, labels: Mapping[str, str]) -> str | None:
    """The cluster that these labels are about. None where the sender may not say, or where no subject could hold it."""
    cluster = sender.cluster(labels)
    return cluster if cluster and CLUSTER.fullmatch(cluster) and cluster.isprintable() else None
