"""A watcher over baselines that only the cluster knows, on the real broker and control plane."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from schemas.events import DriftCleared, DriftDetected
from services.kube.declaration.origins import followed
from services.kube.objects import LAST_APPLIED, Object
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.prepare import Parts
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings
from tests.applications import application, define, put_status
from tests.fakes import eventually
from tests.helm import encoded, release, stored
from tests.watching import Client, Files, Heard, client_of, config_map, deployment, hearing, random_name, watching

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        await define(opened)
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def heard(broker: LocalBroker) -> AsyncIterator[Heard]:
    await ensure_topics(Settings(kafka=broker.bootstrap))
    async with hearing(broker.bootstrap) as listening:
        yield listening


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for half a minute here."""
    monkeypatch.setattr(followed, "OFTEN_S", 0.5)
    monkeypatch.setattr(followed, "SELDOM_S", 0.5)


@dataclass
class Chosen(Files):
    """A baseline document of any source, without manifests."""

    def choose(self, source: dict[str, Any]) -> "Chosen":
        header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": "base"}}
        self.baseline.write_bytes(orjson.dumps({**header, "spec": {"source": source}}))
        return self


async def store(client: Client, namespace: str, revision: int, *objects: Object, status: str = "deployed") -> Object:
    payload = encoded(release("web", revision, *objects))
    return await client.create(stored(namespace, "web", revision, payload, status=status), manager="helm")


async def mark(client: Client, revision: Object, status: str) -> None:
    await client.patch(revision, {"metadata": {"labels": {"status": status}}}, manager="helm")


async def test_a_helm_upgrade_is_no_drift_and_a_hand_edit_is(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, tmp_path: Path
) -> None:
    """From the first moment of the upgrade to the last; and afterwards the new revision is what counts."""
    namespace, name = await client.namespace(), random_name("east")
    await client.apply(config_map(namespace, a="1"), manager="helm")
    first = await store(client, namespace, 1, config_map(namespace, a="1"))
    chosen = Chosen(tmp_path).choose({"helm": {"namespaces": [namespace]}})
    async with watching(control_plane, broker.bootstrap, chosen, name) as watcher:
        await watcher.ready()
        second = await store(client, namespace, 2, config_map(namespace, a="2"), status="pending-upgrade")
        await client.apply(config_map(namespace, a="2"), manager="helm")
        await eventually(lambda: b"setpoint_loop_errors_total 0.0" not in watcher.metrics.text(), what="it is put off")
        await mark(client, first, "superseded")
        await mark(client, second, "deployed")
        await client.patch(config_map(namespace), {"data": {"a": "by hand"}})
        await eventually(lambda: heard.words(name), what="the hand edit is told")
        (event,) = heard.drifts(name)
        assert isinstance(event.data, DriftDetected)
        assert event.data.revision == "web.v2"
        assert [(field.desired, field.live, field.manager) for field in event.data.fields] == [
            ("2", "by hand", "kubectl-edit")
        ]


async def test_a_failing_application_is_a_drift_until_it_is_well(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, tmp_path: Path
) -> None:
    """Also where only its status changes, which is otherwise nothing that a watcher looks at."""
    namespace, name = await client.namespace(), random_name("east")
    app = application("Application", namespace, project="default")
    await client.create(app, manager="kubectl-create")
    chosen = Chosen(tmp_path).choose({"argocd": {"namespaces": [namespace]}})
    async with watching(control_plane, broker.bootstrap, chosen, name) as watcher:
        await watcher.ready()
        await put_status(client, app, {"health": {"status": "Degraded", "message": "pods crash"}})
        await eventually(lambda: heard.words(name) == ["detected"])
        await put_status(client, app, {"health": {"status": "Healthy"}})
        await eventually(lambda: heard.words(name) == ["detected", "cleared"])
    detected, gone = (event.data for event in heard.drifts(name))
    assert isinstance(detected, DriftDetected)
    assert (detected.reason, detected.message) == ("failing", "health is Degraded: pods crash")
    assert "own tool" in detected.observe
    assert isinstance(gone, DriftCleared)


async def test_a_new_kubectl_apply_is_no_drift(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, tmp_path: Path
) -> None:
    """Its note comes with the object; what differs from the newest note is drift, and a delete ends it."""
    namespace, name = await client.namespace(), random_name("east")

    def noted(value: str) -> Object:
        bare = config_map(namespace, a=value)
        note = {LAST_APPLIED: orjson.dumps(bare).decode()}
        return {**bare, "metadata": {**bare["metadata"], "annotations": note}}

    await client.create(noted("1"), manager="kubectl-client-side-apply")
    chosen = Chosen(tmp_path).choose({"lastApplied": {"namespaces": [namespace]}})
    async with watching(control_plane, broker.bootstrap, chosen, name) as watcher:
        await watcher.ready()
        for value in ("2", "3"):
            await client.patch(config_map(namespace), noted(value), manager="kubectl-client-side-apply")
        await client.patch(config_map(namespace), {"data": {"a": "by hand"}})
        await eventually(lambda: heard.words(name) == ["detected"])
        (event,) = heard.drifts(name)
        assert isinstance(event.data, DriftDetected)
        assert [(field.desired, field.live) for field in event.data.fields] == [("3", "by hand")]
        await client.delete(config_map(namespace))
        await eventually(lambda: heard.words(name) == ["detected", "cleared"])


def service(namespace: str) -> Object:
    """Something that the server fills in a lot of."""
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": namespace}, "spec": spec}


class Unchosen(Files):
    """No baseline at all."""

    @property
    def baseline(self) -> Path:
        return None  # type: ignore[return-value]


async def test_without_any_baseline_what_kubectl_applied_is_watched(
    client: Client,
    control_plane: LocalControlPlane,
    broker: LocalBroker,
    parts: Parts,
    heard: Heard,
    tmp_path: Path,
) -> None:
    """By the real kubectl: nothing is told of what it applied, a hand edit is, and it is only to be observed."""
    namespace, name = await client.namespace(), random_name("east")
    manifests = tmp_path / "manifests.json"
    items = [config_map(namespace, a="1"), deployment(namespace), service(namespace)]
    manifests.write_bytes(orjson.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    async def kubectl(*arguments: str) -> None:
        command = (str(parts.control_plane.kubectl), f"--kubeconfig={control_plane.kubeconfig}", *arguments)
        process = await asyncio.create_subprocess_exec(
            *command, f"--cache-dir={tmp_path}", stdout=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0

    await kubectl("apply", "-f", str(manifests))
    async with watching(control_plane, broker.bootstrap, Unchosen(tmp_path), name) as watcher:
        await watcher.ready()
        items[0]["data"]["a"] = "2"
        manifests.write_bytes(orjson.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        await kubectl("apply", "-f", str(manifests))
        await kubectl("scale", "deployment/web", f"--namespace={namespace}", "--replicas=5")

        def told() -> list[DriftDetected]:
            found = (event.data for event in heard.drifts(name))
            return [one for one in found if isinstance(one, DriftDetected) and one.target.namespace == namespace]

        await eventually(told)
        (drift,) = told()
        assert (drift.target.kind, drift.baseline) == ("Deployment", "last-applied")
        assert [(field.path, field.desired, field.live) for field in drift.fields] == [("/spec/replicas", 2, 5)]
        assert "no baseline was chosen" in drift.observe
