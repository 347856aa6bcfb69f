"""Users' names, from a real API server's audit through the gateway and the broker to a drift."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from schemas.events import AuditObserved, DriftAttributed, DriftDetected, FieldChange, parse_event
from schemas.topics import TopicName
from services.gateway.service import run_gateway
from services.kube.api.cluster import open_cluster
from services.kube.objects import Object
from services.local.broker import LocalBroker
from services.local.credentials import CONTEXT
from services.local.folders import RunFolder
from services.local.ports import free
from services.local.prepare import Parts
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import ensure_topics, make_consumer, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from tests.audited import USERS, AuditedControlPlane
from tests.fakes import eventually
from tests.watching import (
    MERGE,
    Client,
    Files,
    Heard,
    client_of,
    config_map,
    deployment,
    hearing,
    random_name,
    watching,
)

pytestmark = pytest.mark.integration

CLUSTER = random_name("audited")
TOKEN = "a bearer token for tests"
JSON_PATCH = "application/json-patch+json"


@dataclass
class Gateway:
    """One that can be stopped and started again at its address."""

    settings: Settings
    port: int
    metrics: Metrics
    health: Health
    stop: asyncio.Event
    task: "asyncio.Task[None] | None" = None

    def start(self) -> None:
        self.stop.clear()
        self.task = asyncio.create_task(
            run_gateway(
                self.settings, clock=SystemClock(), health=self.health, metrics=self.metrics, log=get_log("gateway"),
                stop=self.stop,
            )
        )  # fmt: skip

    async def end(self) -> None:
        self.stop.set()
        if self.task:
            await asyncio.wait_for(self.task, 60)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"setpoint_{name}", labels) or 0.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plane(parts: Parts, session_folder: RunFolder) -> AsyncIterator[AuditedControlPlane]:
    folder = session_folder.path / random_name("audited")
    folder.mkdir()
    found = AuditedControlPlane(folder, parts.control_plane.binaries, parts.control_plane.stages)
    try:
        await found.start(nodes=1)
        yield found
    finally:
        await found.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(plane: AuditedControlPlane, broker: LocalBroker, session_folder: RunFolder) -> AsyncIterator[Gateway]:
    """With TLS, since Kubernetes' clients send a bearer token over nothing else."""
    await ensure_topics(Settings(kafka=broker.bootstrap))
    secrets = session_folder.path / random_name("gateway-secrets")
    secrets.mkdir()
    (secrets / f"audit.{CLUSTER}").write_text(TOKEN, encoding="utf-8")
    certificate, key = plane.certificate
    (port,) = free(1)
    settings = Settings(
        kafka=broker.bootstrap, gateway_listen=f"127.0.0.1:{port}", gateway_secrets=secrets,
        gateway_tls_certificate=certificate, gateway_tls_key=key,
    )  # fmt: skip
    found = Gateway(settings, port, Metrics("gateway"), Health("gateway", SystemClock()), asyncio.Event())
    found.start()
    try:
        await eventually(lambda: not found.health.problems(), what="the gateway is ready")
        await plane.audit(f"https://127.0.0.1:{port}/v1/ingest/audit/{CLUSTER}", TOKEN)
        yield found
    finally:
        await found.end()


@asynccontextmanager
async def person(plane: AuditedControlPlane, user: str) -> AsyncIterator[Client]:
    """Somebody with a name of their own."""
    cluster = await open_cluster(plane.kubeconfig_for(user), CONTEXT)
    try:
        yield Client(cluster)
    finally:
        await cluster.close()


