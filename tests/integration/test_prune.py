"""Objects that should not be there, on the real API server: seen by their label, and nowhere else than they may be."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import ClearedReason, DriftCleared
from services.kube.declaration.baselines import load_baselines
from services.kube.declaration.declared import bind_all
from services.kube.objects import Object
from services.kube.verdict.unwanted import LABEL, find_unwanted, prune_rules
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from tests.fakes import eventually
from tests.integration.watcher_parts import client, heard, name, namespace
from tests.watching import Client, Files, Heard, config_map, deployment, random_name, watching

__all__ = ["client", "heard", "name", "namespace"]
pytestmark = pytest.mark.integration


class Pruning(Files):
    """A baseline that asks for undeclared objects."""

    def write(self, *objects: Object, prune: Any = "report") -> "Pruning":
        self.more = {"prune": prune} if prune else {}
        super().write(*objects)
        return self


@pytest.fixture
def files(tmp_path: Path) -> Pruning:
    return Pruning(tmp_path)


def labelled(obj: Object, value: str = "base", label: str = LABEL, **metadata: Any) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "labels": {label: value}, **metadata}}


def last(heard: Heard, cluster: str, name: str) -> tuple[str, str | None]:
    """The newest event of an object: its state and what is wanted of it, or that it is cleared and why."""
    found = heard.drifts(cluster, name)
    if not found:
        return ("nothing", None)
    data = found[-1].data
    return ("cleared", data.reason) if isinstance(data, DriftCleared) else (data.state, data.prune)


async def test_an_undeclared_object_with_the_label_is_unwanted_until_it_is_gone(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Pruning,
) -> None:  # fmt: skip
    """There at the start or made later; one life each, with who labelled it, its uid, and what the baseline wants."""
    kept, old, late = (labelled(config_map(namespace, word, a="1")) for word in ("kept", "old", "late"))
    await client.apply(kept)
    stored = await client.apply(old)
    async with watching(control_plane, broker.bootstrap, files.write(kept, prune="delete"), name) as watcher:
        await watcher.ready()
        await eventually(lambda: last(heard, name, "old") == ("unwanted", "delete"))
        await client.create(late)
        await eventually(lambda: last(heard, name, "late") == ("unwanted", "delete"))
        await client.patch(old, {"data": {"a": "2"}})
        await client.delete(late)
        await eventually(lambda: last(heard, name, "late") == ("cleared", ClearedReason.IN_SYNC))
        await client.delete(old)
        await eventually(lambda: last(heard, name, "old") == ("cleared", ClearedReason.IN_SYNC))
    assert heard.words(name, "old") == ["detected", "cleared"]
    drift = heard.drifts(name, "old")[0].data
    assert (drift.target.uid, drift.baseline) == (stored["metadata"]["uid"], "base")
    assert [(field.path, field.manager) for field in drift.fields] == [
        ("/metadata/labels/setpoint.dev~1baseline", "deployer")
    ]
    assert heard.words(name, "kept") == []


async def test_what_is_declared_unlabelled_or_no_longer_asked_for_is_not_unwanted_any_more(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Pruning,
) -> None:  # fmt: skip
    """Each ends the life; an object that was declared and drifted starts one of its own when it is left out."""
    kept, one, two, three = (labelled(config_map(namespace, word, a="1")) for word in ("kept", "one", "two", "three"))
    for obj in (kept, one, two, three):
        await client.apply(obj)
    await client.patch(three, {"data": {"a": "2"}})
    async with watching(control_plane, broker.bootstrap, files.write(kept, three), name) as watcher:
        await watcher.ready()
        await eventually(lambda: last(heard, name, "one") == ("unwanted", "report"))
        await eventually(lambda: last(heard, name, "two") == ("unwanted", "report"))
        await eventually(lambda: last(heard, name, "three") == ("changed", None))
        await client.patch(one, {"metadata": {"labels": {LABEL: None}}})
        await eventually(lambda: last(heard, name, "one") == ("cleared", ClearedReason.NOT_DECLARED))
        files.write(kept, two)
        await eventually(lambda: last(heard, name, "two") == ("cleared", ClearedReason.IN_SYNC))
        await eventually(lambda: last(heard, name, "three") == ("unwanted", "report"))
        files.write(kept, two, prune=None)
        await eventually(lambda: last(heard, name, "three") == ("cleared", ClearedReason.NOT_DECLARED))
    assert heard.words(name, "three") == ["detected", "cleared", "detected", "cleared"]
    assert len({event.data.drift_id for event in heard.drifts(name, "three")}) == 2


async def test_nothing_is_looked_for_where_the_baseline_declares_nothing(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Pruning,
) -> None:  # fmt: skip
    """Another namespace, another kind, a cluster-scoped kind, another label, what controllers made, what others own,
    and what is ending: none of it is unwanted."""
    other = await client.namespace()
    web = deployment(namespace, replicas=1)
    web["metadata"]["labels"] = {LABEL: "base"}
    web["spec"]["template"]["metadata"]["labels"] = {**web["spec"]["template"]["metadata"]["labels"], LABEL: "base"}
    pod: Object = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "declared", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "example.org/c:1"}]},
    }  # fmt: skip
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}}
    space: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": random_name("kube-test")}}
    flux = labelled(config_map(namespace, "fluxs", a="1"))
    flux["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = "apps"
    ending = labelled(config_map(namespace, "ending", a="1"), finalizers=["example.org/hold"])
    declared = [labelled(config_map(namespace, "kept", a="1")), web, pod]
    elsewhere = [labelled(config_map(other, "elsewhere", a="1")), labelled(secret), labelled(space), flux,
                 labelled(config_map(namespace, "others", a="1"), "other")]  # fmt: skip
    unwanted = labelled(config_map(namespace, "unwanted", a="1"))
    for obj in (*declared, *elsewhere, ending):
        await client.apply(obj)
    await client.delete(ending)
    try:
        await eventually(lambda: pods_of(client, namespace, 2), what="the Deployment's pod is there")
        async with watching(control_plane, broker.bootstrap, files.write(*declared), name) as watcher:
            await watcher.ready()
            await client.apply(unwanted)
            await eventually(lambda: last(heard, name, "unwanted")[0] == "unwanted")
        assert {event.data.target.name for event in heard.drifts(name)} == {"unwanted"}
    finally:
        await client.patch(ending, {"metadata": {"finalizers": None}})


async def pods_of(client: Client, namespace: str, number: int) -> bool:
    answer = await client.cluster.session.request("GET", f"/api/v1/namespaces/{namespace}/pods")
    return len(answer["items"]) == number


async def test_a_restart_takes_up_what_is_unwanted(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Pruning,
) -> None:  # fmt: skip
    """Nothing is opened twice, and what went away meanwhile is cleared."""
    kept, stays, goes = (labelled(config_map(namespace, word, a="1")) for word in ("kept", "stays", "goes"))
    for obj in (kept, stays, goes):
        await client.apply(obj)
    files.write(kept)
    async with watching(control_plane, broker.bootstrap, files, name) as watcher:
        await watcher.ready()
        await eventually(lambda: len(heard.drifts(name)) == 2)
    await client.delete(goes)
    async with watching(control_plane, broker.bootstrap, files, name) as watcher:
        await watcher.ready()
        await eventually(lambda: last(heard, name, "goes") == ("cleared", ClearedReason.IN_SYNC))
        await client.delete(stays)
        await eventually(lambda: last(heard, name, "stays") == ("cleared", ClearedReason.IN_SYNC))
    assert heard.words(name, "stays") == ["detected", "cleared"]


async def test_all_unwanted_objects_can_be_listed_once(client: Client, namespace: str, files: Pruning) -> None:
    """As `setpoint diff` asks: across namespaces, by a label of the user's own, none that somebody declares."""
    second = await client.namespace()
    mine = "example.org/owner"
    declared = [labelled(config_map(space, "kept", a="1"), "us", mine) for space in (namespace, second)]
    unwanted = [labelled(config_map(space, "extra", a="1"), "us", mine) for space in (namespace, second)]
    for obj in (*declared, *unwanted, config_map(namespace, "unlabelled", a="1")):
        await client.apply(obj)
    state = load_baselines(files.write(*declared, prune={"mode": "ask", "label": f"{mine}=us"}).baseline)
    objects = bind_all(client.cluster, state)
    found, refused = await find_unwanted(client.cluster, prune_rules(state.baselines, objects), objects)
    assert [(one.key.namespace, one.key.name) for one in found] == sorted([(namespace, "extra"), (second, "extra")])
    assert {(one.rule.mode, one.finding.state) for one in found} == {("ask", "unwanted")}
    assert refused == []
