"""Files against a real API server: scalars as it reads them, captures that match what runs, patches that it takes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import DriftState
from services.cli.diffdata import patches
from services.kube.api.session import JSON_PATCH
from services.kube.captures.capture import Selection, capture
from services.kube.captures.writing import write_capture
from services.kube.declaration.declared import look_up
from services.kube.declaration.manifests import load_folder, manifests_in
from services.kube.objects import Object, key_of
from services.kube.verdict.scan import Comparison, compare
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from services.local.example import examples_folder, install
from services.local.prepare import Parts
from services.runtime.clock import SystemClock
from tests.kinds import until_usable
from tests.watching import Client, client_of, config_map, deployment, random_name, reader_kubeconfig

pytestmark = pytest.mark.integration

BASELINE = (
    "apiVersion: setpoint.dev/v1alpha1\nkind: Baseline\nmetadata: {name: captured}\nspec: {source: {folder: .}}\n"
)
GROUP = "scalars.example.com"
SCALARS = """
12:30 190:20:30 2001-01-01 0o644 0644 089 0x1F -0x1F 0b101 1_000 1e3 1.0 1.5 .5 1. -1.5 +1 1e400 1e 1.2.3 10Mi 100m 1k
9223372036854775807 -9223372036854775808 y Y yes n N no on off true True TRUE tRUE false ~ null Null NULL Infinity
a=b <a> 1,000 0 -0 0.0 00 0o 0x 0b2 1__0 _1 1_ .1e2 1E3 1.5e-7 123456789012 12345.678 -- a:b a#b 0.1 007 é 😀
""".split()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def namespace(client: Client) -> str:
    return await client.namespace()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def example(client: Client) -> None:
    await install(client.cluster, examples_folder() / "platform", SystemClock())


async def compared(client: Client, folder: Path) -> Comparison:
    resolved = await look_up(client.cluster, folder)
    return await compare(client.cluster, resolved.objects)


def told(found: Comparison) -> list[tuple[str, list[str]]]:
    """What is not in sync, in words."""
    rows = [*found.drifted, *found.unjudged]
    return [(f"{entry.key} {finding.state}", [diff.path for diff in finding.fields]) for entry, _, finding in rows]


async def captured(client: Client, folder: Path, selection: Selection) -> list[str]:
    """Capture into a folder; the objects in it."""
    found = await capture(client.cluster, selection)
    write_capture(folder, found.objects, BASELINE, force=False)
    return [str(key) for key in found.objects]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def anything(client: Client) -> str:
    """A kind that takes whatever is in it, and how it is served."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "anythings", "singular": "anything", "kind": "Anything", "listKind": "AnythingList"}
    spec = {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}
    metadata = {"name": f"anythings.{GROUP}"}
    await client.create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": metadata,
            "spec": spec,
        }
    )
    await until_usable(client, GROUP, "v1", "Anything")
    return f"{GROUP}/v1"


async def stored(client: Client, namespace: str, api_version: str, text: str) -> Object:
    """What the server makes of a YAML text."""
    path = f"/apis/{api_version}/namespaces/{namespace}/anythings"
    session = client.cluster.session
    headers = {"Content-Type": "application/yaml", **await session._credentials()}
    async with session.calls.post(session.host + path, data=text.encode(), headers=headers) as answer:
        found: Object = await answer.json(content_type=None)
        assert answer.status == 201, found
        return found


async def test_scalars_are_read_as_the_server_reads_them(client: Client, namespace: str, anything: str) -> None:
    """The very text that we read, sent to the API server as YAML: what it stores is what we read, type by type."""
    lines = [f"  k{index}: {text}" for index, text in enumerate(SCALARS)]
    more = '  quot: "0o644"\n  tagged: !!str 12\n  block: |\n    y\n  folded: >-\n    a\n    b\n  list: [y, 0x1, 1.5]'
    head = f"apiVersion: {anything}\nkind: Anything\nmetadata: {{name: scalars, namespace: {namespace}}}\n"
    text = head + "spec:\n" + "\n".join(lines) + f"\n{more}\nkeys: {{y: 1, 0x10: 2, 1.50: 3, 012: 4}}\n"
    (ours,) = manifests_in("f", text.encode())
    theirs = await stored(client, namespace, anything, text)
    for name, value in theirs["spec"].items():
        index = int(name[1:]) if name[1:].isdigit() else None
        written = SCALARS[index] if index is not None else name
        mine = ours.obj["spec"][name]
        assert (written, mine, type(mine)) == (written, value, type(value))
    assert set(theirs["spec"]) == set(ours.obj["spec"])
    assert ours.obj["keys"] == theirs["keys"]


