"""What tests of the kube floor and the watcher on the real parts share: clients, baselines, and what is heard.

Every namespace and every cluster name is of one test only, so that tests may share the parts.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schemas.events import ChangeObserved, DriftCleared, DriftDetected, Event, parse_event
from schemas.topics import TopicName
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.api.session import APPLY
from services.kube.declaration.baselines import Declared, load_baselines
from services.kube.declaration.sources import declared_source
from services.kube.objects import Object, ObjectKey, group_of, key_of, version_of
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT, kubeconfig
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import make_consumer, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.runtime.tasks import background
from services.watcher.service import run_watcher
from tests.fakes import eventually

MERGE = "application/merge-patch+json"
DEPLOYER = "deployer"
MASK_KEY = "a key for tests only"
ENDS_WITHIN_S = 60.0


def random_name(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


@dataclass
class Client:
    """Somebody who writes to the cluster and is not Setpoint."""

    cluster: Cluster

    async def namespace(self) -> str:
        name = random_name("kube-test")
        await self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def path(self, obj: Object, *, collection: bool = False) -> str:
        key = key_of(obj)
        resource = self.cluster.resource(group_of(obj), key.kind, version_of(obj))
        return resource.path(key.namespace, "" if collection else key.name)

    async def apply(self, obj: Object, manager: str = DEPLOYER) -> Object:
        """Server-side apply."""
        await self._account_of(obj)
        params = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return await self._send("PATCH", self.path(obj), params, obj, APPLY)

    async def create(self, obj: Object, manager: str = "kubectl-create") -> Object:
        """A plain POST: the manager owns the defaults as well."""
        await self._account_of(obj)
        return await self._send("POST", self.path(obj, collection=True), {"fieldManager": manager}, obj)

    async def patch(self, obj: Object, body: Any, manager: str = "kubectl-edit", content: str = MERGE) -> Object:
        return await self._send("PATCH", self.path(obj), {"fieldManager": manager}, body, content)

    async def delete(self, obj: Object) -> None:
        await self._send("DELETE", self.path(obj), {}, None)

    async def get(self, obj: Object) -> Object | None:
        return await self.cluster.get(key_of(obj), version_of(obj))

    async def _account_of(self, obj: Object) -> None:
        """A pod is refused until its namespace has the account that a controller makes for each."""
        if obj.get("kind") == "Pod":
            metadata = {"name": "default", "namespace": obj["metadata"]["namespace"]}
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
            await eventually(lambda: self.get(account), what="the namespace has its account")

    async def _send(
        self, method: str, path: str, params: dict[str, str], body: Any, content: str = "application/json"
    ) -> Object:
        answer: Object = await self.cluster.session.request(
            method, path, params=params, body=body, content_type=content
        )
        return answer


@asynccontextmanager
async def client_of(plane: LocalControlPlane) -> AsyncIterator[Client]:
    """The administrator, by other field managers' names."""
    cluster = await open_cluster(plane.kubeconfig, CONTEXT)
    try:
        yield Client(cluster)
    finally:
        await cluster.close()


async def until_reads(client: Client, namespace: str, account: str, where: str = "") -> None:
    """Wait until the server knows that a ServiceAccount may list ConfigMaps, everywhere or in one namespace.

    It hears of new roles and bindings from a watch, some moments after they were made.
    """
    wanted = {"verb": "list", "group": "", "resource": "configmaps", "namespace": where}
    spec = {"user": f"system:serviceaccount:{namespace}:{account}", "resourceAttributes": wanted}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

    async def allowed() -> bool:
        return bool((await client.cluster.session.request("POST", path, body=body))["status"].get("allowed"))

    await eventually(allowed, what=f"{account} may read")