@dataclass
class Scene:
    """A watched cluster, an administrator who declares, and people."""

    heard: Heard
    audit: Heard
    admin: Client
    people: dict[str, Client]
    namespace: str
    plane: AuditedControlPlane
    broker: LocalBroker
    files: Files

    @asynccontextmanager
    async def watched(self, *objects: Object) -> AsyncIterator[None]:
        """Watch these until nothing more is to be said of them."""
        for obj in objects:
            await self.admin.apply(obj)
        async with watching(self.plane, self.broker.bootstrap, self.files.write(*objects), CLUSTER) as watcher:
            await watcher.ready()
            yield

    def drifts(self, name: str) -> list[DriftDetected]:
        """What was said of an object in this test's namespace."""
        found = [event.data for event in self.heard.drifts(CLUSTER, name) if isinstance(event.data, DriftDetected)]
        return [drift for drift in found if drift.target.namespace == self.namespace]

    def attributed(self, name: str) -> list[DriftAttributed]:
        """What was said of an object after its drift was over."""
        found = [event.data for event in self.heard.events(CLUSTER) if isinstance(event.data, DriftAttributed)]
        return [late for late in found if (late.target.namespace, late.target.name) == (self.namespace, name)]

    async def user(self, name: str, path: str) -> FieldChange:
        """The difference at a path, once its user is known."""

        def found() -> FieldChange | None:
            fields = self.drifts(name)[-1].fields if self.drifts(name) else ()
            return next((change for change in fields if change.path == path and change.user), None)

        change: FieldChange = await eventually(found, 90, f"{name} {path}: {self.drifts(name)}")
        return change

    def writes(self, name: str) -> list[AuditObserved]:
        """What audit said of an object."""
        events = [event for event in map(parse_event, self.audit.values) if event]
        found = [event.data for event in events if isinstance(event.data, AuditObserved)]
        return [entry for entry in found if (entry.namespace, entry.name) == (self.namespace, name)]


@pytest_asyncio.fixture(loop_scope="session")
async def scene(
    plane: AuditedControlPlane, gateway: Gateway, broker: LocalBroker, tmp_path: Path
) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        heard = await stack.enter_async_context(hearing(broker.bootstrap))
        audit = await stack.enter_async_context(hearing_audit(broker.bootstrap))
        admin = await stack.enter_async_context(client_of(plane))
        people = {user: await stack.enter_async_context(person(plane, user)) for user in USERS}
        yield Scene(heard, audit, admin, people, await admin.namespace(), plane, broker, Files(tmp_path))


@asynccontextmanager
async def hearing_audit(bootstrap: str) -> AsyncIterator[Heard]:
    heard = Heard()
    async with started(make_consumer(bootstrap, TopicName.AUDIT, client_id="test", fetch_max_wait_ms=50)) as consumer:

        async def read() -> None:
            async for record in consumer:
                heard.values.append(record.value)

        task = asyncio.create_task(read())
        try:
            yield heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_persons_edit_gets_its_user_once(scene: Scene) -> None:
    """First the tool, as soon as it is seen; then the user, when the audit's batch comes, in one update."""
    obj = config_map(scene.namespace, "edited", a="1")
    async with scene.watched(obj):
        await scene.people["alice"].patch(obj, {"data": {"a": "2"}}, "kubectl-edit")
        change = await scene.user("edited", "/data/a")
        assert (change.user, change.manager, change.desired, change.live) == ("alice", "kubectl-edit", "1", "2")
        first, *more = scene.drifts("edited")
        assert (first.fields[0].manager, first.fields[0].since) == ("kubectl-edit", change.since)
        assert [drift.update for drift in more] == ([1] if first.fields[0].user is None else [])
        await scene.people["alice"].patch(obj, {"metadata": {"labels": {"b": "c"}}}, "kubectl-label")
        await scene.user("edited", "/metadata/labels/b")
        assert {change.user for change in scene.drifts("edited")[-1].fields} == {"alice"}


