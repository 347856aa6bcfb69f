"""How policies name an object of a cluster: `Kind/namespace/name`, `Kind/name`, `Kind.group/namespace/name`."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from schemas.base import StrictModel
from schemas.target import Target

GROUPS = {
    "Deployment": "apps", "StatefulSet": "apps", "DaemonSet": "apps", "ReplicaSet": "apps", "Job": "batch",
    "CronJob": "batch", "NetworkPolicy": "networking.k8s.io", "Ingress": "networking.k8s.io",
    "HorizontalPodAutoscaler": "autoscaling", "PodDisruptionBudget": "policy", "Application": "argoproj.io",
    "Rollout": "argoproj.io", "Kustomization": "kustomize.toolkit.fluxcd.io", "HelmRelease": "helm.toolkit.fluxcd.io",
    "Schedule": "velero.io", "Kafka": "kafka.strimzi.io", "KafkaConnector": "kafka.strimzi.io",
    "KafkaConnect": "kafka.strimzi.io", "Certificate": "cert-manager.io",
}  # fmt: skip
"""The group that a kind has where none is written; what is not here is of the core group."""
CLUSTER_WIDE = frozenset({"Node", "Namespace", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "StorageClass"})
PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")


class Reference(StrictModel):
    """An object of the cluster that the policy works in; `namespace` "" for cluster-scoped ones."""

    group: str
    kind: str
    namespace: str
    name: str

    def in_cluster(self, cluster: str, uid: str | None = None) -> Target:
        """As a target."""
        return Target(
            cluster=cluster, group=self.group, kind=self.kind, namespace=self.namespace, name=self.name, uid=uid
        )

    def __str__(self) -> str:
        return _written(self)


def reference_to(target: Target) -> Reference:
    """The reference that means a target, within its cluster."""
    return Reference(group=target.group, kind=target.kind, namespace=target.namespace, name=target.name)


def text_of(target: Target) -> str:
    """The same as text."""
    return _written(target)


def _written(named: Reference | Target) -> str:
    kind = named.kind if GROUPS.get(named.kind, "") == named.group else f"{named.kind}.{named.group or 'core'}"
    return "/".join([part for part in (kind, named.namespace, named.name) if part])


def parse_reference(value: Any) -> Any:
    """Text → Reference. Raises ValueError with an example for text that names no object."""
    if not isinstance(value, str):
        return value
    parts = value.split("/")
    if len(parts) not in (2, 3) or not all(PART.fullmatch(part) for part in parts):
        raise ValueError(f"names no object, write it like Deployment/payments/api or Node/worker-1: {value[:80]!r}")
    kind, _, group = parts[0].partition(".")
    known = GROUPS.get(kind, "") if not group else ("" if group == "core" else group)
    namespace = parts[1] if len(parts) == 3 else ""
    if kind in CLUSTER_WIDE and not group and namespace:
        raise ValueError(f"a {kind} has no namespace, write {kind}/{parts[-1]}")
    return Reference(group=known, kind=kind, namespace=namespace, name=parts[-1])


Ref = Annotated[
    Reference,
    BeforeValidator(parse_reference),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["Deployment/payments/api", "Node/worker-1"]}),
]
