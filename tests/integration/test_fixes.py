"""Fixes on a real API server: ownership taken back, additions removed, what is left alone, what only fits together."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.events import Outcome, Reason
from services.kube.api.errors import Conflict
from services.kube.correction.revert import put_back
from services.kube.objects import Object
from services.kube.verdict.judge import judge
from services.local.controlplane import LocalControlPlane
from tests.fakes import eventually
from tests.fixing import DONE, Workshop, container, ended, entries_of, managers, with_container
from tests.watching import Client, client_of, config_map, deployment

pytestmark = pytest.mark.integration

APPS = "/spec/template/spec/containers/0"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def shop(client: Client, tmp_path: Path) -> Workshop:
    """Somewhere to break and fix things."""
    return Workshop(client, await client.namespace(), tmp_path)


# Ownership


async def test_what_a_person_shares_of_declared_fields_is_taken_back(shop: Workshop) -> None:
    """Who edits a field there and back keeps a share of it, which a correction ends: a later apply can remove it."""
    obj = config_map(shop.namespace, colour="blue", size="1")
    declared = await shop.deployed(obj)
    await shop.client.patch(obj, {"data": {"colour": "red", "size": "9"}})
    await shop.client.patch(obj, {"data": {"colour": "blue"}})
    assert ("kubectl-edit", "Update") in managers(await shop.live(declared), "/data/colour")
    assert ended(await shop.fix(declared)) == DONE
    live = await shop.live(declared)
    assert entries_of(live, "kubectl-edit") == []
    assert ("setpoint", "Apply") in managers(live, "/data/colour")
    less = {**obj, "data": {"size": "1"}}
    await shop.client.apply(less)
    await shop.cluster.apply(less)
    assert (await shop.live(declared))["data"] == {"size": "1"}


async def test_the_creator_of_a_workload_keeps_nothing_that_is_declared(shop: Workshop) -> None:
    """A plain create owns every field and default; after a correction a whole container can be left out again."""
    obj = deployment(shop.namespace)
    obj["spec"]["template"]["spec"]["containers"].append({"name": "helper", "image": "example.org/helper:1"})
    await shop.client.create(obj)
    declared = shop.declare(obj)
    await shop.client.patch(obj, {"spec": {"replicas": 5}})
    assert ended(await shop.fix(declared)) == DONE
    live = await shop.live(declared)
    assert managers(live, f"{APPS}/image") == {("setpoint", "Apply")}
    assert managers(live, "/spec/replicas") == {("setpoint", "Apply")}
    del obj["spec"]["template"]["spec"]["containers"][1]
    await shop.cluster.apply(obj)
    names = [one["name"] for one in (await shop.live(declared))["spec"]["template"]["spec"]["containers"]]
    assert names == ["web"]


async def test_what_is_left_to_a_person_stays_that_persons(shop: Workshop) -> None:
    """An ignored field keeps its value and its owner while its neighbour is corrected."""
    obj = deployment(shop.namespace)
    declared = await shop.deployed(obj, "/spec/replicas")
    await shop.client.patch(obj, {"spec": {"replicas": 7}})
    await shop.client.patch(obj, {"spec": {"template": {"metadata": {"labels": {"app": "web", "more": "x"}}}}})
    assert ended(await shop.fix(declared)) == DONE
    live = await shop.live(declared)
    assert live["spec"]["replicas"] == 7
    assert ("kubectl-edit", "Update") in managers(live, "/spec/replicas")


async def test_a_manager_that_the_baseline_trusts_keeps_its_share(shop: Workshop) -> None:
    """It may be a person's tool by name; the baseline says that it applies the manifests."""
    obj = config_map(shop.namespace, colour="blue")
    await shop.client.create(obj, "kubectl-create")
    declared = shop.declare(obj, manager="kubectl-create")
    await shop.client.patch(obj, {"data": {"colour": "red"}}, "kubectl-edit")
    await shop.client.patch(obj, {"data": {"colour": "blue", "x": "1"}}, "kubectl-create")
    await shop.client.patch(obj, {"data": {"colour": "red"}}, "k9s")
    assert ended(await shop.fix(declared)) == DONE
    assert entries_of(await shop.live(declared), "kubectl-create") != []


# Additions


