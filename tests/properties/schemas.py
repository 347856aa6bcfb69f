"""Schemas of some kinds without a server, in the form in which a server publishes them; and a CRD."""

from functools import cache
from typing import Any

from services.kube.comparison.schema import SchemaNode, schema_for
from services.kube.objects import Object
from tests.strategies import GROUP

CORE, APPS, META = "io.k8s.api.core.v1.", "io.k8s.api.apps.v1.", "io.k8s.apimachinery.pkg.apis.meta.v1."
TEXT: Object = {"type": "string"}
WHOLE: Object = {"type": "integer"}
YES_NO: Object = {"type": "boolean"}
TEXTS: Object = {"type": "object", "additionalProperties": TEXT}
NUMBER = "(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))"
AMOUNT = f"^(\\+|-)?{NUMBER}(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?{NUMBER}))?$"


def ref(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


def struct(**fields: Any) -> Object:
    return {"type": "object", "properties": fields}


def map_list(items: Any, *keys: str) -> Object:
    return {"type": "array", "items": items, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def atomic(items: Any) -> Object:
    return {"type": "array", "items": items, "x-kubernetes-list-type": "atomic"}


def top(group: str, version: str, kind: str, **fields: Any) -> Object:
    marks = [{"group": group, "version": version, "kind": kind}]
    return {**struct(**fields), "x-kubernetes-group-version-kind": marks}


WIDGET_SPEC: Object = struct(
    rules=map_list({**struct(name=TEXT, size=WHOLE, limit={**TEXT, "pattern": AMOUNT}), "required": ["name"]}, "name"),
    tags={"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
    steps=atomic(struct(run=TEXT)),
    table=TEXTS,
    port={"x-kubernetes-int-or-string": True},
    limit={**TEXT, "pattern": AMOUNT},
    every=TEXT,
    ratio={"type": "number"},
    count=WHOLE,
    free={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
)
CONTAINER = struct(
    name=TEXT, image=TEXT, workingDir=TEXT, stdin=YES_NO, args=atomic(TEXT),
    env=map_list(struct(name=TEXT, value=TEXT), "name"),
    ports=map_list(struct(containerPort=WHOLE, protocol={**TEXT, "default": "TCP"}), "containerPort", "protocol"),
    resources=struct(
        requests={"type": "object", "additionalProperties": ref("io.k8s.apimachinery.pkg.api.resource.Quantity")}
    ),
)  # fmt: skip
POD = struct(
    containers=map_list(ref(CORE + "Container"), "name"),
    nodeSelector={**TEXTS, "x-kubernetes-map-type": "atomic"},
    terminationGracePeriodSeconds=WHOLE,
    priorityClassName=TEXT,
    hostAliases=map_list(struct(ip=TEXT, hostnames=atomic(TEXT)), "ip"),
)
SPEC = struct(
    replicas=WHOLE, paused=YES_NO, minReadySeconds=WHOLE, revisionHistoryLimit=WHOLE, progressDeadlineSeconds=WHOLE,
    selector={**struct(matchLabels=TEXTS), "x-kubernetes-map-type": "atomic"},
    template=struct(metadata=struct(labels=TEXTS, annotations=TEXTS), spec=ref(CORE + "PodSpec")),
)  # fmt: skip
PORT = struct(
    port=WHOLE, name=TEXT, targetPort=ref("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
    protocol={**TEXT, "default": "TCP"},
)  # fmt: skip
SERVICE = struct(
    selector={**TEXTS, "x-kubernetes-map-type": "atomic"}, ports=map_list(PORT, "port", "protocol"),
    sessionAffinity=TEXT, externalName=TEXT, publishNotReadyAddresses=YES_NO,
)  # fmt: skip
DOCUMENT: Object = {
    "components": {
        "schemas": {
            "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [TEXT, {"type": "number"}]},
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"format": "int-or-string"},
            CORE + "Container": CONTAINER,
            CORE + "PodSpec": POD,
            CORE + "ConfigMap": top("", "v1", "ConfigMap", data=TEXTS, binaryData=TEXTS),
            CORE + "Secret": top("", "v1", "Secret", data=TEXTS, stringData=TEXTS, type=TEXT),
            CORE + "Service": top("", "v1", "Service", spec=SERVICE),
            APPS + "Deployment": top("apps", "v1", "Deployment", spec=SPEC),
            "org.example.props.v1.Widget": top(GROUP, "v1", "Widget", spec=WIDGET_SPEC),
        }
    }
}


@cache
def schema_of(kind: str) -> SchemaNode:
    """The node of a kind above."""
    group, version = {"Deployment": ("apps", "v1"), "Widget": (GROUP, "v1")}.get(kind, ("", "v1"))
    return schema_for(DOCUMENT, group, version, kind)


def widget_definition() -> Object:
    """The CRD of `Widget`."""
    schema = {"openAPIV3Schema": {**struct(spec=WIDGET_SPEC)}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{GROUP}"},
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        },
    }  # fmt: skip
