"""How the watcher chooses what to watch, on the real API server: less than everything, and nothing missed by it."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import DriftCleared
from services.kube.api.session import APPLY
from services.kube.objects import Object
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.credentials import kubeconfig
from services.watcher import kinds, plan, service, watcher
from services.watcher.kinds import Kinds
from tests.fakes import eventually
from tests.integration.watcher_parts import client, heard, name, namespace
from tests.kinds import until_usable
from tests.watching import (
    Client,
    Files,
    Heard,
    config_map,
    random_name,
    until_reads,
    watching,
)

__all__ = ["client", "heard", "name", "namespace"]
pytestmark = pytest.mark.integration
RBAC = {"apiVersion": "rbac.authorization.k8s.io/v1"}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Kinds]:
    """The watchers' own view of what they watch."""
    found: list[Kinds] = []

    class Seen(Kinds):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            found.append(self)

    monkeypatch.setattr(service, "Kinds", Seen)
    return found


def watched(found: list[Kinds]) -> list[tuple[str, str, str, str]]:
    """Kind, namespace, labels and name of every watch."""
    return sorted((one.resource.kind, one.namespace, one.labels, one.name) for one in found[-1].reflectors)


def state(heard: Heard, cluster: str, name: str) -> tuple[str, str | None]:
    """The newest event of an object: its state and reason."""
    found = heard.drifts(cluster, name)
    if not found:
        return ("nothing", None)
    data = found[-1].data
    return ("cleared", None) if isinstance(data, DriftCleared) else (data.state, data.reason)


async def test_one_declared_object_is_watched_by_its_name(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files, made: list[Kinds],
) -> None:  # fmt: skip
    """And everything is seen of it: a change, its end, and that it is made again. A second one needs more."""
    obj, other = config_map(namespace, a="1"), config_map(namespace, "other", a="1")
    await client.apply(obj)
    async with watching(control_plane, broker.bootstrap, files.write(obj), name) as running:
        await running.ready()
        assert watched(made) == [("ConfigMap", namespace, "", "settings")]
        await client.patch(obj, {"data": {"a": "2"}})
        await eventually(lambda: state(heard, name, "settings")[0] == "changed")
        await client.delete(obj)
        await eventually(lambda: state(heard, name, "settings")[0] == "missing")
        await client.apply(obj)
        await eventually(lambda: state(heard, name, "settings")[0] == "cleared")
        files.write(obj, other)
        await eventually(lambda: state(heard, name, "other")[0] == "missing")
        # The one namespace is enough where the cluster holds very many others, as after other tests.
        assert watched(made) in ([("ConfigMap", "", "", "")], [("ConfigMap", namespace, "", "")])
        await client.patch(obj, {"data": {"a": "3"}})
        await eventually(lambda: state(heard, name, "settings")[0] == "changed")