@pytest.mark.parametrize(
    ("content", "body"),
    [
        pytest.param(MERGE, {"data": {"a": None}}, id="merge-patch"),
        pytest.param(JSON_PATCH, [{"op": "remove", "path": "/data/a"}], id="json-patch"),
    ],
)
async def test_a_removal_that_leaves_no_trace_gets_tool_time_and_user(scene: Scene, content: str, body: Any) -> None:
    """managedFields says nothing of who removed a field; audit does, if nobody else wrote meanwhile."""
    obj = config_map(scene.namespace, "cut", a="1", b="2")
    async with scene.watched(obj):
        await scene.people["bob"].patch(obj, body, "kubectl-edit", content)
        change = await scene.user("cut", "/data/a")
        assert (change.kind, change.user, change.manager) == ("removed", "bob", "kubectl-edit")
        assert change.since is not None


async def test_a_scale_to_zero_gets_its_user(scene: Scene) -> None:
    """The API server records no owner of `replicas: 0`."""
    obj = deployment(scene.namespace, "scaled")
    async with scene.watched(obj):
        path = scene.people["alice"].path(obj) + "/scale"
        await scene.people["alice"].cluster.session.request(
            "PATCH", path, params={"fieldManager": "kubectl-scale"}, body={"spec": {"replicas": 0}}, content_type=MERGE
        )
        change = await scene.user("scaled", "/spec/replicas")
        assert (change.user, change.manager, change.live) == ("alice", "kubectl-scale", 0)


async def test_a_deleted_object_gets_its_user(scene: Scene) -> None:
    """As one difference at the whole object; an object that is gone has no managedFields."""
    obj = config_map(scene.namespace, "deleted", a="1")
    async with scene.watched(obj):
        await scene.people["alice"].delete(obj)
        change = await scene.user("deleted", "")
        assert (change.kind, change.user, change.since is not None) == ("removed", "alice", True)
        assert scene.drifts("deleted")[-1].state == "missing"


async def test_a_deletion_that_waits_gets_its_user(scene: Scene) -> None:
    """A finalizer holds the object; who asked for its deletion is known while it waits, and once it is gone."""
    obj = config_map(scene.namespace, "held", a="1")
    await scene.admin.apply(obj)
    await scene.admin.patch(obj, {"metadata": {"finalizers": ["example.org/held"]}}, "holder")
    async with scene.watched(obj):
        await scene.people["bob"].delete(obj)
        assert (await scene.user("held", "")).user == "bob"
        await scene.people["alice"].patch(obj, {"metadata": {"finalizers": None}}, "holder")
        await eventually(lambda: scene.drifts("held")[-1].state == "missing")
        assert (await scene.user("held", "")).user == "bob"


async def test_a_collections_deletion_names_its_user(scene: Scene) -> None:
    """`kubectl delete --all`: audit has no name of an object, only of its kind and namespace."""
    objects = [config_map(scene.namespace, f"all-{number}", a="1") for number in range(2)]
    async with scene.watched(*objects):
        path = scene.people["alice"].path(objects[0], collection=True)
        await scene.people["alice"].cluster.session.request("DELETE", path)
        assert {(await scene.user(f"all-{number}", "")).user for number in range(2)} == {"alice"}


async def test_two_users_at_once_are_none(scene: Scene) -> None:
    """A removal has no trace, and either of two may have done it."""
    obj = config_map(scene.namespace, "shared", a="1", b="2")
    async with scene.watched(obj):
        await scene.people["alice"].patch(obj, {"data": {"a": None}}, "kubectl-edit")
        await scene.people["bob"].patch(obj, {"data": {"b": "3"}}, "kubectl-patch")
        assert (await scene.user("shared", "/data/b")).user == "bob"
        await eventually(lambda: len(scene.writes("shared")) >= 3)

        def nobody() -> bool:
            removed = next(change for change in scene.drifts("shared")[-1].fields if change.path == "/data/a")
            return (removed.user, removed.manager) == (None, None)

        await eventually(nobody)


