"""Applications of Argo CD and Flux for tests: as much of their definitions as matters here, and no controllers."""

from typing import Any

from services.kube.objects import Object
from tests.kinds import until_usable
from tests.watching import MERGE, Client

APPLICATIONS = {
    "Application": ("argoproj.io", "v1alpha1", "applications"),
    "Kustomization": ("kustomize.toolkit.fluxcd.io", "v1", "kustomizations"),
    "HelmRelease": ("helm.toolkit.fluxcd.io", "v2", "helmreleases"),
}


def definition(kind: str) -> Object:
    """As much of the tool's definition as matters here: any spec, any status, status apart."""
    group, version, plural = APPLICATIONS[kind]
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": kind + "List"}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
              "subresources": {"status": {}}}  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }  # fmt: skip


def application(kind: str, namespace: str, name: str = "web", **spec: Any) -> Object:
    group, version, _ = APPLICATIONS[kind]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": metadata, "spec": spec}


async def put_status(client: Client, obj: Object, status: Any, manager: str = "the-controller") -> None:
    """What the tool's controller would write."""
    await client._send("PATCH", client.path(obj) + "/status", {"fieldManager": manager}, {"status": status}, MERGE)


async def define(client: Client) -> None:
    """Let the cluster serve all three kinds, and the client know them."""
    for kind in APPLICATIONS:
        if not client.cluster.catalogue.find(APPLICATIONS[kind][0], kind):
            await client.create(definition(kind))
    for kind, (group, version, _) in APPLICATIONS.items():
        await until_usable(client, group, version, kind)
