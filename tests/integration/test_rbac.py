"""The roles that `setpoint rbac` prints, on a real API server: enough for what policies do, and not for more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.alerts import AlertFired, Severity
from schemas.events import Reason
from schemas.target import Target
from services.cli.rbac import bindings, roles
from services.kube.api.cluster import open_cluster
from services.kube.api.errors import Forbidden
from services.kube.api.operate import Operate
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT, kubeconfig
from services.reconciler.acting.resolving import resolve
from services.reconciler.policies.roles import grants_of
from services.runtime.clock import SystemClock
from tests.fakes import eventually
from tests.ground import Ground, ground_of
from tests.operating import done, reference, scene_of, target_of
from tests.rehearsing import policy
from tests.watching import Client, client_of, deployment, random_name

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


@asynccontextmanager
async def account(
    documents: list[dict[str, Any]], client: Client, plane: LocalControlPlane, namespace: str, folder: Path
) -> AsyncIterator[Operate]:
    """A ServiceAccount to which the roles are bound as they were printed."""
    name = random_name("rbac")
    who = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
    made = [who, *documents, *bindings(documents, namespace, name)]
    for one in made:
        await client.create(one)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    token = (await client.cluster.session.request("POST", path, body=request))["status"]["token"]
    file = folder / f"{name}.kubeconfig"
    file.write_text(kubeconfig(plane.url, plane.ca_file.read_bytes(), token, name), encoding="utf-8")
    cluster = await open_cluster(file, CONTEXT)
    try:
        yield Operate(cluster)
    finally:
        await cluster.close()
        for one in made:
            await client.delete(one)


def fired(target: Target) -> AlertFired:
    now = SystemClock().now()
    return AlertFired(
        alert_id="a", target=target, source="test", sender="x", name="CrashLoop", severity=Severity.ERROR,
        lasting=True, onset=now, fired_at=now,
    )  # fmt: skip


async def _reads(api: Operate, target: Target) -> bool:
    try:
        return await api.get(target) is not None
    except Forbidden:
        return False


async def test_a_policy_finds_and_restarts_with_its_own_roles_only(
    ground: Ground, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """From the pod to its workload, planned, applied and seen; in another namespace not even a look is allowed."""
    api = await ground.workload(deployment(ground.namespace, "web", 1))
    pod = target_of((await ground.pods())[0])
    restarting = policy(match={"namespace": [ground.namespace], "kind": ["Pod"]})
    documents = roles(grants_of([restarting], {}), random_name("policies"))
    async with account(documents, ground.client, control_plane, ground.namespace, tmp_path) as mine:
        await eventually(partial(_reads, mine, pod), what="the roles are known")
        place = await resolve(mine, fired(pod))
        assert place.workload == target_of(api)
        plan, _ = await done("restart", scene_of(mine, "restart", {"workload": reference(api)}, place=place))
        assert plan.changes
        elsewhere = await resolve(mine, fired(pod.model_copy(update={"namespace": "default", "uid": None})))
        assert elsewhere.reason is Reason.FORBIDDEN


async def test_a_named_object_is_all_that_may_be_written(
    ground: Ground, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """A step that names its object gets rights on that name, and no other of the kind."""
    maps = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": ground.namespace}}
        for name in ("mine", "other")
    ]
    mine, other = [await ground.client.create(one) for one in maps]
    step = {"label": {"object": reference(mine), "set": {"seen": "yes"}}}
    nightly = policy(do=[step], trigger={"schedule": "0 3 * * *"})
    documents = roles(grants_of([nightly], {}), random_name("policies"))
    async with account(documents, ground.client, control_plane, ground.namespace, tmp_path) as api:
        await eventually(partial(_reads, api, target_of(mine)), what="the roles are known")
        await done("label", scene_of(api, "label", {"object": reference(mine), "set": {"seen": "yes"}}))
        assert not await _reads(api, target_of(other))
