"""Fields that somebody may add by hand to an object that a baseline declares: what, where, and how it is to be told.

Argo CD sees none of those that are "added" here, Flux only those of managers named `kubectl…`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.kube.objects import Object
from services.kube.pointer import parse_pointer, resolve, to_pointer
from tests.watching import config_map

Maker = Callable[[str, str], Object]
POD = "/spec/template/spec"
WEB = POD + "/containers/0"


@dataclass(frozen=True)
class Addition:
    """`pointer` ends in `-` to append to a list. `whole` is the atomic list or map that then differs as one field;
    `top` is where it is told, if that is not the place itself, and `below` where the applier owns the defaults as well.
    """

    id: str
    declared: Maker
    pointer: str
    value: Any
    whole: str = ""
    top: str = ""
    below: str = ""
    fix: str = "corrected"

    def expected(self, live: Object, *, defaults_owned: bool = False) -> set[tuple[str, str]]:
        """(path, kind) of what is to be found in the live object; list items by the index where they now stand."""
        if self.whole:
            return {(self.whole, "changed")}
        top = (self.below if defaults_owned else "") or self.top
        return {(top or self._place(live), "added")}

    def _place(self, live: Object) -> str:
        path = parse_pointer(self.pointer)
        if path[-1] != "-":
            return self.pointer
        items = resolve(live, path[:-1], [])
        hits = [index for index, item in enumerate(items) if _holds(item, self.value)]
        return to_pointer((*path[:-1], hits[-1] if hits else -1))


def _holds(item: Any, value: Any) -> bool:
    """True where a stored list item is the one that was written: it may have got defaults."""
    if isinstance(item, dict) and isinstance(value, dict):
        return all(name in item and _holds(item[name], child) for name, child in value.items())
    return bool(item == value)


def object_of(api_version: str, kind: str, **parts: Any) -> Maker:
    """A maker of one kind's manifest."""

    def make(namespace: str, name: str) -> Object:
        return {
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
            **parts,
        }

    return make


def workload(kind: str = "Deployment", api_version: str = "apps/v1", **pod: Any) -> Maker:
    """A workload with one container; `pod` goes into its pod's spec."""
    container = {
        "name": "web", "image": "example.org/web:1", "args": ["serve"], "env": [{"name": "MODE", "value": "plain"}],
        "ports": [{"containerPort": 8080}],
    }  # fmt: skip
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container], **pod}}
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    return object_of(api_version, kind, spec=spec | ({"replicas": 1} if kind == "Deployment" else {}))


def settings(namespace: str, name: str) -> Object:
    return config_map(namespace, name, **{f"key-{n}": "declared" for n in range(5)})


RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
PATH = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
HOST = {"host": "a.example.org", "http": {"paths": [PATH]}}
SERVICE = object_of("v1", "Service", spec={"selector": {"app": "web"}, "ports": [{"name": "web", "port": 80}]})
SECRET = object_of("v1", "Secret", data={"a": "MQ=="})
ROLE = object_of("rbac.authorization.k8s.io/v1", "Role", rules=[RULE])
BINDING = object_of(
    "rbac.authorization.k8s.io/v1", "RoleBinding",
    roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "web"},
    subjects=[{"kind": "ServiceAccount", "name": "web", "namespace": "default"}],
)  # fmt: skip
INGRESS = object_of("networking.k8s.io/v1", "Ingress", spec={"rules": [HOST]})
POLICY = object_of(
    "networking.k8s.io/v1", "NetworkPolicy",
    spec={"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
          "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]},
)  # fmt: skip
ACCOUNT = object_of("v1", "ServiceAccount", automountServiceAccountToken=False)
CRON = object_of(
    "batch/v1", "CronJob",
    spec={"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "web", "image": "example.org/web:1"}]}}}}},
)  # fmt: skip
BUDGET = object_of(
    "policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
)
AUTOSCALER = object_of(
    "autoscaling/v2", "HorizontalPodAutoscaler",
    spec={"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}, "maxReplicas": 3,
          "metrics": [{"type": "Resource", "resource": {
              "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]},
)  # fmt: skip
DEPLOYMENT = workload()
MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization",
                                                                       "averageUtilization": 70}}}  # fmt: skip
TOLERATION = {"key": "gpu", "operator": "Exists"}
PROBE = {"tcpSocket": {"port": 8080}}

ADDITIONS = (
    Addition("environment variable", DEPLOYMENT, WEB + "/env/-", {"name": "DEBUG", "value": "1"}),
    Addition("container port", DEPLOYMENT, WEB + "/ports/-", {"containerPort": 9090}),
    Addition("sidecar", DEPLOYMENT, POD + "/containers/-", {"name": "side", "image": "example.org/side:1"}),
    Addition("init container", DEPLOYMENT, POD + "/initContainers/-", {"name": "init", "image": "example.org/side:1"},
             top=POD + "/initContainers"),
    Addition("volume", DEPLOYMENT, POD + "/volumes/-", {"name": "tmp", "emptyDir": {}}, top=POD + "/volumes"),
    Addition("second volume", workload(volumes=[{"name": "one", "emptyDir": {}}]), POD + "/volumes/-",
             {"name": "tmp", "emptyDir": {}}),
    Addition("probe", DEPLOYMENT, WEB + "/livenessProbe", PROBE),
    Addition("resource limit", DEPLOYMENT, WEB + "/resources/limits/cpu", "1", top=WEB + "/resources",
             below=WEB + "/resources/limits"),
    Addition("privileged container", DEPLOYMENT, WEB + "/securityContext/privileged", True,
             top=WEB + "/securityContext"),
    Addition("environment from a map", DEPLOYMENT, WEB + "/envFrom/-", {"configMapRef": {"name": "x"}},
             top=WEB + "/envFrom"),
    Addition("argument", DEPLOYMENT, WEB + "/args/-", "--debug", whole=WEB + "/args"),
    Addition("command", DEPLOYMENT, WEB + "/command/-", "sh", top=WEB + "/command"),
    Addition("node selector", DEPLOYMENT, POD + "/nodeSelector/disk", "ssd", top=POD + "/nodeSelector"),
    Addition("second node selector", workload(nodeSelector={"zone": "a"}), POD + "/nodeSelector/disk", "ssd",
             whole=POD + "/nodeSelector"),
    Addition("host's process ids", DEPLOYMENT, POD + "/hostPID", True),
    Addition("host's network", workload(), POD + "/hostNetwork", True),
    Addition("toleration", DEPLOYMENT, POD + "/tolerations/-", TOLERATION, top=POD + "/tolerations"),
    Addition("second toleration", workload(tolerations=[{"key": "a", "operator": "Exists"}]), POD + "/tolerations/-",
             TOLERATION, whole=POD + "/tolerations"),
    Addition("service account", DEPLOYMENT, POD + "/serviceAccountName", "admin"),
    Addition("pull secret", DEPLOYMENT, POD + "/imagePullSecrets/-", {"name": "x"}, top=POD + "/imagePullSecrets"),
    Addition("pod label", DEPLOYMENT, "/spec/template/metadata/labels/team", "pay"),
    Addition("pod annotation", DEPLOYMENT, "/spec/template/metadata/annotations/note", "x",
             top="/spec/template/metadata/annotations"),
    Addition("pause", DEPLOYMENT, "/spec/paused", True),
    Addition("update strategy", DEPLOYMENT, "/spec/strategy/rollingUpdate/maxSurge", 0, top="/spec/strategy",
             below="/spec/strategy/rollingUpdate/maxSurge"),
    Addition("history limit", DEPLOYMENT, "/spec/revisionHistoryLimit", 2),
    Addition("StatefulSet's sidecar", workload("StatefulSet"), POD + "/containers/-",
             {"name": "side", "image": "example.org/side:1"}),
    Addition("DaemonSet's variable", workload("DaemonSet"), WEB + "/env/-", {"name": "DEBUG", "value": "1"}),
    Addition("label", DEPLOYMENT, "/metadata/labels/team", "pay"),
    Addition("annotation", DEPLOYMENT, "/metadata/annotations/example.org~1note", "x"),
    Addition("finalizer", settings, "/metadata/finalizers/-", "example.org/hold"),
    Addition("ConfigMap key", settings, "/data/extra", "x"),
    Addition("dotted ConfigMap key", settings, "/data/app.conf", "x"),
    Addition("ConfigMap's binary key", settings, "/binaryData/extra", "eA==", top="/binaryData"),
    Addition("ConfigMap's seal", settings, "/immutable", True, fix="immutable"),
    Addition("Secret key", SECRET, "/data/extra", "eA=="),
    Addition("Service port", SERVICE, "/spec/ports/-", {"name": "admin", "port": 9090}),
    Addition("Service selector", SERVICE, "/spec/selector/extra", "x", whole="/spec/selector"),
    Addition("external address", SERVICE, "/spec/externalIPs/-", "192.0.2.1", top="/spec/externalIPs"),
    Addition("session affinity", SERVICE, "/spec/sessionAffinity", "ClientIP"),
    Addition("Ingress rule", INGRESS, "/spec/rules/-", {**HOST, "host": "b.example.org"}, whole="/spec/rules"),
    Addition("Ingress path", INGRESS, "/spec/rules/0/http/paths/-", {**PATH, "path": "/x"}, whole="/spec/rules"),
    Addition("Ingress class", INGRESS, "/spec/ingressClassName", "x"),
    Addition("RBAC rule", ROLE, "/rules/-", {**RULE, "resources": ["secrets"]}, whole="/rules"),
    Addition("RBAC verb", ROLE, "/rules/0/verbs/-", "delete", whole="/rules"),
    Addition("RBAC subject", BINDING, "/subjects/-",
             {"kind": "ServiceAccount", "name": "other", "namespace": "default"}, whole="/subjects"),
    Addition("NetworkPolicy entry", POLICY, "/spec/ingress/-", {"from": [{"podSelector": {}}]}, whole="/spec/ingress"),
    Addition("NetworkPolicy egress", POLICY, "/spec/egress/-", {}, top="/spec/egress"),
    Addition("account's pull secret", ACCOUNT, "/imagePullSecrets/-", {"name": "x"}, top="/imagePullSecrets"),
    Addition("suspension", CRON, "/spec/suspend", True),
    Addition("eviction policy", BUDGET, "/spec/unhealthyPodEvictionPolicy", "AlwaysAllow"),
    Addition("autoscaler's metric", AUTOSCALER, "/spec/metrics/-", MEMORY, whole="/spec/metrics"),
    Addition("autoscaler's minimum", AUTOSCALER, "/spec/minReplicas", 2),
)  # fmt: skip
