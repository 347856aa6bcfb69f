"""What has gone wrong elsewhere, on the real API server: masked values written back, metadata replaced as a whole,
endless corrections, objects made again in a namespace that is going away, one object in two baselines.
"""

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from schemas.events import DriftState, FindingReason
from services.kube.api.session import JSON_PATCH
from services.kube.correction.patching import removals
from services.kube.correction.revert import put_back, put_forward
from services.kube.declaration.baselines import Declared, load_baselines
from services.kube.masking import MASKED, MaskedValue, mask
from services.kube.objects import Object, ObjectKey, key_of
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import Finding, judge
from services.kube.verdict.scan import compare
from services.local.controlplane import LocalControlPlane
from services.runtime.errors import UserFileError
from tests.fakes import eventually
from tests.kinds import until_usable
from tests.watching import Client, Files, client_of, config_map, random_name

pytestmark = pytest.mark.integration

KEY = b"a key for tests only"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def namespace(client: Client) -> str:
    return await client.namespace()


def declare(folder: Path, obj: Object, *ignore: str) -> Declared:
    rules = [{"path": path, "reason": "somebody else's"} for path in ignore]
    return Files(folder, ignore=rules).write(obj).declared()[key_of(obj)]


def secret(namespace: str, **values: str) -> Object:
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}, "data": data}