async def test_merge_keys_and_anchors_are_read_as_the_server_reads_them(
    client: Client, namespace: str, anything: str
) -> None:
    """Where a merge key stands decides, and of several maps the first wins."""
    text = (
        f"apiVersion: {anything}\nkind: Anything\nmetadata: {{name: merged, namespace: {namespace}}}\n"
        "a: &a {x: 1, z: 2}\nb: {<<: *a, x: 6}\nc: {x: 6, <<: *a}\nd: {<<: [{x: 1}, {x: 2, k: 3}]}\ne: [*a, *a]\n"
    )
    (ours,) = manifests_in("f", text.encode())
    theirs = await stored(client, namespace, anything, text)
    assert {name: theirs[name] for name in "abcde"} == {name: ours.obj[name] for name in "abcde"}


async def test_a_capture_of_the_example_platform_matches_what_runs(
    client: Client, example: None, tmp_path: Path
) -> None:
    """A diff right after a capture finds nothing; what Kubernetes and its controllers made is not in it."""
    folder = tmp_path / "captured"
    names = await captured(client, folder, Selection(("payments", "checkout", "legacy"), (), secrets=True))
    declared = {str(key_of(one.obj)) for one in load_folder(examples_folder() / "platform")}
    namespaced = {name for name in declared if "/" in name or name.startswith("Namespace ")}
    assert set(names) >= namespaced
    assert not [name for name in names if name.startswith(("Pod ", "ReplicaSet", "Event", "Endpoint", "Lease"))]
    assert not [name for name in names if "kube-root-ca" in name or name.endswith("/default")]
    assert told(await compared(client, folder)) == []


def odd_objects(namespace: str) -> list[Object]:
    """What a capture could get wrong: allocated, defaulted, injected and odd-looking values."""
    text = (Path(__file__).parent / "captured_objects.yaml").read_text(encoding="utf-8")
    found = [manifest.obj for manifest in manifests_in("captured_objects.yaml", text.encode())]
    return [{**obj, "metadata": {**obj["metadata"], "namespace": namespace}} for obj in found]


@pytest.mark.parametrize("how", ["created", "applied"])
async def test_a_capture_of_odd_objects_matches_and_can_be_applied(
    client: Client, namespace: str, tmp_path: Path, how: str
) -> None:
    """Whether they were made by a plain create, which leaves the creator owning defaults, or by server-side apply."""
    for obj in odd_objects(namespace):
        await (client.create(obj) if how == "created" else client.apply(obj))
    folder = tmp_path / "captured"
    names = await captured(client, folder, Selection((namespace,)))
    assert len(names) == len(odd_objects(namespace)) + 1
    assert told(await compared(client, folder)) == []
    texts = next(one.obj for one in load_folder(folder) if one.obj["metadata"]["name"] == "texts")
    wanted = next(obj for obj in odd_objects(namespace) if obj["metadata"]["name"] == "texts")
    assert texts["data"] == wanted["data"]
    for manifest in load_folder(folder):
        await client.cluster.apply(manifest.obj, dry_run=True)


