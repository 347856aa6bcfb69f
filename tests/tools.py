"""Kinds of other projects for tests of operations: as much of their definitions as matters here, and their answers.

No controller of theirs runs: what it would write after an operation is written by the functions below.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Catalogue
from services.kube.api.operate import Operate
from services.kube.objects import Object, metadata_of
from services.reconciler.actions.operation import MARK
from tests.kinds import until_usable
from tests.watching import MERGE, Client

KINDS: tuple[tuple[str, str, str, str], ...] = (
    ("argoproj.io", "v1alpha1", "Application", "applications"),
    ("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
    ("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"),
    ("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases"),
    ("velero.io", "v1", "Backup", "backups"),
    ("velero.io", "v1", "Schedule", "schedules"),
    ("kafka.strimzi.io", "v1", "Kafka", "kafkas"),
    ("kafka.strimzi.io", "v1", "KafkaConnector", "kafkaconnectors"),
    ("core.strimzi.io", "v1", "StrimziPodSet", "strimzipodsets"),
    ("cilium.io", "v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies"),
    ("projectcalico.org", "v3", "NetworkPolicy", "networkpolicies"),
    ("crd.projectcalico.org", "v1", "NetworkPolicy", "networkpolicies"),
)
Answer = Callable[[Client, Object, str], Awaitable[None]]
"""Client, object and the action's id: what the project's own controller does about the operation."""


def definition(group: str, version: str, kind: str, plural: str) -> Object:
    """Any spec and any status; the status is a subresource where the project has it so."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    served: Object = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    served |= {"subresources": {"status": {}}} if group != "velero.io" else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [served]},
    }  # fmt: skip


async def define(client: Client) -> None:
    """Let the cluster serve all of them, and the client know them."""
    await client.cluster.rediscover()
    for group, version, kind, plural in KINDS:
        if not client.cluster.catalogue.find(group, kind):
            await client.create(definition(group, version, kind, plural))
    for group, version, kind, _ in KINDS:
        await until_usable(client, group, version, kind)


def without(api: Operate, group: str) -> Operate:
    """The same cluster, were this group not served."""
    catalogue = Catalogue([one for one in api.cluster.catalogue.by_version.values() if one.group != group])
    return Operate(Cluster(api.name, api.cluster.session, catalogue))


def made_of(kind: str, namespace: str, name: str = "web", group: str = "", **more: Any) -> Object:
    """An object of one of these kinds."""
    found, version = next((one[0], one[1]) for one in KINDS if one[2] == kind and group in ("", one[0]))
    metadata = {"name": name, "namespace": namespace, **more.pop("metadata", {})}
    return {"apiVersion": f"{found}/{version}", "kind": kind, "metadata": metadata, **more}


async def put_status(client: Client, obj: Object, status: Any) -> None:
    """What a controller writes."""
    where = client.path(obj) + ("/status" if "velero.io" not in str(obj["apiVersion"]) else "")
    await client._send("PATCH", where, {"fieldManager": "the-controller"}, {"status": status}, MERGE)


async def argo_syncs(client: Client, obj: Object, action_id: str) -> None:
    """Argo CD takes the request away and keeps it in the operation's state."""
    live = await client.get(obj)
    assert live is not None
    asked = live["operation"]
    assert {"name": MARK, "value": action_id} in asked["info"]
    await client.patch(obj, {"operation": None})
    await put_status(client, obj, {"operationState": {"phase": "Succeeded", "operation": asked}})


async def flux_reconciles(client: Client, obj: Object, action_id: str) -> None:
    """Flux repeats the token."""
    live = await client.get(obj)
    assert live is not None
    token = metadata_of(live)["annotations"]["reconcile.fluxcd.io/requestedAt"]
    ready = [{"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded"}]
    generation = metadata_of(live)["generation"]
    status = {"lastHandledReconcileAt": token, "conditions": ready, "observedGeneration": generation}
    await put_status(client, obj, status)


async def velero_completes(client: Client, obj: Object, action_id: str) -> None:
    """The Backup that the action made, in the namespace that `obj` is."""
    backup = made_of("Backup", metadata_of(obj)["name"], f"setpoint-{action_id[:20]}")
    await put_status(client, backup, {"phase": "Completed"})


async def strimzi_obeys(client: Client, obj: Object, action_id: str) -> None:
    """The operator takes the annotation away from whatever has it in the namespace."""
    names = ("strimzi.io/restart", "strimzi.io/restart-task", "strimzi.io/manual-rolling-update")
    asked = []
    for kind in ("KafkaConnector", "StrimziPodSet"):
        group = next(one[0] for one in KINDS if one[2] == kind)
        found = await Operate(client.cluster).list(group, kind, metadata_of(obj)["namespace"])
        asked += [one for one in found if {*names} & {*(metadata_of(one).get("annotations") or {})}]
    assert asked
    for one in asked:
        await client.patch(one, {"metadata": {"annotations": dict.fromkeys(names)}})


async def argo_restarts(client: Client, obj: Object, action_id: str) -> None:
    """The Rollout's controller says that it has."""
    live = await client.get(obj)
    assert live is not None
    await put_status(client, obj, {"restartedAt": live["spec"]["restartAt"]})