async def reader_kubeconfig(client: Client, plane: LocalControlPlane, namespace: str, file: Path) -> Path:
    """A kubeconfig for a real ServiceAccount that may get, list and watch, and nothing else."""
    name = random_name("reader")
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    await client.create(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    )
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    await client.create({**rbac, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})
    await client.create(
        {
            **rbac,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
    )
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token = (await client.cluster.session.request("POST", path, body=request))["status"]["token"]
    file.write_text(kubeconfig(plane.url, plane.ca_file.read_bytes(), token, name), encoding="utf-8")
    await until_reads(client, namespace, name)
    return file


def put_file(path: Path, text: str) -> None:
    """At once: whoever reads meanwhile has the old text or the new one, never half of it."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


@dataclass
class Files:
    """A baseline and its manifests in a folder."""

    folder: Path
    manager: str | None = DEPLOYER
    ignore: list[dict[str, str]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)
    """What else the baseline's `spec` says."""

    def write(self, *objects: Object) -> "Files":
        """Declare exactly these."""
        manifests = self.folder / "manifests"
        manifests.mkdir(parents=True, exist_ok=True)
        put_file(manifests / "all.yaml", yaml.safe_dump_all(objects))
        spec: dict[str, Any] = {"source": {"folder": "manifests"}, "ignore": self.ignore, **self.more}
        if self.manager:
            spec["manager"] = self.manager
        header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": "base"}}
        put_file(self.baseline, yaml.safe_dump({**header, "spec": spec}))
        return self

    @property
    def baseline(self) -> Path:
        return self.folder / "baseline.yaml"

    def declared(self) -> dict[ObjectKey, Declared]:
        return {entry.key: entry for entry in load_baselines(self.baseline).objects}


class Heard:
    """What went over the watcher's topics."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def events(self, cluster: str) -> list[Event[Any]]:
        """All of one cluster, in their order within a topic."""
        found = [event for event in map(parse_event, self.values) if event]
        return [
            event for event in found if getattr(event.data, "target", None) and event.data.target.cluster == cluster
        ]

    def drifts(self, cluster: str, name: str = "") -> list[Event[Any]]:
        """Detected, updated and cleared; of one object's name if given."""
        events = self.events(cluster)
        found = [event for event in events if isinstance(event.data, DriftDetected | DriftCleared)]
        return [event for event in found if name in ("", event.data.target.name)]

    def words(self, cluster: str, name: str = "") -> list[str]:
        """The same in words."""
        return [_word(event.data) for event in self.drifts(cluster, name)]

    def changes(self, cluster: str, name: str = "") -> list[ChangeObserved]:
        found = [event.data for event in self.events(cluster) if isinstance(event.data, ChangeObserved)]
        return [change for change in found if name in ("", change.target.name)]


def _word(data: DriftDetected | DriftCleared) -> str:
    if isinstance(data, DriftCleared):
        return "cleared"
    return "updated" if data.update else "detected"


@asynccontextmanager
async def hearing(bootstrap: str) -> AsyncIterator[Heard]:
    """Everything on the watcher's topics, from their beginning on."""
    heard = Heard()
    topics = (TopicName.DRIFT, TopicName.CHANGES, TopicName.METRICS)
    async with started(make_consumer(bootstrap, *topics, client_id="test", fetch_max_wait_ms=50)) as consumer:

        async def read() -> None:
            async for record in consumer:
                heard.values.append(record.value)

        async with background(read()):
            yield heard


@dataclass
class Running:
    """A watcher in this process."""

    name: str
    cluster: Cluster
    health: Health
    metrics: Metrics
    stop: asyncio.Event
    task: "asyncio.Task[None]"

    async def ready(self, within: float = 90.0) -> None:
        await eventually(self._is_ready, within, "the watcher is ready")

    def _is_ready(self) -> bool:
        if self.task.done():
            self.task.result()
        return not self.health.problems()

    @property
    def leads(self) -> bool:
        """Only who leads has a loop."""
        return "follow" in self.health.beats

    async def end(self) -> None:
        """As a stop signal would."""
        self.stop.set()
        await asyncio.wait_for(self.task, ENDS_WITHIN_S)


@asynccontextmanager
async def watching(
    plane: LocalControlPlane, bootstrap: str, files: Files, name: str, kubeconfig_file: Path | None = None
) -> AsyncIterator[Running]:
    """Run a watcher for the length of a block; leaving it stops it in order."""
    settings = Settings(kafka=bootstrap, group_prefix="test", baselines=files.baseline, mask_key=MASK_KEY, cluster=name)
    cluster = await open_cluster(kubeconfig_file or plane.kubeconfig, CONTEXT, name)
    clock, stop = SystemClock(), asyncio.Event()
    health, metrics = Health("watcher", clock), Metrics("watcher")
    task = asyncio.create_task(
        run_watcher(
            settings, cluster=cluster, declared=declared_source(settings), clock=clock, health=health, metrics=metrics,
            log=get_log("watcher"), stop=stop,
        )
    )  # fmt: skip
    running = Running(name, cluster, health, metrics, stop, task)
    try:
        yield running
    finally:
        stop.set()
        await asyncio.wait({task}, timeout=ENDS_WITHIN_S)
        await cluster.close()
    assert task.done(), f"the watcher did not end within {ENDS_WITHIN_S:g} s; what runs: {asyncio.all_tasks()}"
    if not task.cancelled():
        task.result()


def config_map(namespace: str, name: str = "settings", **data: str) -> Object:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data,
    }  # fmt: skip


def deployment(namespace: str, name: str = "web", replicas: int = 2) -> Object:
    labels = {"app": name}
    container = {"name": "web", "image": "example.org/web:1", "env": [{"name": "MODE", "value": "plain"}],
                 "ports": [{"containerPort": 8080}]}  # fmt: skip
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    }  # fmt: skip