async def test_a_reader_can_capture(
    client: Client, control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Without the right to dry-run, owned defaults stay in the files, and the diff still finds nothing."""
    for obj in odd_objects(namespace):
        await client.create(obj)
    reader = await reader_kubeconfig(client, control_plane, namespace, tmp_path / "reader")
    out = tmp_path / "out"
    done = await command(
        "baseline", "capture", "--kubeconfig", str(reader), "--namespace", namespace, "--out", str(out), "-o", "json"
    )
    assert done.code == 0, done.err
    assert json.loads(done.out)["objects"] == len(odd_objects(namespace)) + 2  # the Namespace, the reader itself
    assert told(await compared(client, out)) == []


async def test_secrets_are_left_out_unless_asked_for(client: Client, namespace: str, tmp_path: Path) -> None:
    """Their values would stand in files."""
    await client.create(
        {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace},
            "stringData": {"k": "declared-secret"},
        }
    )  # fmt: skip
    without = await capture(client.cluster, Selection((namespace,)))
    assert [key.kind for key in without.objects] == ["Namespace"]
    assert without.left_out["Secrets, without --with-secrets"] == 1
    with_them = await capture(client.cluster, Selection((namespace,), (), secrets=True))
    assert [key.kind for key in with_them.objects] == ["Namespace", "Secret"]


async def test_patches_take_each_object_to_its_declared_state(client: Client, namespace: str, tmp_path: Path) -> None:
    """Sent as they are printed: changed, removed, added and missing, fields and list items; then nothing differs."""
    web, other = deployment(namespace), config_map(namespace, "other", a="1", b="2")
    web["spec"]["template"]["spec"]["containers"][0]["env"] += [{"name": "SECOND", "value": "x"}]
    for obj in (web, other):
        await client.apply(obj)
    lost = config_map(namespace, "lost", a="1")
    (tmp_path / "all.json").write_text("\n".join(json.dumps(obj) for obj in (web, other, lost)))
    env = [{"name": "SECOND", "value": "y"}, {"name": "THIRD", "value": "z"}]
    container = {**web["spec"]["template"]["spec"]["containers"][0], "env": env, "image": "example.org/web:2"}
    await client.patch(web, {"spec": {"replicas": 5, "template": {"spec": {"containers": [container]}}}})
    await client.patch(other, {"data": {"a": "9", "b": None, "c": "3"}, "metadata": {"labels": {"mine": "1"}}})
    found = await compared(client, tmp_path)
    assert [finding.state for _, _, finding in found.drifted] == [
        DriftState.MISSING, DriftState.CHANGED, DriftState.CHANGED,
    ]  # fmt: skip
    made, secret = patches(found.drifted)
    assert secret == []
    for entry in made:
        await send(client, entry["target"], entry["patch"])
    assert told(await compared(client, tmp_path)) == []


async def send(client: Client, target: dict[str, Any], patch: list[dict[str, Any]]) -> None:
    if patch[0]["path"] == "":
        await client.create(patch[0]["value"], "deployer")
        return
    resource = client.cluster.resource(target["group"], target["kind"], target["version"])
    path = resource.path(target["namespace"], target["name"])
    params = {"fieldManager": "deployer"}
    await client.cluster.session.request("PATCH", path, params=params, body=patch, content_type=JSON_PATCH)


class Done:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


async def command(*arguments: str, module: str = "services.cli.main", **environ: str) -> Done:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SETPOINT_", "KUBECONFIG"))}
    return await run(sys.executable, "-m", module, *arguments, **{**kept, **environ})


async def run(*arguments: str, **environ: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        *arguments, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 240)
    return Done(process.returncode or 0, out.decode(), err.decode())


async def test_kubectl_finds_the_plugin_and_its_context_is_taken(
    client: Client, parts: Parts, control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> None:
    """`kubectl setpoint diff` compares with the cluster that kubectl would take, and says which; exit code 1."""
    obj = config_map(namespace, a="1")
    await client.apply(obj)
    (tmp_path / "all.json").write_text(json.dumps(obj))
    await client.patch(obj, {"data": {"a": "2"}})
    plugin = tmp_path / "bin" / "kubectl-setpoint"
    plugin.parent.mkdir()
    plugin.write_text(f'#!/bin/sh\nexec {sys.executable} -m services.cli.plugin "$@"\n')
    plugin.chmod(0o755)
    environ = {
        "PATH": f"{plugin.parent}:{os.environ['PATH']}", "KUBECONFIG": str(control_plane.kubeconfig),
        "HOME": str(tmp_path), "PYTHONPATH": os.getcwd(),
    }  # fmt: skip
    kubectl = str(parts.control_plane.kubectl)
    done = await run(kubectl, "setpoint", "diff", "--baseline", str(tmp_path / "all.json"), **environ)
    assert (done.code, done.err.strip()) == (1, f"context {CONTEXT}, kubectl's current one")
    assert f"ConfigMap {namespace}/settings  changed" in done.out
    assert '  ~ data.a  "1" → "2"\n      by hand: kubectl-edit, ' in done.out


async def test_learn_tells_who_writes_and_proposes_the_unknown(
    client: Client, control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> None:
    """The applier and an unknown controller are proposed, a person's tool is not; nothing is written."""
    obj = config_map(namespace, a="1")
    await client.apply(obj, "pipeline")
    await client.apply(config_map(namespace, "two", a="1"), "pipeline")
    await client.patch(obj, {"data": {"b": "2"}}, "shop-operator")
    await client.patch(obj, {"data": {"c": "3"}}, "kubectl-edit")
    (tmp_path / "all.json").write_text(json.dumps(obj) + json.dumps(config_map(namespace, "two", a="1")))
    before = await client.get(obj)
    where = ("--kubeconfig", str(control_plane.kubeconfig), "--baseline", str(tmp_path))
    done = await command("baseline", "learn", *where, "--output", "json")
    data = json.loads(done.out)
    assert data["proposal"] == {"folder": {"manager": "pipeline", "trustedManagers": ["shop-operator"]}}
    assert {row["manager"]: (row["standing"], row["objects"], row["added"]) for row in data["managers"]} == {
        "pipeline": ("unknown", 2, 0), "shop-operator": ("unknown", 1, 1), "kubectl-edit": ("person", 1, 1),
    }  # fmt: skip
    assert await client.get(obj) == before


async def test_filters_choose_objects_and_a_filter_for_nothing_is_wrong_use(
    client: Client, control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> None:
    """By namespace, kind and name, each a name or glob."""
    objects = [config_map(namespace, random_name("a"), x="1"), deployment(namespace)]
    for obj in objects:
        await client.apply(obj)
    (tmp_path / "all.json").write_text("\n".join(map(json.dumps, objects)))
    where = ("diff", "--kubeconfig", str(control_plane.kubeconfig), "--baseline", str(tmp_path), "--output", "json")
    for filters, count in (
        (("--kind", "configmap"), 1), (("--kind", "Dep*", "--namespace", namespace), 1), (("--name", "*"), 2),
    ):  # fmt: skip
        assert json.loads((await command(*where, *filters)).out)["checked"] == count
    nothing = await command(*where, "--kind", "Deploymnt")
    assert nothing.code == 2
    assert "none of the 2 declared objects matches --kind deploymnt" in nothing.err