async def test_of_many_objects_the_server_sends_those_with_the_declared_label(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files, made: list[Kinds], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One that leaves the selection while it exists is not taken for deleted, and what is done to it is still seen."""
    monkeypatch.setattr(plan, "WORTH", 1)
    monkeypatch.setattr(plan, "SHARE", 1)
    monkeypatch.setattr(kinds, "LOOK_S", 0.5)
    label = {"app.kubernetes.io/part-of": name}
    declared = [config_map(namespace, word, a="1") for word in ("one", "two")]
    for obj in declared:
        obj["metadata"]["labels"] = label
    for number in range(8):
        await client.apply(config_map(namespace, f"foreign-{number}", a="1"))
    await client.apply(declared[0])
    unlabelled = {**declared[1], "metadata": {**declared[1]["metadata"], "labels": {}}}
    async with watching(control_plane, broker.bootstrap, files.write(*declared), name) as running:
        await running.ready()
        assert watched(made) == [("ConfigMap", "", f"app.kubernetes.io/part-of={name}", "")]
        await eventually(lambda: b'setpoint_watched_objects{kind="ConfigMap"} 1.0' in running.metrics.text())
        await eventually(lambda: state(heard, name, "two")[0] == "missing")
        await client.create(unlabelled)
        await eventually(lambda: state(heard, name, "two")[0] == "changed")
        await client.patch(declared[0], {"metadata": {"labels": {"app.kubernetes.io/part-of": None}}})
        await eventually(lambda: state(heard, name, "one")[0] == "changed")
        await client.patch(declared[0], {"data": {"a": "2"}})
        await eventually(lambda: len(heard.drifts(name, "one")[-1].data.fields) == 2)
        await client.apply(declared[0])
        await eventually(lambda: state(heard, name, "one")[0] == "cleared")
        await client.delete(declared[0])
        await eventually(lambda: state(heard, name, "one")[0] == "missing")
        monkeypatch.setattr(kinds, "STRAYS", 0)
        await eventually(lambda: watched(made) == [("ConfigMap", "", "", "")], what="the label is given up")
        await running.ready()
    assert heard.words(name, "one") == ["detected", "updated", "cleared", "detected"]


async def namespaced_reader(client: Client, plane: LocalControlPlane, namespace: str, file: Path) -> tuple[Path, str]:
    """A token that may read ConfigMaps in one namespace and nothing else; and its name."""
    who = random_name("reader")
    where = {"name": who, "namespace": namespace}
    await client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": where})
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
    await client.create({**RBAC, "kind": "Role", "metadata": where, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": who}
    subjects = [{"kind": "ServiceAccount", **where}]
    await client.create({**RBAC, "kind": "RoleBinding", "metadata": where, "roleRef": role, "subjects": subjects})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{who}/token"
    token = (await client.cluster.session.request("POST", path, body=request))["status"]["token"]
    file.write_text(kubeconfig(plane.url, plane.ca_file.read_bytes(), token, who), encoding="utf-8")
    await until_reads(client, namespace, who, namespace)
    return file, who


async def test_a_token_for_one_namespace_sees_that_one_and_says_what_it_does_not_see(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files, made: list[Kinds], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It may not list everywhere, so it is asked for the namespaces that the baseline names. Rights that come later
    are taken up by themselves, and nothing is said to be deleted meanwhile."""
    monkeypatch.setattr(service, "REDISCOVER_S", 1.0)
    other = await client.namespace()
    mine, more = config_map(namespace, a="1"), config_map(namespace, "more", a="1")
    theirs = config_map(other, "theirs", a="1")
    for obj in (mine, more, theirs):
        await client.apply(obj)
    reader, who = await namespaced_reader(client, control_plane, namespace, tmp_path / "reader")
    async with watching(control_plane, broker.bootstrap, files.write(mine, more, theirs), name, reader) as running:
        await running.ready()
        await eventually(lambda: state(heard, name, "theirs") == ("unjudged", "forbidden"))
        assert watched(made) == [("ConfigMap", space, "", "") for space in sorted((namespace, other))]
        assert who in heard.drifts(name, "theirs")[-1].data.message
        await client.patch(mine, {"data": {"a": "2"}})
        await eventually(lambda: state(heard, name, "settings")[0] == "changed")
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]
        await client.create({**RBAC, "kind": "ClusterRole", "metadata": {"name": who}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": who}
        subjects = [{"kind": "ServiceAccount", "name": who, "namespace": namespace}]
        binding = {**RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": who}, "roleRef": role}
        await client.create({**binding, "subjects": subjects})
        await eventually(lambda: state(heard, name, "theirs") == ("cleared", None), 90)
        await client.patch(theirs, {"data": {"a": "2"}})
        await eventually(lambda: state(heard, name, "theirs")[0] == "changed")
        await running.ready()
    assert "deleted" not in [change.operation for change in heard.changes(name)]


def widgets(group: str, list_type: str) -> Object:
    """A definition whose one list is atomic, or a map by name."""
    item = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
            "required": ["name"]}  # fmt: skip
    parts: Object = {"type": "array", "items": item, "x-kubernetes-list-type": list_type}
    if list_type == "map":
        parts["x-kubernetes-list-map-keys"] = ["name"]
    open_part = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    spec = {"type": "object", "properties": {"parts": parts, "anything": open_part}}
    version = {"name": "v1", "served": True, "storage": True,
               "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "versions": [version],
                 "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"}},
    }  # fmt: skip


