"""A namespace of one test on the real API server, and what tests of operations put into it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from services.kube.api.operate import Operate
from services.kube.objects import Object
from tests.fakes import eventually
from tests.watching import Client, deployment, random_name

KEPT = ("name", "namespace", "labels", "annotations")
TTL = "node.alpha.kubernetes.io/ttl"
OWN = "example.org/of-one-test"


@dataclass
class Ground:
    """A namespace of one test, and the administrator in it."""

    client: Client
    namespace: str
    nodes: list[Object] = field(default_factory=list)

    @property
    def api(self) -> Operate:
        return Operate(self.client.cluster)

    async def live(self, obj: Object) -> Object:
        found = await self.client.get(obj)
        assert found is not None
        return found

    async def workload(self, obj: Object) -> Object:
        """Made, and with every replica available."""
        await self.client.create(obj)
        return await self.settled(obj)  # type: ignore[no-any-return]

    async def settled(self, obj: Object) -> Any:
        async def look() -> Object | None:
            live = await self.live(obj)
            status, wanted = live.get("status") or {}, live["spec"].get("replicas")
            seen = status.get("observedGeneration") == live["metadata"]["generation"]
            ready = status.get("availableReplicas", status.get("numberAvailable")) or 0
            updated = status.get("updatedReplicas", status.get("updatedNumberScheduled")) or 0
            wanted = status.get("desiredNumberScheduled") or 1 if wanted is None else wanted
            surplus = status.get("replicas", wanted) > wanted  # a controller with an old cache makes one too many
            return live if seen and ready >= wanted and updated >= wanted and not surplus else None

        return await eventually(look, 120.0, f"{obj['metadata']['name']} is available")

    async def replaced(self, obj: Object) -> Object:
        """The same object again, as somebody makes it anew: another uid, and no ReplicaSet's pod that it could take for
        one too many."""
        await self.client.delete(obj)

        async def gone() -> bool:
            return await self.client.get(obj) is None

        await eventually(gone, what=f"{obj['metadata']['name']} is gone")
        metadata = {name: obj["metadata"][name] for name in KEPT if name in obj["metadata"]}
        labels = metadata.get("labels") or {}
        metadata["labels"] = {name: value for name, value in labels.items() if name != "pod-template-hash"}
        bare = {name: value for name, value in obj.items() if name != "status"}
        return await self.client.create({**bare, "metadata": metadata})

    async def pods(self, app: str = "web") -> list[Object]:
        found = await self.api.list("", "Pod", self.namespace, labels=f"app={app}")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    async def node(self) -> Object:
        """A node of this test's own, on which nothing runs that was not put there."""
        name = random_name("node")
        labels = {"only": name, "kubernetes.io/hostname": name}
        made = await self.client.create({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
            "spec": {"taints": [{"key": OWN, "effect": "NoSchedule"}]},
        })  # fmt: skip
        self.nodes.append(made)

        async def ready() -> Object | None:
            node = await self.live(made)
            states = {one["type"]: one["status"] for one in (node.get("status") or {}).get("conditions") or ()}
            settled = TTL in (node["metadata"].get("annotations") or {}) and len(node["spec"].get("taints", ())) == 1
            return node if states.get("Ready") == "True" and settled else None

        found: Object = await eventually(ready, what=f"{name} is ready, and annotated as controllers do")
        return found

    def on(self, node: Object, obj: Object, **pod: Any) -> Object:
        """The workload, which runs on that node only."""
        there = {
            "nodeSelector": {"only": node["metadata"]["name"]},
            "tolerations": [{"key": OWN, "operator": "Exists"}],
        }
        obj["spec"]["template"]["spec"] |= {**there, **pod}
        return obj

    def budget(self, app: str = "web", **spec: Any) -> Object:
        return {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": app, "namespace": self.namespace},
            "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
        }  # fmt: skip

    async def forbid_evictions(self) -> None:
        """A PodDisruptionBudget that its controller has counted: no pod may go."""
        made = await self.client.create(self.budget(maxUnavailable=0))

        async def counted() -> bool:
            return bool((await self.live(made)).get("status", {}).get("observedGeneration"))

        await eventually(counted, what="the budget is counted")


@asynccontextmanager
async def ground_of(client: Client) -> AsyncIterator[Ground]:
    """Made for the length of a block; at the end it goes, and its nodes, which are no part of the namespace."""
    made = Ground(client, await client.namespace())
    try:
        yield made
    finally:
        for node in made.nodes:
            await client.delete(node)
        await client.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.namespace}})


def other_kind(kind: str, namespace: str, image: str = "example.org/web:1") -> Object:
    obj = deployment(namespace)
    spec = {name: value for name, value in obj["spec"].items() if name != "replicas" or kind != "DaemonSet"}
    spec |= {"serviceName": "web"} if kind == "StatefulSet" else {}
    obj |= {"kind": kind, "spec": spec}
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return obj


def image_of(workload: Object) -> str:
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])


async def released(ground: Ground, kind: str = "Deployment", *images: str) -> Object:
    """A workload with a history."""
    obj = other_kind(kind, ground.namespace)
    await ground.workload(obj)
    for image in images or ("example.org/web:2",):
        containers = [{"name": "web", "image": image}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        await ground.client.patch(obj, body, content="application/strategic-merge-patch+json")
        await ground.settled(obj)
    return await ground.live(obj)
