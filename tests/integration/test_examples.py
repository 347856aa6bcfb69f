"""The example platform on a real API server, and what the demo's scenes do to it there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import FieldChange, Reason
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.declaration.baselines import Declared, load_baselines
from services.kube.objects import ObjectKey
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import Finding, judge
from services.local.controlplane import LocalControlPlane
from services.local.example import examples_folder, install
from services.local.judging import find_field
from services.local.prepare import Parts
from services.local.scenes import SCENES, Scene
from services.local.stage import MERGE, Outsider, Stage, outsider
from services.runtime.clock import SystemClock

pytestmark = pytest.mark.integration

CLOCK = SystemClock()
DECLARED = {entry.key: entry for entry in load_baselines(examples_folder() / "baselines.yaml").objects}
MASK_KEY = b"a key for tests only"


class OnlyActs:
    """A scene's hand where no Setpoint runs: writes are made, and nothing answers them."""

    def __init__(self, client: Outsider, scene: Scene) -> None:
        self.client, self.scene = client, scene

    async def kubectl(self, *arguments: str) -> None:
        await self.client.kubectl(*arguments)

    async def patch(self, body: Any, *, manager: str, subresource: str = "", form: str = MERGE) -> None:
        await self.client.patch(self.scene.thing, body, manager=manager, subresource=subresource, form=form)

    async def pause(self, reason: str) -> None:
        pass

    async def resume(self) -> None:
        pass

    async def decided(self, reason: Reason, within: float = 10.0) -> bool:
        return False

    async def put_right(self, within: float = 10.0) -> bool:
        return False

    async def look_on(self, seconds: float) -> None:
        pass


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(control_plane: LocalControlPlane) -> AsyncIterator[Cluster]:
    """The session's cluster with the example platform in it."""
    opened = await open_cluster(control_plane.kubeconfig, "setpoint-local")
    await install(opened, examples_folder() / "platform", CLOCK)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane, parts: Parts) -> AsyncIterator[Outsider]:
    """A client that is not Setpoint."""
    stage = Stage(
        cluster="setpoint-local",
        kubeconfig=control_plane.kubeconfig,
        api_url=control_plane.url,
        admin_token=control_plane.admin_token,
        ca_file=control_plane.ca_file,
        kafka="",
        clickhouse="",
        kubectl=parts.control_plane.binaries["kubectl"],
    )
    async with outsider(stage, CLOCK) as opened:
        yield opened


async def verdict(cluster: Cluster, declared: Declared) -> tuple[Finding, list[FieldChange]]:
    live = await cluster.get(declared.key)
    finding = await judge(cluster, declared, live)
    return finding, describe(live, declared.obj, finding.fields, MASK_KEY)


async def test_a_second_install_changes_nothing(cluster: Cluster) -> None:
    """Every object is accepted with strict validation, and applying it again leaves its resourceVersion alone."""
    before = {key: await cluster.get(key) for key in DECLARED if key.kind in ("ConfigMap", "Secret", "Service", "Role")}
    assert await install(cluster, examples_folder() / "platform", CLOCK) == len(DECLARED)
    for key, live in before.items():
        again = await cluster.get(key)
        assert live
        assert again
        assert again["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]


@pytest.mark.parametrize("key", DECLARED, ids=str)
async def test_what_was_just_installed_is_no_drift(cluster: Cluster, key: ObjectKey) -> None:
    """Defaults, controllers and the autoscaler make no drift out of a fresh platform."""
    finding, fields = await verdict(cluster, DECLARED[key])
    assert finding.state is None, fields


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
async def test_a_scene_makes_the_drift_that_it_states(cluster: Cluster, client: Outsider, scene: Scene) -> None:
    """State, field, kind and manager, as the real server shows them after the act."""
    thing, expected = scene.thing, scene.expected
    await scene.act(OnlyActs(client, scene))
    declared = DECLARED[ObjectKey(thing.group, thing.kind, thing.namespace, thing.name)]
    finding, fields = await verdict(cluster, declared)
    assert finding.state == expected.state
    if expected.kind:
        field = find_field(expected, tuple(fields))
        assert field is not None, fields
        assert (field.kind, field.manager) == (expected.kind, expected.manager)