async def test_46_a_masked_value_is_never_written(client: Client, namespace: str) -> None:
    """By no kind of write, neither plain nor encoded; the Secret keeps its own value."""
    obj = secret(namespace, password="hunter2")
    live = await client.apply(obj)
    masked = mask(obj, KEY)
    token = masked["data"]["password"]
    assert MASKED.fullmatch(token)
    encoded = base64.b64encode(token.encode()).decode()
    bodies: list[Object] = [
        masked,
        {**obj, "data": {"password": encoded}},
        {**obj, "data": {}, "stringData": {"password": token}},
    ]
    cluster = client.cluster
    for body in bodies:
        with pytest.raises(MaskedValue, match="/password"):
            await cluster.apply(body)
        with pytest.raises(MaskedValue):
            await cluster.create({**body, "metadata": {**body["metadata"], "name": "other"}})
        with pytest.raises(MaskedValue):
            await cluster.replace({**live, **body, "metadata": live["metadata"]})
    with pytest.raises(MaskedValue):
        await cluster.json_patch(key_of(obj), "v1", [{"op": "add", "path": "/data/password", "value": token}])
    stored = await client.get(obj)
    assert stored is not None
    assert stored["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]


async def test_46_a_correction_of_a_secret_writes_the_value_and_not_its_mask(
    client: Client, namespace: str, tmp_path: Path
) -> None:
    """What is told of it is masked, what is applied is not; and its undo brings the other value back."""
    obj = secret(namespace, password="hunter2")
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    changed = secret(namespace, password="letmein", extra="more")
    live = await client.patch(obj, {"data": changed["data"]})
    finding = await judge(client.cluster, declared, live)
    told = describe(live, obj, finding.fields, KEY)
    assert all(MASKED.fullmatch(str(change.live)) for change in told)
    stored = await put_back(client.cluster, declared, live, finding)
    assert stored["data"] == obj["data"]
    await put_forward(client.cluster, live, stored)
    assert (await client.get(obj) or {})["data"] == changed["data"]


def test_46_a_masked_manifest_is_refused_when_it_is_read(tmp_path: Path) -> None:
    """With file, line and field, so that printed output is not taken for a baseline."""
    with pytest.raises(UserFileError) as refused:
        Files(tmp_path).write(mask(secret("n", password="hunter2"), KEY)).declared()
    (problem,) = [one for one in refused.value.problems if "masked" in one.message]
    assert (problem.field, problem.line > 1) == ("data.password", True)


async def test_47_a_correction_leaves_all_other_metadata_alone(client: Client, namespace: str, tmp_path: Path) -> None:
    """Labels, annotations, finalizers and owners of others, also where the manifest declares none of a sort."""
    obj = config_map(namespace, a="1")
    declared = declare(tmp_path, obj)
    owner = await client.apply(config_map(namespace, "owner", a="1"))
    await client.apply(obj)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    others = {"labels": {"a": "1"}, "annotations": {"a": "1"}, "finalizers": ["example.org/keep"],
              "ownerReferences": [reference]}  # fmt: skip
    before = await client.patch(obj, {"metadata": others}, "kube-controller-manager")
    by_hand = {"labels": {"b": "2"}, "annotations": {"b": "2"}}
    live = await client.patch(obj, {"metadata": by_hand, "data": {"a": "2"}})
    finding = await judge(client.cluster, declared, live)
    fields = {diff.path for diff in finding.fields}
    assert fields == {"/metadata/labels/b", "/metadata/annotations/b", "/data/a"}
    operations = removals(live, finding.fields, ())
    assert {operation["path"] for operation in operations} == fields - {"/data/a"}
    after = await put_back(client.cluster, declared, live, finding)
    changing = {"resourceVersion", "managedFields"}
    assert _less(after["metadata"], changing) == _less(before["metadata"], changing)
    await client.patch(obj, {"metadata": {"finalizers": None}})


def _less(metadata: Object, names: set[str]) -> Object:
    return {name: value for name, value in metadata.items() if name not in names}


def definition(group: str) -> Object:
    """A CRD with a free map, a map list and room for anything."""
    rule = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
            "required": ["name"]}  # fmt: skip
    rules = {"type": "array", "items": rule, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    spec = {
        "type": "object",
        "properties": {
            "rules": rules,
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"plans.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "plans", "singular": "plan",
                 "kind": "Plan"}, "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}]},
    }  # fmt: skip


async def serve(client: Client, group: str) -> None:
    await client.create(definition(group))
    await until_usable(client, group, "v1", "Plan", schema=True)


async def test_48_a_custom_resource_is_right_after_one_correction(
    client: Client, namespace: str, tmp_path: Path
) -> None:
    """Whatever was added, changed and removed; a second correction finds nothing and writes nothing."""
    group = f"{random_name('g')}.example.org"
    await serve(client, group)
    spec: Any = {"rules": [{"name": "a", "size": 1}], "tags": {"x": "1"}, "open": {"any": {"thing": 1}}}
    obj: Object = {
        "apiVersion": f"{group}/v1", "kind": "Plan", "metadata": {"name": "p", "namespace": namespace}, "spec": spec,
    }  # fmt: skip
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    edited = {
        "rules": [{"name": "b", "size": 2}, {"name": "a", "size": 3}],
        "tags": {"x": None, "y": "2"},
        "open": {"any": {"thing": 2, "more": [1]}, "else": {}},
    }
    live = await client.patch(obj, {"spec": edited})
    finding = await judge(client.cluster, declared, live)
    assert {(diff.kind, diff.path) for diff in finding.fields} == {
        ("added", "/spec/rules/0"), ("changed", "/spec/rules/1/size"), ("removed", "/spec/tags/x"),
        ("added", "/spec/tags/y"), ("changed", "/spec/open/any/thing"), ("added", "/spec/open/any/more"),
        ("added", "/spec/open/else"),
    }  # fmt: skip
    stored = await put_back(client.cluster, declared, live, finding)
    assert stored["spec"] == spec
    again = await judge(client.cluster, declared, stored)
    assert again == Finding(None)
    twice = await put_back(client.cluster, declared, stored, again)
    assert twice["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]
    await client.delete(definition(group))


async def test_49_nothing_is_made_in_a_namespace_that_is_going_away(
    client: Client, namespace: str, tmp_path: Path
) -> None:
    """What ends there is reported as terminating, whether it is still held or gone already, and never as missing."""
    held, gone = config_map(namespace, "held", a="1"), config_map(namespace, "gone", a="1")
    held["metadata"]["finalizers"] = ["example.org/keep"]
    declared = Files(tmp_path).write(held, gone).declared()
    await client.apply(held)
    await client.apply(gone)
    await client.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    async def ended() -> bool:
        left = await client.get(held)
        return await client.get(gone) is None and left is not None and "deletionTimestamp" in left["metadata"]

    await eventually(ended, 60)
    found = await compare(client.cluster, declared)
    assert (found.checked, found.drifted) == (0, [])
    assert {(entry.key.name, finding.reason) for entry, _, finding in found.unjudged} == {
        ("held", FindingReason.TERMINATING), ("gone", FindingReason.TERMINATING),
    }  # fmt: skip
    by_name = {entry.key.name: finding for entry, _, finding in found.unjudged}
    assert "example.org/keep" in by_name["held"].message
    assert namespace in by_name["gone"].message
    await client.patch(held, [{"op": "remove", "path": "/metadata/finalizers"}], content=JSON_PATCH)


async def test_49_a_namespace_that_is_gone_is_missing_with_all_that_was_in_it(client: Client, tmp_path: Path) -> None:
    """Once the namespace itself is no more, nobody is deleting anything: then both are to be made again."""
    namespace = random_name("never")
    space: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    obj = config_map(namespace, a="1")
    declared = Files(tmp_path).write(space, obj).declared()
    found = await compare(client.cluster, declared)
    assert {(entry.key.kind, finding.state) for entry, _, finding in found.drifted} == {
        ("Namespace", DriftState.MISSING), ("ConfigMap", DriftState.MISSING),
    }  # fmt: skip


def baseline(folder: Path, name: str, obj: Object) -> None:
    (folder / name).mkdir()
    (folder / name / "all.yaml").write_text(yaml.safe_dump(obj), encoding="utf-8")
    document = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": name},
                "spec": {"source": {"folder": name}}}  # fmt: skip
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


def test_50_one_object_in_two_baselines_is_refused_with_both_names(tmp_path: Path) -> None:
    """When the files are read, with the place of each."""
    for name in ("platform", "payments"):
        baseline(tmp_path, name, config_map("shared", a=name))
    with pytest.raises(UserFileError) as refused:
        load_baselines(tmp_path)
    (problem,) = [one for one in refused.value.problems if "twice" in one.message]
    assert "'platform'" in problem.message
    assert "'payments'" in problem.message


async def test_50_what_only_the_cluster_shows_to_be_declared_twice_is_not_judged(
    client: Client, namespace: str, tmp_path: Path
) -> None:
    """Neither baseline's state is taken for the right one, whatever is there; both are named, and nothing is asked."""
    obj = config_map(namespace, a="1")
    declared = replace(declare(tmp_path, obj), rivals=("payments",))
    live = await client.apply({**obj, "data": {"a": "2"}})
    for state in (live, None):
        finding = await judge(client.cluster, declared, state)
        assert (finding.state, finding.reason) == (DriftState.UNJUDGED, FindingReason.CLAIMED_TWICE)
        assert "'base' and 'payments'" in finding.message
    found = await compare(client.cluster, {ObjectKey(*declared.key): declared})
    assert [finding.reason for _, _, finding in found.unjudged] == [FindingReason.CLAIMED_TWICE]