async def test_impersonation_names_the_person_and_the_proxy(scene: Scene) -> None:
    """As a dashboard or an access proxy writes for people."""
    obj = config_map(scene.namespace, "proxied", a="1")
    proxy = scene.people["bob"]
    async with scene.watched(obj):
        proxy.cluster.session.calls.headers.update({"Impersonate-User": "carol", "Impersonate-Group": "system:masters"})
        await proxy.patch(obj, {"data": {"a": "2"}}, "dashboard")
        assert (await scene.user("proxied", "/data/a")).user == "carol (through bob)"


async def test_nothing_but_successful_writes_crosses_the_topic(scene: Scene) -> None:
    """No reads, no dry-runs, ours above all, no refused requests, and no values."""
    obj = config_map(scene.namespace, "plain", a="a-value-of-its-own")
    async with scene.watched(obj):
        await scene.people["alice"].patch(obj, {"data": {"a": "another-value"}}, "kubectl-edit")
        await scene.user("plain", "/data/a")
    await scene.admin.get(obj)
    await scene.admin.delete(obj)
    await eventually(lambda: [entry.verb for entry in scene.writes("plain")][-1:] == ["delete"])
    assert [(entry.verb, entry.user) for entry in scene.writes("plain")] == [
        ("patch", "setpoint-admin"), ("patch", "alice"), ("delete", "setpoint-admin"),
    ]  # fmt: skip
    assert not [value for value in scene.audit.values if b"-value" in value]


async def test_what_was_written_while_the_gateway_was_away_is_heard_later(scene: Scene, gateway: Gateway) -> None:
    """The API server keeps a batch that it got no answer to; the drift waits without its user meanwhile."""
    obj = config_map(scene.namespace, "later", a="1")
    async with scene.watched(obj):
        await eventually(lambda: scene.writes("later"))
        await gateway.end()
        await scene.people["alice"].patch(obj, {"data": {"a": "2"}}, "kubectl-edit")
        await eventually(lambda: scene.drifts("later"))
        assert scene.drifts("later")[-1].fields[0].user is None
        gateway.start()
        assert (await scene.user("later", "/data/a")).user == "alice"


async def test_a_drift_that_is_corrected_before_its_audit_comes_gets_its_user_afterwards(
    scene: Scene, gateway: Gateway
) -> None:
    """A correction takes a tenth of a second and audit some seconds; the record still says who it was."""
    obj, gone = (config_map(scene.namespace, name, a="1") for name in ("fixed", "remade"))
    async with scene.watched(obj, gone):
        await eventually(lambda: scene.writes("fixed") and scene.writes("remade"))
        await gateway.end()
        await scene.people["alice"].patch(obj, {"data": {"a": "2"}}, "kubectl-edit")
        await scene.people["bob"].delete(gone)
        await eventually(lambda: scene.drifts("fixed") and scene.drifts("remade"))
        await scene.admin.apply(obj)
        await scene.admin.apply(gone)
        await eventually(lambda: "cleared" in scene.heard.words(CLUSTER, "fixed"))
        await eventually(lambda: "cleared" in scene.heard.words(CLUSTER, "remade"))
        gateway.start()
        for name, path, user in (("fixed", "/data/a", "alice"), ("remade", "", "bob")):
            (late,) = await eventually(partial(scene.attributed, name), 90)
            assert [(change.path, change.user) for change in late.fields] == [(path, user)]
            assert late.drift_id == scene.drifts(name)[0].drift_id


async def test_strangers_are_turned_away(plane: AuditedControlPlane, gateway: Gateway) -> None:
    """Whoever could send audit could put any name to any drift."""
    before = gateway.count("ingests_total", result="unauthorized")
    url = f"https://127.0.0.1:{gateway.port}/v1/ingest/audit/{CLUSTER}"
    async with aiohttp.ClientSession() as session:
        for token in ("", "Bearer no", f"Bearer {TOKEN}x"):
            async with session.post(url, data=b"{}", headers={"authorization": token}, ssl=False) as answer:
                assert answer.status == 401
    assert gateway.count("ingests_total", result="unauthorized") == before + 3
    assert gateway.count("ingests_total", result="accepted") > 0
