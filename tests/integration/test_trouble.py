"""Troubles of a real cluster as alerts with a life: no repeats, no end that is missed, over restarts of the watcher."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.alerts import AlertFired, AlertResolved
from services.kube.api.cluster import open_cluster
from services.kube.objects import Object
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings
from services.watcher.alerting import watch_trouble
from tests.alerting import Bench, HeardAlerts, hearing_alerts
from tests.fakes import eventually
from tests.integration.watcher_parts import client, name, namespace
from tests.tls import in_base64, made
from tests.troubled import stamp
from tests.watching import MERGE, Client, Files, config_map, deployment, reader_kubeconfig, watching

__all__ = ["client", "name", "namespace"]
pytestmark = pytest.mark.integration
CRASH = "KubePodCrashLooping"


@pytest_asyncio.fixture
async def heard(broker: LocalBroker, name: str, namespace: str) -> AsyncIterator[HeardAlerts]:
    await ensure_topics(Settings(kafka=broker.bootstrap))
    async with hearing_alerts(broker.bootstrap, name, namespace) as listening:
        yield listening


@pytest_asyncio.fixture
async def bench(control_plane: LocalControlPlane, broker: LocalBroker, name: str) -> AsyncIterator[Bench]:
    cluster = await open_cluster(control_plane.kubeconfig, CONTEXT, name)
    yield Bench(cluster, Settings(kafka=broker.bootstrap, cluster=name))
    await cluster.close()


async def workload(client: Client, namespace: str, name: str = "web") -> tuple[Object, Object]:
    """A Deployment and its one pod, which runs."""
    made = await client.apply(deployment(namespace, name, replicas=1))
    path = f"/api/v1/namespaces/{namespace}/pods"

    async def runs() -> Object | None:
        found = await client.cluster.session.request("GET", path, params={"labelSelector": f"app={name}"})
        pods: list[Object] = [pod for pod in found["items"] if pod["status"].get("phase") == "Running"]
        return {"apiVersion": "v1", "kind": "Pod", **pods[0]} if pods else None

    pod: Object = await eventually(runs, 120)
    return made, pod


async def say(client: Client, obj: Object, **status: Any) -> None:
    """As a kubelet or a controller would."""
    path = client.path(obj) + "/status"
    await client.cluster.session.request("PATCH", path, body={"status": status}, content_type=MERGE)


async def crash(client: Client, pod: Object, restarts: int = 4) -> None:
    ended = stamp(datetime.now(UTC) - timedelta(minutes=2))
    last = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ended, "startedAt": ended}}
    await _container(
        client, pod, {"waiting": {"reason": "CrashLoopBackOff"}}, ready=False, restarts=restarts, last=last
    )


async def recover(client: Client, pod: Object) -> None:
    running = {"running": {"startedAt": stamp(datetime.now(UTC))}}
    await _container(client, pod, running, ready=True, restarts=5, last={})


async def _container(
    client: Client, pod: Object, state: dict[str, Any], *, ready: bool, restarts: int, last: dict[str, Any]
) -> None:
    status = {"name": "web", "image": "example.org/web:1", "imageID": "", "state": state, "lastState": last,
              "ready": ready, "restartCount": restarts}  # fmt: skip
    await say(client, pod, containerStatuses=[status])


async def over(bench: Bench, heard: HeardAlerts, name: str) -> None:
    """The crash loop of that workload is resolved, once minutes have gone by."""

    def resolved() -> bool:
        bench.clock.move(0.1)
        return heard.words(CRASH, name) == ["fired", "resolved"]

    await eventually(resolved)


async def test_a_crash_loop_lives_from_the_first_crash_until_it_stays_up(
    client: Client, bench: Bench, heard: HeardAlerts, namespace: str
) -> None:
    """About the Deployment, once, also where the container runs for a moment in between; then resolved once."""
    made, pod = await workload(client, namespace)
    _, witness = await workload(client, namespace, "witness")
    async with bench.running(watch_trouble):
        await crash(client, pod)
        await eventually(lambda: heard.words(CRASH, "web") == ["fired"])
        await recover(client, pod)
        bench.clock.move(3)
        await crash(client, pod, restarts=6)
        await crash(client, witness)
        await eventually(lambda: heard.words(CRASH, "witness") == ["fired"], what="the watch is past both")
        bench.clock.move(20)
        await recover(client, pod)
        up_since = bench.clock.now()
        await over(bench, heard, "web")
    fired, resolved = heard.of(CRASH, "web")
    assert isinstance(fired, AlertFired)
    assert (fired.target.kind, fired.target.uid) == ("Deployment", made["metadata"]["uid"])
    assert (fired.values["restarts"], fired.labels["pod"]) == (4, pod["metadata"]["name"])
    assert (fired.alert_id, fired.onset) == (resolved.alert_id, resolved.onset)
    assert isinstance(resolved, AlertResolved)
    assert resolved.resolved_at - up_since >= timedelta(minutes=5)


async def test_a_restart_repeats_nothing_and_forgets_nothing(
    client: Client, bench: Bench, heard: HeardAlerts, namespace: str
) -> None:
    """What goes on is not told again, and what ended while nobody looked is over afterwards; what has become worse is
    told with what is measured now, as the same alert."""
    _, lasting = await workload(client, namespace, "lasting")
    _, worse = await workload(client, namespace, "worse")
    _, healed = await workload(client, namespace, "healed")
    async with bench.running(watch_trouble):
        await crash(client, lasting)
        await crash(client, healed)
        await crash(client, worse)
        await eventually(lambda: all(heard.words(CRASH, name) == ["fired"] for name in ("lasting", "healed", "worse")))
    await recover(client, healed)
    await crash(client, lasting)
    await crash(client, worse, restarts=9)
    _, fresh = await workload(client, namespace, "fresh")
    await crash(client, fresh)
    bench.clock.move(30)
    async with bench.running(watch_trouble):
        await eventually(lambda: heard.words(CRASH, "fresh") == ["fired"])
        await over(bench, heard, "healed")
        await eventually(lambda: len(heard.of(CRASH, "worse")) == 2)
    assert heard.words(CRASH, "lasting") == ["fired"]
    first, again = heard.of(CRASH, "worse")
    assert isinstance(first, AlertFired)
    assert isinstance(again, AlertFired)
    assert (first.alert_id, first.values["restarts"], again.values["restarts"]) == (again.alert_id, 4, 9)


async def test_a_pod_that_is_gone_ends_its_trouble(
    client: Client, bench: Bench, heard: HeardAlerts, namespace: str
) -> None:
    """Deleted with its Deployment, also while the watcher was away."""
    made, pod = await workload(client, namespace)
    async with bench.running(watch_trouble):
        await crash(client, pod)
        await eventually(lambda: heard.words(CRASH, "web") == ["fired"])
    await client.delete(made)
    await eventually(lambda: _gone(client, pod), 120)
    async with bench.running(watch_trouble):
        await over(bench, heard, "web")


async def _gone(client: Client, pod: Object) -> bool:
    return await client.get(pod) is None


async def test_rights_that_are_missing_are_said_and_the_rest_goes_on(
    client: Client, control_plane: LocalControlPlane, bench: Bench, heard: HeardAlerts, namespace: str, name: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    """A token that may list pods alone still sees what is wrong with pods."""
    file = await reader_kubeconfig(client, control_plane, namespace, tmp_path / "reader")
    role = json.loads(file.read_text())["users"][0]["name"]
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]
    of_role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": role}}
    await client.patch(of_role, {"rules": rules})
    reader = await open_cluster(file, CONTEXT, name)
    _, pod = await workload(client, namespace)
    await crash(client, pod)

    async def refused() -> bool:
        return not await reader.allowed("list", reader.resource("", "Secret"))

    try:
        await eventually(refused, what="the smaller role is known")
        async with bench.running(watch_trouble, reader) as run:
            [alert] = await eventually(lambda: [one for one in heard.of_namespace(namespace) if one.name == CRASH])
            await eventually(lambda: run.value("unseen_kinds", kind="Secret") == 1)
            await eventually(lambda: run.value("unseen_kinds", kind="Node") == 1)
            assert run.value("unseen_kinds", kind="Pod") == 0
    finally:
        await reader.close()
    assert alert.target.kind == "ReplicaSet"  # it may not be asked who controls it


async def test_a_watcher_tells_troubles_beside_drift(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: HeardAlerts, namespace: str,
    name: str, tmp_path: Path,
) -> None:  # fmt: skip
    """The whole service, with nothing set: a Job that fails for real, until it is deleted."""
    job = await client.create({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "nightly", "namespace": namespace},
        "spec": {"backoffLimit": 0, "activeDeadlineSeconds": 1, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "work", "image": "example.org/work:1"}],
        }}},
    })  # fmt: skip
    async with watching(control_plane, broker.bootstrap, Files(tmp_path).write(config_map(namespace)), name) as watcher:
        await watcher.ready()
        await eventually(lambda: heard.words("KubeJobFailed", "nightly") == ["fired"])
        await client.delete(job)
        await eventually(lambda: heard.words("KubeJobFailed", "nightly") == ["fired", "resolved"])
    [alert, _] = heard.of("KubeJobFailed", "nightly")
    assert isinstance(alert, AlertFired)
    assert (alert.target.uid, alert.labels["reason"]) == (job["metadata"]["uid"], "DeadlineExceeded")


async def test_what_the_control_plane_itself_says(
    client: Client, bench: Bench, heard: HeardAlerts, namespace: str, tmp_path: Path
) -> None:
    """Scheduler, controllers and admission of a real cluster: their own words are understood as they are."""
    crowded = await client.namespace()
    nowhere = deployment(namespace, "nowhere", replicas=2)
    nowhere["spec"]["progressDeadlineSeconds"] = 2
    nowhere["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/os": "none"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": crowded}}
    await client.create({**quota, "spec": {"hard": {"pods": "0"}}})
    certificate, _ = made(tmp_path, days=1)
    held = await client.create(_held_pod(namespace))
    for obj in (
        nowhere,
        deployment(crowded, "crowded"),
        _claim(namespace, "none", ""),
        _claim(namespace, "typo", "fsat"),
    ):
        await client.create(obj)
    await client.create(_tls(namespace, in_base64(certificate)))
    await client.delete(held)
    expected = {
        ("KubePodUnschedulable", "Deployment", "nowhere"),
        ("KubeDeploymentRolloutStuck", "Deployment", "nowhere"),
        ("KubeQuotaExceeded", "Deployment", "crowded"),
        ("KubePersistentVolumeClaimPending", "PersistentVolumeClaim", "none"),
        ("KubePersistentVolumeClaimPending", "PersistentVolumeClaim", "typo"),
        ("KubeStuckTerminating", "Pod", "held"),
    }

    def told() -> set[tuple[str, str, str]]:
        bench.clock.move(0.005)
        alerts = [*heard.of_namespace(namespace), *heard.of_namespace(crowded)]
        return {(one.name, one.target.kind, one.target.name) for one in alerts if isinstance(one, AlertFired)}

    async with bench.running(watch_trouble):
        await eventually(lambda: expected <= told(), 180)
        assert told() == expected
        bench.clock.move(20 * 60)
        await eventually(lambda: ("KubeCertificateExpiresSoon", "Secret", "tls") in told())
    [unschedulable] = heard.of("KubePodUnschedulable", "nowhere")[:1]
    assert isinstance(unschedulable, AlertFired)
    assert unschedulable.values["affected"] == 2
    assert "nodes are available" in unschedulable.summary


def _held_pod(namespace: str) -> Object:
    metadata = {"name": "held", "namespace": namespace, "finalizers": ["example.org/hold"]}
    spec = {"containers": [{"name": "held", "image": "example.org/held:1"}], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _claim(namespace: str, name: str, storage_class: str) -> Object:
    storage = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": storage_class, "resources": storage}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def _tls(namespace: str, certificate: str) -> Object:
    metadata, data = {"name": "tls", "namespace": namespace}, {"tls.crt": certificate, "tls.key": in_base64(b"none")}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}
