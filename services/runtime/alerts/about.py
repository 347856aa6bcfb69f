"""Which object of a cluster an alert is about, by what its labels name: the most specific one, unchecked.

Called by whoever makes alerts. Whether the object exists, and which workload it belongs to, needs the cluster and is
the reconciler's. Names become parts of paths and subjects: one that could be more than a name is passed over.

Labels of Prometheus are not always the alert's own. A scrape adds the exporter's `pod`, `namespace` and `job`, and a
metric's own ones stand beside them as `exported_…`, or replace them where labels are honoured. So `exported_…` comes
first, `job` and `instance` are never read, and a pod of kube-state-metrics or node-exporter is what an alert is about
only where it names no other object.
"""

import re
from collections.abc import Iterator, Mapping

from schemas.alerts import ALERT_GROUP, ALERT_KIND
from schemas.reference import CLUSTER_WIDE, GROUPS, PART
from schemas.target import CORE, Target

NAMESPACE = ("namespace", "kubernetes_namespace", "k8s.ns.name", "k8s_ns_name", "k8s.namespace.name")
POD = ("pod", "pod_name", "kubernetes_pod_name", "k8s.pod.name", "k8s_pod_name")
UID = ("k8s.pod.uid", "pod_uid", "uid")
NAMESPACED = {
    "Deployment": ("deployment", "k8s.deployment.name"),
    "StatefulSet": ("statefulset", "k8s.statefulset.name"),
    "DaemonSet": ("daemonset", "k8s.daemonset.name"),
    "Job": ("job_name", "k8s.job.name"),
    "CronJob": ("cronjob", "k8s.cronjob.name"),
    "ReplicaSet": ("replicaset", "k8s.replicaset.name"),
    "PersistentVolumeClaim": ("persistentvolumeclaim",),
    "HorizontalPodAutoscaler": ("horizontalpodautoscaler", "hpa"),
    "PodDisruptionBudget": ("poddisruptionbudget",),
}
"""From the most specific on; a Job goes before the CronJob that made it."""
NODE = ("node", "kubernetes_node", "k8s.node.name", "k8s_node_name")
EXPORTERS = ("kube-state-metrics", "node-exporter")
RESOURCES = {
    "pods": "Pod", "deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet",
    "jobs": "Job", "cronjobs": "CronJob", "replicasets": "ReplicaSet", "services": "Service",
    "configmaps": "ConfigMap", "secrets": "Secret", "serviceaccounts": "ServiceAccount", "nodes": "Node",
    "namespaces": "Namespace", "ingresses": "Ingress", "networkpolicies": "NetworkPolicy",
    "persistentvolumes": "PersistentVolume", "persistentvolumeclaims": "PersistentVolumeClaim",
}  # fmt: skip
"""What an API server's audit calls it, and so Falco's `ka.target.resource`."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CLUSTER = re.compile(r"[^\s/\x00-\x1f\x7f]{1,253}")
"""What can be a cluster's name in a subject."""


def target_of(labels: Mapping[str, str], cluster: str, alert_id: str) -> Target:
    """The object, or the alert itself where no object can be told. `cluster` is a name that a subject can hold."""
    found = next(_named(labels, cluster), None)
    return found or Target(cluster=cluster, group=ALERT_GROUP, kind=ALERT_KIND, namespace="", name=alert_id)


def object_of(cluster: str, group: str, kind: str, namespace: str, name: str, uid: object = None) -> Target | None:
    """An object that the sender names outright; None where a part of it could not be one. `uid` counts where it is one.

    `namespace` is "" for what has none.
    """
    group = "" if group == CORE else group
    wanted = (kind, name, *(part for part in (group, namespace) if part))
    if not all(PART.fullmatch(part) for part in wanted):
        return None
    known = uid if isinstance(uid, str) and UUID.fullmatch(uid) else None
    return Target(cluster=cluster, group=group, kind=kind, namespace=namespace, name=name, uid=known)


def _named(labels: Mapping[str, str], cluster: str) -> Iterator[Target]:
    """From the most specific on."""
    if audited := labels.get("ka.target.resource"):
        yield from _audited(labels, cluster, audited)
        return
    exported = _name(labels, ("exported_namespace",))
    namespace = exported or _name(labels, NAMESPACE)
    pod = _name(labels, ("exported_pod",) if exported else POD)
    of_exporter = any(exporter in pod for exporter in EXPORTERS)
    uid = None if of_exporter else _uid(labels)
    about_pod = object_of(cluster, "", "Pod", namespace, pod, uid) if pod and namespace else None
    if about_pod and not of_exporter:
        yield about_pod
    for kind, names in NAMESPACED.items() if namespace else ():
        if name := _name(labels, names):
            yield Target(cluster=cluster, group=GROUPS.get(kind, ""), kind=kind, namespace=namespace, name=name)
    if node := _name(labels, NODE):
        yield Target(cluster=cluster, group="", kind="Node", namespace="", name=node)
    if about_pod:
        yield about_pod
    if namespace:
        yield Target(cluster=cluster, group="", kind="Namespace", namespace="", name=namespace)


def _audited(labels: Mapping[str, str], cluster: str, resource: str) -> Iterator[Target]:
    """What an entry of the API server's audit was about; its namespace where the object has no name yet."""
    kind, name = RESOURCES.get(resource, ""), _name(labels, ("ka.target.name",))
    namespace = _name(labels, ("ka.target.namespace",))
    if kind and name and (namespace or kind in CLUSTER_WIDE):
        within = "" if kind in CLUSTER_WIDE else namespace
        yield Target(cluster=cluster, group=GROUPS.get(kind, ""), kind=kind, namespace=within, name=name)
    if namespace:
        yield Target(cluster=cluster, group="", kind="Namespace", namespace="", name=namespace)


def _name(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The first of these labels that can be an object's name, or ""."""
    return next((found for name in names if (found := labels.get(name, "")) and PART.fullmatch(found)), "")


def _uid(labels: Mapping[str, str]) -> str | None:
    return next((labels[name] for name in UID if name in labels), None)
