"""Whether an autoscaler has a workload in its hands, for replicas that nobody is noted to have written.

A write through the scale subresource leaves no owner where nobody owned `replicas` before, and none where it scales to
0, so managedFields cannot tell an autoscaler's work from a person's there. What the cluster does tell is whether a
HorizontalPodAutoscaler or a KEDA ScaledObject targets the object, and between which numbers it may choose. Asked only
where replicas differ and no manager is proven: one or two LISTs of a namespace. Called by `kube/verdict/judge.py`.
"""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from services.kube.api.cluster import Cluster
from services.kube.api.errors import Forbidden, Gone, NotFound
from services.kube.api.pages import pages
from services.kube.objects import Object, ObjectKey, split_api_version
from services.kube.pointer import FieldDiff
from services.kube.writers.ownership import owners

REPLICAS = "/spec/replicas"
DEFAULT_TARGET = "apps/v1", "Deployment"  # what KEDA takes an unnamed kind for


class Scaler(NamedTuple):
    """A kind that scales others: the fields of its spec that hold the bounds, and what they are where absent."""

    group: str
    kind: str
    least: str
    most: str
    default_least: int
    default_most: int


SCALERS = (
    Scaler("autoscaling", "HorizontalPodAutoscaler", "minReplicas", "maxReplicas", 1, 1),
    Scaler("keda.sh", "ScaledObject", "minReplicaCount", "maxReplicaCount", 0, 100),
)


async def without_autoscaled(
    cluster: Cluster, key: ObjectKey, live: Object, diffs: list[FieldDiff]
) -> tuple[list[FieldDiff], tuple[str, ...]]:
    """The differences less replicas that an autoscaler may have set, and the pointers of those.

    A token that may not list autoscalers sees none, so the difference stands. Raises ApiError where the API server is
    away.
    """
    asked = [diff for diff in diffs if diff.path == REPLICAS and diff.kind == "changed"]
    if not asked or owners(live, REPLICAS) or not await may_be_scaled(cluster, key, asked[0].live):
        return diffs, ()
    return [diff for diff in diffs if diff not in asked], (REPLICAS,)


async def may_be_scaled(cluster: Cluster, key: ObjectKey, replicas: Any) -> bool:
    """True where some autoscaler of the object may choose this number."""
    for scaler in SCALERS:
        async for spec in _specs(cluster, scaler, key.namespace):
            if _targets(spec.get("scaleTargetRef"), key) and _in_bounds(scaler, spec, replicas):
                return True
    return False


async def _specs(cluster: Cluster, scaler: Scaler, namespace: str) -> AsyncIterator[Object]:
    resource = cluster.catalogue.find(scaler.group, scaler.kind)
    if resource is None:
        return
    try:
        async for page in pages(cluster.session, resource, namespace):
            for item in page:
                if isinstance(item.get("spec"), dict):
                    yield item["spec"]
    except (Forbidden, NotFound, Gone):
        return


def _targets(target: Any, key: ObjectKey) -> bool:
    """The version does not count: a Deployment is one in every version."""
    if not isinstance(target, dict):
        return False
    version, kind = DEFAULT_TARGET
    group = split_api_version(str(target.get("apiVersion") or version))[0]
    return (group, target.get("kind") or kind, target.get("name")) == (key.group, key.kind, key.name)


def _in_bounds(scaler: Scaler, spec: Object, replicas: Any) -> bool:
    """An autoscaler that may not go to 0 is switched off by it, so a 0 is somebody else's then."""
    least, most = spec.get(scaler.least, scaler.default_least), spec.get(scaler.most, scaler.default_most)
    return all(type(number) is int for number in (least, most, replicas)) and least <= replicas <= most