async def test_additions_of_every_form_are_removed(shop: Workshop) -> None:
    """Keys, whole maps, list items and a container, with what the server filled in for them."""
    obj = deployment(shop.namespace)
    declared = await shop.deployed(obj)
    added = with_container(obj, env=[{"name": "MODE", "value": "plain"}, {"name": "DEBUG", "value": "1"}],
                           resources={"limits": {"cpu": "1"}})["spec"]["template"]["spec"]["containers"]  # fmt: skip
    pod = {"containers": [{"name": "spy", "image": "example.org/spy:1"}, *added], "nodeSelector": {"disk": "ssd"}}
    await shop.client.patch(
        obj, {"metadata": {"labels": {"by": "hand"}}, "spec": {"template": {"spec": pod}, "minReadySeconds": 9}}
    )
    assert ended(await shop.fix(declared)) == DONE
    live = await shop.live(declared)
    assert [one["name"] for one in live["spec"]["template"]["spec"]["containers"]] == ["web"]
    assert container(live)["env"] == [{"name": "MODE", "value": "plain"}]
    assert not container(live).get("resources")
    assert "nodeSelector" not in live["spec"]["template"]["spec"]
    assert "labels" not in live["metadata"]
    assert "minReadySeconds" not in live["spec"]


async def test_of_a_partly_ignored_addition_the_ignored_part_stays(shop: Workshop) -> None:
    """One of several annotations that somebody added at once is somebody else's."""
    obj = config_map(shop.namespace, a="1")
    declared = await shop.deployed(obj, "/metadata/annotations/tool.example.org~1note", "/data/free")
    notes = {"tool.example.org/note": "keep", "other": "go"}
    await shop.client.patch(obj, {"metadata": {"annotations": notes}, "data": {"free": "keep", "b": "go"}})
    assert ended(await shop.fix(declared)) == DONE
    live = await shop.live(declared)
    assert live["metadata"]["annotations"] == {"tool.example.org/note": "keep"}
    assert live["data"] == {"a": "1", "free": "keep"}


async def test_an_addition_that_changed_meanwhile_is_a_conflict(shop: Workshop) -> None:
    """It is looked at again, and then removed as it is by then."""
    obj = config_map(shop.namespace, a="1")
    declared = await shop.deployed(obj)
    live = await shop.client.patch(obj, {"data": {"b": "2"}})
    finding = await judge(shop.cluster, declared, live)
    await shop.client.patch(obj, {"data": {"b": "3"}})
    with pytest.raises(Conflict):
        await put_back(shop.cluster, declared, live, finding)
    await shop.client.delete(obj)
    with pytest.raises(Conflict):
        await put_back(shop.cluster, declared, live, finding)


# What is left to others


async def test_the_autoscalers_replicas_stay_while_the_image_is_corrected(shop: Workshop) -> None:
    """Also where Setpoint itself had created the workload with the declared number."""
    obj = deployment(shop.namespace)
    declared = shop.declare(obj)
    assert ended(await shop.fix(declared)) == DONE
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    await shop.client.create({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": shop.namespace},
        "spec": {"scaleTargetRef": target, "minReplicas": 4, "maxReplicas": 6},
    })  # fmt: skip
    await eventually(lambda: _replicas(shop, obj, 4), within=60)
    assert (await shop.fix(declared)).reason is Reason.NO_LONGER_TRUE
    await shop.client.patch(with_container(obj, image="example.org/evil:1"), with_container(obj, image="evil"))
    await eventually(lambda: _replicas(shop, obj, 4), within=60)
    assert ended(await shop.fix(declared)) == DONE
    live = await shop.live(declared)
    assert (container(live)["image"], live["spec"]["replicas"]) == ("example.org/web:1", 4)


async def _replicas(shop: Workshop, obj: Object, count: int) -> bool:
    live = await shop.client.get(obj)
    return live is not None and live["spec"]["replicas"] == count


async def test_a_masked_value_is_never_applied(shop: Workshop) -> None:
    """Somebody has declared what Setpoint printed; the Secret stays as it is."""
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": shop.namespace}}
    await shop.client.apply({**obj, "stringData": {"password": "swordfish"}})
    declared = shop.declare({**obj, "stringData": {"password": "x"}})
    printed = declared.packer.pack({**obj, "stringData": {"password": "hmac:0123456789ab"}})
    result = await shop.fix(replace(declared, packed=printed))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.INVALID)
    assert (await shop.live(declared))["data"] == {"password": "c3dvcmRmaXNo"}


# What only fits together


async def test_a_hand_set_request_above_the_declared_limit(shop: Workshop) -> None:
    """Case 42: neither the limit nor the request can be put back alone."""
    obj = with_container(deployment(shop.namespace), resources={"limits": {"cpu": "100m"}})
    declared = await shop.deployed(obj)
    grown = with_container(obj, resources={"limits": {"cpu": "2"}, "requests": {"cpu": "1"}})
    await shop.client.patch(obj, grown)
    assert ended(await shop.fix(declared)) == DONE
    assert container(await shop.live(declared))["resources"] == {"limits": {"cpu": "100m"}}
    assert entries_of(await shop.live(declared), "setpoint")[0]["operation"] == "Apply"
    assert len(entries_of(await shop.live(declared), "setpoint")) == 1


