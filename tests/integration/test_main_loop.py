"""The whole loop in one process, as `setpoint up` runs it, on the session's broker and control plane."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import clickhouse_connect
import pytest
import yaml

from schemas.events import ControlKind, ControlRemoved, ControlSet, Scope
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.api.session import APPLY
from services.kube.objects import Object, ObjectKey
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.platform import Platform, platform
from services.runtime.clock import SystemClock
from services.runtime.controls import ControlWriter, control_writer
from services.runtime.settings import Settings
from tests.fakes import eventually

pytestmark = pytest.mark.integration
CONTEXT = "setpoint-local"
MERGE = "application/merge-patch+json"


@dataclass
class Loop:
    """A running platform over one namespace with one declared ConfigMap in it."""

    running: Platform
    controls: ControlWriter
    namespace: str

    @property
    def name(self) -> str:
        """Of the cluster, as events have it."""
        return self.running.cluster.name

    async def live(self) -> Object:
        """The ConfigMap as it is."""
        found = await self.running.cluster.get(ObjectKey("", "ConfigMap", self.namespace, "settings"))
        assert found is not None
        return found

    async def intrude(self, mode: str) -> None:
        """Change it under another name."""
        await write(self.running.cluster, self.namespace, {"data": {"mode": mode}}, MERGE, {"fieldManager": "intruder"})

    async def corrected(self) -> None:
        """Wait until it is as declared again."""

        async def right() -> bool:
            return bool((await self.live())["data"]["mode"] == "steady")

        await eventually(right, what="corrected")

    async def rows(self, sql: str) -> list[Any]:
        """What the read side answers, by ClickHouse's own HTTP client."""
        parts = urlsplit(self.running.clickhouse)
        client = await clickhouse_connect.get_async_client(
            host=parts.hostname, port=parts.port, database=parts.path.strip("/")
        )
        try:
            return list((await client.query(sql, parameters={"cluster": self.name})).result_rows)
        finally:
            await client.close()

    def until_rows(self, sql: str, wanted: list[Any]) -> Awaitable[Any]:
        """Wait for these rows."""

        async def same() -> bool:
            return await self.rows(sql) == wanted

        return eventually(same, what=f"{sql} gives {wanted}")


async def write(cluster: Cluster, namespace: str, body: Object, content: str, params: dict[str, str]) -> None:
    """Patch the ConfigMap as somebody else."""
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    await cluster.session.request("PATCH", path, params=params, body=body, content_type=content)


async def _install(name: str, control_plane: LocalControlPlane) -> None:
    """The declared state, before anybody watches it."""
    cluster = await open_cluster(control_plane.kubeconfig, CONTEXT)
    try:
        await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        await write(cluster, name, _manifest(name), APPLY, {"fieldManager": "deployer", "force": "true"})
    finally:
        await cluster.close()


@pytest.fixture
def looped(
    broker: LocalBroker, control_plane: LocalControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str | None], Any]:
    """Opens a loop under a policy of this mode, or without policies."""

    @asynccontextmanager
    async def open_loop(mode: str | None) -> AsyncIterator[Loop]:
        name, folder = f"loop-{uuid4().hex[:8]}", tmp_path_factory.mktemp("loop")
        async with AsyncExitStack() as stack:
            settings = _settings(name, mode, folder, broker, control_plane)
            await _install(name, control_plane)
            running = await stack.enter_async_context(platform(settings, _engine_folder(tmp_path_factory), None))
            controls = await stack.enter_async_context(control_writer(broker.bootstrap, SystemClock(), "test"))
            await running.until_ready(within=180)
            yield Loop(running, controls, name)

    return open_loop


def _engine_folder(factory: pytest.TempPathFactory) -> Path:
    """The one folder that this process' engine may have open."""
    folder = factory.getbasetemp() / "main-loop-engine"
    folder.mkdir(exist_ok=True)
    return folder


