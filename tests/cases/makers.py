"""Manifests for the cases: small makers of common kinds, and one custom kind that has every sort of field."""

import copy
from typing import Any

from services.kube.objects import Object
from tests.cases.case import Maker
from tests.cases.scene import Scene

LABELS = {"app": "web"}
WEB = "/spec/template/spec/containers/0"
POD = "/spec/template/spec"


def of(api_version: str, kind: str, **parts: Any) -> Maker:
    """A manifest of one kind; `metadata` among the parts is merged into the usual one."""

    def make(namespace: str, name: str) -> Object:
        own = copy.deepcopy(parts)
        metadata = {"name": name, "namespace": namespace, **own.pop("metadata", {})}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **own}

    return make


def cluster_wide(api_version: str, kind: str, **parts: Any) -> Maker:
    """The same for a kind without namespace."""
    make = of(api_version, kind, **parts)

    def bare(namespace: str, name: str) -> Object:
        obj = make(namespace, name)
        del obj["metadata"]["namespace"]
        return obj

    return bare


def workload(
    kind: str = "Deployment", *, spec: dict[str, Any] | None = None, pod: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None, **container: Any,
) -> Maker:  # fmt: skip
    """A Deployment or its like with one container `web`; `container` are further fields of it."""
    one = {"name": "web", "image": "example.org/web:1", **container}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [one], **(pod or {})}}
    body: dict[str, Any] = {"selector": {"matchLabels": LABELS}, "template": template, **(spec or {})}
    if kind == "StatefulSet":
        body.setdefault("serviceName", "web")
    return of("apps/v1", kind, spec=body, **({"metadata": metadata} if metadata else {}))


def service(**spec: Any) -> Maker:
    """A Service with one port, unless `ports` says otherwise."""
    return of("v1", "Service", spec={"selector": LABELS, "ports": [{"port": 80}], **spec})


def config(**data: str) -> Maker:
    """A ConfigMap."""
    return of("v1", "ConfigMap", data=data)


def secret(**parts: Any) -> Maker:
    """A Secret; `data` and `stringData` as in the manifest."""
    return of("v1", "Secret", **parts)


def autoscaler(**spec: Any) -> Maker:
    """A HorizontalPodAutoscaler of a Deployment that is not there."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nobody"}
    return of("autoscaling/v2", "HorizontalPodAutoscaler", spec={"scaleTargetRef": target, "maxReplicas": 3, **spec})


def widget(**spec: Any) -> Maker:
    """A custom resource of the kind that `widgets` defines."""
    return of("cases.example.org/v1", "Widget", spec=spec)


QUANTITY = {
    "anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True,
    "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
               r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$",
}  # fmt: skip
PORT = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
REMOTE = {
    "type": "object", "required": ["key"],
    "properties": {
        "key": {"type": "string"},
        "conversionStrategy": {"type": "string", "default": "Default", "enum": ["Default", "Unicode"]},
        "decodingStrategy": {"type": "string", "default": "None", "enum": ["Auto", "None"]},
        "metadataPolicy": {"type": "string", "default": "None", "enum": ["None", "Fetch"]},
    },
}  # fmt: skip
ENTRY = {
    "type": "object", "required": ["name"],
    "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 1}, "remoteRef": REMOTE},
}  # fmt: skip
FIELDS: dict[str, Any] = {
    "amount": QUANTITY, "port": PORT, "period": {"type": "string"}, "ratio": {"type": "number"},
    "enabled": {"type": "boolean"}, "remote": REMOTE, "size": {"type": "integer"}, "note": {"type": "string"},
    "entries": {"type": "array", "items": ENTRY, "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"]},
    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "steps": {"type": "array", "items": {"type": "string"}},
    "free": {"type": "object", "additionalProperties": {"type": "string"}},
    "template": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}  # fmt: skip


def definition(group: str, kind: str, fields: dict[str, Any], version: str = "v1") -> Object:
    """A namespaced CustomResourceDefinition with one version."""
    spec = {"type": "object", "properties": fields}
    schema = {"type": "object", "properties": {"spec": spec}}
    one = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "versions": [one],
                 "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}},
    }  # fmt: skip


async def widgets(scene: Scene) -> None:
    """Have the kind Widget served."""
    await scene.share(definition("cases.example.org", "Widget", FIELDS))