async def test_a_request_that_nobody_can_be_shown_to_have_set(shop: Workshop) -> None:
    """With the traces wiped it is no addition; what stands around the declared limit is then set as declared."""
    obj = with_container(deployment(shop.namespace), resources={"limits": {"cpu": "100m"}})
    declared = await shop.deployed(obj)
    grown = with_container(obj, resources={"limits": {"cpu": "2"}, "requests": {"cpu": "1"}})
    await shop.client.patch(obj, grown)
    await wipe(shop, obj)
    assert managers(await shop.live(declared), f"{APPS}/resources/requests/cpu") == set()
    assert ended(await shop.fix(declared)) == DONE
    assert container(await shop.live(declared))["resources"] == {"limits": {"cpu": "100m"}}


@pytest.mark.parametrize("wiped", [pytest.param(False, id="by a person"), pytest.param(True, id="by nobody known")])
async def test_a_renumbered_service_port_keeps_its_name(shop: Workshop, wiped: bool) -> None:
    """Two ports of one name are refused, so the one goes as the other comes (kubernetes/kubernetes#131147)."""
    obj = service(shop.namespace, {"name": "http", "port": 80}, {"name": "more", "port": 9000})
    declared = await shop.deployed(obj)
    ports = [{"name": "http", "port": 81}, {"name": "more", "port": 9000}]
    await shop.client.patch(obj, {"spec": {"ports": ports}})
    if wiped:
        await wipe(shop, obj)
    assert ended(await shop.fix(declared)) == DONE
    found = sorted((port["name"], port["port"]) for port in (await shop.live(declared))["spec"]["ports"])
    assert found == [("http", 80), ("more", 9000)]


async def wipe(shop: Workshop, obj: Object) -> None:
    """Take all traces of who owns what."""
    await shop.client.patch(obj, {"metadata": {"managedFields": [{}]}})


async def test_a_swapped_volume_source(shop: Workshop) -> None:
    """A volume has one source, so the one goes as the other comes."""
    obj = deployment(shop.namespace)
    obj["spec"]["template"]["spec"]["volumes"] = [{"name": "cache", "emptyDir": {}}]
    declared = await shop.deployed(obj)
    swapped = [{"op": "replace", "path": "/spec/template/spec/volumes/0",
                "value": {"name": "cache", "configMap": {"name": "x"}}}]  # fmt: skip
    await shop.client.patch(obj, swapped, content="application/json-patch+json")
    assert ended(await shop.fix(declared)) == DONE
    assert (await shop.live(declared))["spec"]["template"]["spec"]["volumes"] == [{"name": "cache", "emptyDir": {}}]


async def test_an_added_volume_that_a_declared_mount_was_moved_to(shop: Workshop) -> None:
    """The volume cannot go while the mount points to it, and the mount is put back by a later write as a rule."""
    obj = with_container(deployment(shop.namespace), volumeMounts=[{"name": "data", "mountPath": "/data"}])
    obj["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    declared = await shop.deployed(obj)
    moved = [
        {"op": "add", "path": "/spec/template/spec/volumes/-", "value": {"name": "mine", "emptyDir": {}}},
        {"op": "replace", "path": f"{APPS}/volumeMounts/0/name", "value": "mine"},
    ]
    await shop.client.patch(obj, moved, content="application/json-patch+json")
    assert ended(await shop.fix(declared)) == DONE
    live = await shop.live(declared)
    assert container(live)["volumeMounts"] == [{"name": "data", "mountPath": "/data"}]
    assert [volume["name"] for volume in live["spec"]["template"]["spec"]["volumes"]] == ["data"]
    assert [entry["operation"] for entry in entries_of(live, "setpoint")] == ["Apply"]


async def test_a_strategy_whose_parameters_are_in_the_way(shop: Workshop) -> None:
    """`Recreate` takes no rollingUpdate, which the other strategy's defaults left there."""
    obj = deployment(shop.namespace)
    obj["spec"]["strategy"] = {"type": "Recreate"}
    declared = await shop.deployed(obj)
    await shop.client.patch(obj, {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3}}}})
    assert ended(await shop.fix(declared)) == DONE
    assert (await shop.live(declared))["spec"]["strategy"] == {"type": "Recreate"}


def service(namespace: str, *ports: Object) -> Object:
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"app": "web"}, "ports": list(ports)},
    }  # fmt: skip
