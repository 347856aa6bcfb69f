"""The local control plane is a real one: it schedules, checks rights, and comes back from a crash."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from services.local.apiclient import api_session
from services.local.controlplane import LocalControlPlane
from services.local.ports import free, reserved
from services.local.prepare import Parts
from services.local.processes import run_to_end
from services.runtime.errors import Permanent

pytestmark = pytest.mark.integration


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 90.0) -> None:
    """Ask until it is so."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it never became true"
        await asyncio.sleep(0.05)


async def get(session: aiohttp.ClientSession, path: str) -> tuple[int, dict[str, Any]]:
    async with session.get(path) as answer:
        return answer.status, await answer.json()


async def post(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with session.post(path, json=body) as answer:
        made: dict[str, Any] = await answer.json()
        assert answer.status == 201, made
        return made


async def make_namespace(session: aiohttp.ClientSession) -> str:
    name = f"test-{uuid.uuid4().hex[:8]}"
    await post(session, "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


def deployment(replicas: int) -> dict[str, Any]:
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "example.org/web:1"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


@pytest.fixture
async def admin(control_plane: LocalControlPlane) -> AsyncIterator[aiohttp.ClientSession]:
    async with api_session(control_plane.url, control_plane.ca_file, control_plane.admin_token) as session:
        yield session


@pytest.fixture
async def own_control_plane(parts: Parts, tmp_path: Path) -> AsyncIterator[LocalControlPlane]:
    """A control plane whose API server a test may stop and kill."""
    started = LocalControlPlane(tmp_path, parts.control_plane.binaries, parts.control_plane.stages)
    await started.start(nodes=1)
    yield started
    await started.stop()


async def test_deployment_becomes_available(admin: aiohttp.ClientSession) -> None:
    """Controllers make pods, the scheduler places them, kwok runs them."""
    namespace = await make_namespace(admin)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    await post(admin, path, deployment(3))

    async def available() -> bool:
        _, live = await get(admin, f"{path}/web")
        return bool(live.get("status", {}).get("availableReplicas") == 3)

    await eventually(available)


async def test_nodes_stay_ready(admin: aiohttp.ClientSession) -> None:
    """Each keeps its lease: without one it would be NotReady after 50 s, and its pods with it, for good."""

    async def leased() -> bool:
        _, leases = await get(admin, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
        _, nodes = await get(admin, "/api/v1/nodes")
        renewed = {one["metadata"]["name"] for one in leases["items"] if one["spec"].get("renewTime")}
        wanted = {one["metadata"]["name"] for one in nodes["items"] if one["metadata"]["name"].startswith("node-")}
        return bool(wanted) and wanted <= renewed

    await eventually(leased)


async def test_a_reader_may_only_read(control_plane: LocalControlPlane, admin: aiohttp.ClientSession) -> None:
    """RBAC is on, and service accounts' tokens are signed and checked with the key that we made."""
    namespace = await make_namespace(admin)
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    await post(admin, accounts, {"metadata": {"name": "reader"}})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
    await post(admin, bindings, {"metadata": {"name": "reader"}, "subjects": [subject], "roleRef": role})
    token = (await post(admin, f"{accounts}/reader/token", {"spec": {}}))["status"]["token"]
    async with api_session(control_plane.url, control_plane.ca_file, token) as reader:
        maps = f"/api/v1/namespaces/{namespace}/configmaps"

        async def may_read() -> bool:
            return (await get(reader, maps))[0] == 200

        await eventually(may_read)  # RBAC reads its bindings from a watch
        async with reader.post(maps, json={"metadata": {"name": "x"}}) as answer:
            assert answer.status == 403
    async with api_session(control_plane.url, control_plane.ca_file, "wrong") as nobody:
        assert (await get(nobody, maps))[0] == 401


async def test_kubectl_uses_the_kubeconfig(control_plane: LocalControlPlane, parts: Parts, tmp_path: Path) -> None:
    """The kubeconfig is whole in itself, and its context is named so that it cannot be mistaken."""
    log = tmp_path / "kubectl.log"
    options = [f"--kubeconfig={control_plane.kubeconfig}", "--context=setpoint-local"]
    names = [f"node-{number}" for number in (1, 2, 3)]
    await run_to_end("kubectl", [parts.control_plane.kubectl, *options, "get", "nodes", *names], log)
    assert log.read_text().count(" Ready ") == 3
    assert control_plane.kubeconfig.stat().st_mode & 0o077 == 0


async def test_control_planes_do_not_disturb_each_other(
    control_plane: LocalControlPlane, own_control_plane: LocalControlPlane, admin: aiohttp.ClientSession
) -> None:
    """Two at once on one machine are two clusters: other objects, other keys, and loopback only."""
    namespace = await make_namespace(admin)
    other = own_control_plane
    async with api_session(other.url, other.ca_file, other.admin_token) as session:
        assert (await get(session, f"/api/v1/namespaces/{namespace}"))[0] == 404
    async with api_session(other.url, other.ca_file, control_plane.admin_token) as session:
        assert (await get(session, "/api/v1/namespaces"))[0] == 401
    for pid in [*control_plane.pids.values(), *other.pids.values()]:
        connections = psutil.Process(pid).net_connections(kind="inet")
        listening = {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
        assert listening <= {"127.0.0.1"}


@pytest.mark.parametrize("end", ["stop_apiserver", "kill_apiserver"])
async def test_api_server_comes_back(own_control_plane: LocalControlPlane, end: str) -> None:
    """Same port, keys and objects; the controllers go on where they were."""
    plane = own_control_plane
    async with api_session(plane.url, plane.ca_file, plane.admin_token) as session:
        namespace = await make_namespace(session)
    await getattr(plane, end)()
    async with api_session(plane.url, plane.ca_file, plane.admin_token) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await get(session, "/readyz")
    await plane.start_apiserver()
    plane.check()
    async with api_session(plane.url, plane.ca_file, plane.admin_token) as session:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        await post(session, path, deployment(1))

        async def available() -> bool:
            _, live = await get(session, f"{path}/web")
            return bool(live.get("status", {}).get("availableReplicas") == 1)

        await eventually(available)


async def test_a_lost_port_is_replaced(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When somebody else takes a port before a part binds it, the start is tried again on other ports."""
    with reserved(1) as (taken,):
        offers = iter([(taken, *free(2)), free(3)])
        monkeypatch.setattr("services.local.controlplane.free", lambda count: next(offers))
        plane = LocalControlPlane(tmp_path, parts.control_plane.binaries, parts.control_plane.stages)
        await plane.start(nodes=1)
        assert not plane.url.endswith(f":{taken}")
        await plane.stop()


async def test_a_part_that_fails_is_named_with_its_log(parts: Parts, tmp_path: Path) -> None:
    """When one part ends early, the error says which, and nothing is left running."""
    binaries = {**parts.control_plane.binaries, "etcd": Path("/bin/false")}
    plane = LocalControlPlane(tmp_path, binaries, parts.control_plane.stages)
    with pytest.raises(Permanent, match=r"etcd ended with exit code 1; its log, .*etcd\.log"):
        await plane.start()
    assert plane.pids == {}
