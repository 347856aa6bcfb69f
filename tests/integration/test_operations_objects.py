"""Labels, patches and manifests on a real API server: nothing of others is taken, no Secret is shown."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from schemas.events import Reason
from services.kube.api.errors import Conflict, Invalid
from services.local.controlplane import LocalControlPlane
from services.reconciler.actions.operation import MARK
from services.reconciler.actions.operations import OPERATIONS
from tests.ground import Ground, ground_of
from tests.operating import done, reference, scene_of
from tests.watching import Client, client_of, config_map

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def ground(client: Client) -> AsyncIterator[Ground]:
    async with ground_of(client) as made:
        yield made


async def test_a_label_that_somebody_has_changed_since_stays(ground: Ground) -> None:
    """Each key goes back by itself: the one that is still ours does, the other is named."""
    obj = config_map(ground.namespace)
    obj["metadata"]["labels"] = {"team": "pay", "tier": "1"}
    made = await ground.client.create(obj)
    scene = scene_of(ground.api, "label", {"object": reference(made), "set": {"team": "x", "fresh": "y"},
                                           "remove": ["tier"]})  # fmt: skip
    plan, _ = await done("label", scene)
    assert (await ground.live(made))["metadata"]["labels"] == {"team": "x", "fresh": "y"}
    await ground.client.patch(made, {"metadata": {"labels": {"fresh": "somebody"}}})
    assert "fresh" in str(await OPERATIONS["label"].undo(plan.before, scene))
    live = await ground.live(made)
    assert live["metadata"]["labels"] == {"team": "pay", "tier": "1", "fresh": "somebody"}
    assert MARK not in live["metadata"].get("annotations", {})


async def test_a_patch_of_a_secret_shows_no_value(ground: Ground) -> None:
    """Neither the plan nor what is kept for an undo holds what the Secret holds, or is to hold."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": ground.namespace},
              "data": {"k": "aHVudGVyMg=="}}  # fmt: skip
    made = await ground.client.create(secret)
    scene = scene_of(ground.api, "patch", {"object": reference(made), "merge": {"data": {"k": "c3dvcmRmaXNo"}}})
    plan, _ = await done("patch", scene)
    shown = repr((plan.changes, plan.before, plan.words))
    assert plan.changes
    assert "aHVudGVyMg" not in shown
    assert "c3dvcmRmaXNo" not in shown
    live = await ground.live(made)
    assert live["data"] == {"k": "c3dvcmRmaXNo"}
    assert "aHVudGVyMg" not in repr(live["metadata"]["annotations"])


@pytest.mark.parametrize("data", [pytest.param({"k": "not base64: hunter2"}, id="invalid"),
                                  pytest.param({"k": "aG1hYzowMTIzNDU2Nzg5YWI="}, id="masked")])  # fmt: skip
async def test_what_the_server_says_of_a_secret_is_not_repeated(data: dict[str, str], ground: Ground) -> None:
    """Its words quote values; and what was printed in a value's place is never stored for it."""
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": ground.namespace},
                "data": data}  # fmt: skip
    with pytest.raises(Invalid) as caught:
        await OPERATIONS["apply-manifest"].plan(scene_of(ground.api, "apply-manifest", {"manifest": manifest}))
    assert "hunter2" not in str(caught.value)
    assert await ground.client.get(manifest) is None


async def test_an_applied_manifest_takes_no_field_from_others(ground: Ground) -> None:
    """Who else holds a field keeps it, and the plan names whom."""
    held = config_map(ground.namespace, "maintenance", banner="theirs")
    await ground.client.apply(held)
    manifest = config_map(ground.namespace, "maintenance", banner="ours")
    plan = await OPERATIONS["apply-manifest"].plan(scene_of(ground.api, "apply-manifest", {"manifest": manifest}))
    assert plan.denial
    assert plan.denial.reason is Reason.CONFLICT
    assert "deployer" in plan.denial.message


async def test_what_stood_before_a_manifest_is_not_deleted(ground: Ground) -> None:
    """Its undo deletes only what it made; the same manifest again needs nothing."""
    held = config_map(ground.namespace, "maintenance", banner="theirs")
    await ground.client.apply(held)
    manifest = config_map(ground.namespace, "maintenance", more="ours")
    scene = scene_of(ground.api, "apply-manifest", {"manifest": manifest})
    plan, _ = await done("apply-manifest", scene)
    assert [change.path for change in plan.changes] == ["/data/more"]
    assert await OPERATIONS["apply-manifest"].undo(plan.before, scene)
    assert (await ground.live(held))["data"] == {"banner": "theirs", "more": "ours"}
    again = await OPERATIONS["apply-manifest"].plan(replace(scene, action_id="a2"))
    assert again.so


async def test_a_write_names_the_object_that_was_looked_at(ground: Ground) -> None:
    """A replacement between plan and apply is refused by the server itself, for a merge and for operations."""
    for form in ({"merge": {"data": {"a": "2"}}}, {"json": [{"op": "replace", "path": "/data/a", "value": "2"}]}):
        made = await ground.client.create(config_map(ground.namespace, "short-lived", a="1"))
        scene = scene_of(ground.api, "patch", {"object": reference(made), **form})
        plan = await OPERATIONS["patch"].plan(scene)
        await ground.client.delete(made)
        again = await ground.client.create(config_map(ground.namespace, "short-lived", a="1"))
        with pytest.raises(Conflict):
            await OPERATIONS["patch"].apply(plan, scene)
        assert (await ground.live(again))["data"] == {"a": "1"}
        await ground.client.delete(again)