def widget(group: str, namespace: str, name: str, **spec: Any) -> Object:
    return {
        "apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    }  # fmt: skip


async def served(client: Client, definition: Object) -> str:
    """Create a definition, and wait until objects of it can be made; its group."""
    await client.create(definition)
    group = str(definition["spec"]["group"])

    await until_usable(client, group, "v1", "Widget")
    return group


async def test_a_schema_that_changes_within_its_version_is_read_again(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files,
) -> None:  # fmt: skip
    """A list that was atomic becomes one by name: another order is no drift any more. Nobody wrote the object."""
    definition = widgets(f"{random_name('g')}.example.org", "atomic")
    group = await served(client, definition)
    parts = [{"name": "a", "size": 1}, {"name": "b", "size": 2}]
    obj = widget(group, namespace, "w", parts=parts)
    await client.apply(widget(group, namespace, "w", parts=parts[::-1]))
    async with watching(control_plane, broker.bootstrap, files.write(obj), name) as running:
        await running.ready()
        await eventually(lambda: state(heard, name, "w")[0] == "changed")
        await client.apply(widgets(group, "map"))
        await eventually(lambda: state(heard, name, "w")[0] == "cleared", 90)
        await client.patch(obj, {"spec": {"parts": [{"name": "b", "size": 3}, parts[0]]}})
        await eventually(lambda: state(heard, name, "w")[0] == "changed")


async def test_huge_and_deep_objects_are_watched_like_others(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, namespace: str, name: str,
    files: Files,
) -> None:  # fmt: skip
    """As large as the server stores, and nested deeper than parsers and comparisons go."""
    group = await served(client, widgets(f"{random_name('g')}.example.org", "atomic"))
    huge, deep, plain = (widget(group, namespace, word, parts=[]) for word in ("huge", "deep", "plain"))
    for obj in (huge, deep, plain):
        await client.apply(obj)
    async with watching(control_plane, broker.bootstrap, files.write(huge, deep, plain), name) as running:
        await running.ready()
        for depth in (600, 3000):
            await raw_apply(client, deep, nested(depth))
            await eventually(lambda: state(heard, name, "deep")[0] == "changed")
            await client.apply(deep, "deep-writer")
            await eventually(lambda: state(heard, name, "deep")[0] == "cleared")
        await raw_apply(client, deep, nested(3000))
        await client.patch(huge, {"spec": {"anything": {f"key-{at}": "x" * 100 for at in range(6000)}}})
        await eventually(lambda: state(heard, name, "huge")[0] == "changed")
        await client.patch(plain, {"spec": {"parts": [{"name": "a"}]}})
        await eventually(lambda: state(heard, name, "plain")[0] == "changed")
        await running.ready()
    async with watching(control_plane, broker.bootstrap, files, name) as running:
        await running.ready()  # a list holds them as well
        await client.apply(plain)
        await eventually(lambda: state(heard, name, "plain")[0] == "cleared")


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


async def raw_apply(client: Client, obj: Object, anything: str) -> None:
    """Apply text that Python could not write."""
    group, metadata = obj["apiVersion"], obj["metadata"]
    text = (
        f'{{"apiVersion":"{group}","kind":"Widget","metadata":{{"name":"{metadata["name"]}"}},'
        f'"spec":{{"parts":[],"anything":{anything}}}}}'
    )
    session = client.cluster.session
    headers = {"content-type": APPLY, **await session._credentials()}
    url = f"{session.host}{client.path(obj)}?fieldManager=deep-writer&force=true"
    async with session.calls.patch(url, data=text, headers=headers) as answer:
        assert answer.status < 300, (await answer.text())[:300]


async def test_an_object_of_a_namespace_that_ends_is_said_so_and_then_missing(
    client: Client, control_plane: LocalControlPlane, broker: LocalBroker, heard: Heard, name: str, files: Files,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of the namespace's end nothing is seen in the object's own watch, so it is asked for."""
    monkeypatch.setattr(watcher, "AGAIN_S", 0.5)
    doomed = await client.namespace()
    obj = config_map(doomed, a="1")
    held = config_map(doomed, "held", a="1")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    await client.apply(obj)
    await client.apply(held)
    async with watching(control_plane, broker.bootstrap, files.write(obj, held), name) as running:
        await running.ready()
        await client.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": doomed}})
        await eventually(lambda: state(heard, name, "held") == ("unjudged", "terminating"))
        assert "example.org/hold" in heard.drifts(name, "held")[-1].data.message
        await eventually(lambda: state(heard, name, "settings") == ("unjudged", "terminating"))
        await client.patch(held, {"metadata": {"finalizers": None}})
        await eventually(lambda: state(heard, name, "settings") == ("missing", None), 90)
        await eventually(lambda: state(heard, name, "held") == ("missing", None), 90)