def _settings(
    name: str, mode: str | None, folder: Path, broker: LocalBroker, control_plane: LocalControlPlane
) -> Settings:
    (folder / "objects").mkdir()
    (folder / "objects" / "settings.yaml").write_text(yaml.safe_dump(_manifest(name)))
    source = {"source": {"folder": "./objects"}, "manager": "deployer"}
    (folder / "baselines.yml").write_text(yaml.safe_dump(_document("Baseline", source)))
    policy = {"trigger": {"drift": {"baseline": "loop"}}, "mode": mode}
    (folder / "policies.yml").write_text(yaml.safe_dump(_document("Policy", policy)))
    return Settings(
        kafka=broker.bootstrap, partitions=3, group_prefix=name, cluster=name, kubeconfig=control_plane.kubeconfig,
        context=CONTEXT, baselines=folder / "baselines.yml", policies=folder / "policies.yml" if mode else None,
        mask_key="a key for tests only", clickhouse=None, trouble=False,  # other tests' namespaces are in trouble
    )  # fmt: skip


def _document(kind: str, spec: Object) -> Object:
    return {"apiVersion": "setpoint.dev/v1alpha1", "kind": kind, "metadata": {"name": "loop"}, "spec": spec}


def _manifest(namespace: str) -> Object:
    metadata = {"name": "settings", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mode": "steady"}}


DECIDED = "SELECT verdict, reason FROM decisions WHERE cluster = {cluster:String} ORDER BY decided_at"
CORRECTED = (
    "SELECT outcome, attempts, cleared_at IS NOT NULL, correct_ms > 0 FROM time_to_correct "
    "WHERE cluster = {cluster:String}"
)


async def test_a_drift_is_corrected_and_recorded(looped: Callable[[str | None], Any]) -> None:
    """From another client's write to rows that ClickHouse's HTTP client reads, through every service."""
    async with looped("enforce") as loop:
        await loop.intrude("broken")
        await loop.corrected()
        await loop.until_rows(DECIDED, [("act", "policy")])
        await loop.until_rows(CORRECTED, [("succeeded", 1, 1, 1)])
        who = "SELECT managers, fields, cleared_by FROM drift_intervals WHERE cluster = {cluster:String}"
        assert await loop.rows(who) == [(["intruder"], ["/data/mode"], "setpoint")]


async def test_a_pause_leaves_it_and_a_resume_corrects_it(looped: Callable[[str | None], Any]) -> None:
    """The decision says who paused; nothing else is needed than the resume."""
    async with looped("enforce") as loop:
        scope = Scope(cluster=loop.name, namespace=loop.namespace)
        await loop.controls.put(ControlSet(name="hands-off", kind=ControlKind.PAUSE, scope=scope, by="ann"))
        paused = "SELECT count() FROM events WHERE event_type = 'control.set.v1' AND cluster = {cluster:String}"
        await loop.until_rows(paused, [(1,)])
        await loop.intrude("broken")
        await loop.until_rows(DECIDED, [("wait", "paused")])
        assert (await loop.live())["data"]["mode"] == "broken"
        await loop.controls.remove(ControlRemoved(name="hands-off", scope=scope, by="ann"))
        await loop.corrected()
        await loop.until_rows(DECIDED, [("wait", "paused"), ("act", "policy")])


async def test_without_policies_nothing_is_written(looped: Callable[[str | None], Any]) -> None:
    """The drift is recorded with its reason, and the object stays as it was found, to the resourceVersion."""
    async with looped(None) as loop:
        await loop.intrude("broken")
        version = (await loop.live())["metadata"]["resourceVersion"]
        await loop.until_rows(DECIDED, [("observe", "no-policy")])
        opened = "SELECT name, managers FROM open_drifts WHERE cluster = {cluster:String}"
        await loop.until_rows(opened, [("settings", ["intruder"])])
        assert (await loop.live())["metadata"]["resourceVersion"] == version
        started = "SELECT count() FROM actions WHERE cluster = {cluster:String}"
        assert await loop.rows(started) == [(0,)]


async def test_a_policy_observes_unless_it_says_otherwise(looped: Callable[[str | None], Any]) -> None:
    """Mode `observe`: decided and recorded, not touched."""
    async with looped("observe") as loop:
        await loop.intrude("broken")
        await loop.until_rows(DECIDED, [("observe", "observe-mode")])
        assert (await loop.live())["data"]["mode"] == "broken"
