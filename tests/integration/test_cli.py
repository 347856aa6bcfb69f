"""The commands on real parts: a reader's `diff`, `up` against a named cluster, and the whole demo."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio
import yaml

from services.kube.api.cluster import Cluster, open_cluster
from services.local.controlplane import LocalControlPlane

pytestmark = pytest.mark.integration

CONTEXT = "setpoint-local"
READER = "reader"


class Finished:
    """What a command said."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out.decode(), err.decode()


def command(*arguments: str, cache: Path | None = None) -> Any:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SETPOINT_", "KUBECONFIG"))}
    if cache:
        environ["XDG_STATE_HOME"] = str(cache)
    return asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli.main", *arguments, env=environ,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def setpoint(*arguments: str) -> Finished:
    process = await command(*arguments)
    out, err = await asyncio.wait_for(process.communicate(), 240)
    return Finished(process.returncode or 0, out, err)


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(control_plane: LocalControlPlane) -> AsyncIterator[Cluster]:
    found = await open_cluster(control_plane.kubeconfig, CONTEXT, "cli")
    yield found
    await found.close()


@pytest_asyncio.fixture(loop_scope="session")
async def shop(cluster: Cluster, tmp_path: Path) -> Path:
    """A namespace with a ConfigMap, a Secret and a ServiceAccount that may only read; the folder that declares them."""
    space = f"shop-{uuid.uuid4().hex[:6]}"
    declared: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {"most": "5"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"token": "declared-secret"}},
    ]
    access: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": READER}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": READER},
            "rules": [{"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list", "watch"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": READER},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": READER},
            "subjects": [{"kind": "ServiceAccount", "name": READER, "namespace": space}],
        },
    ]  # fmt: skip
    await cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    for obj in (*declared, *access):
        obj["metadata"]["namespace"] = space
        await cluster.apply(obj)
    folder = tmp_path / space
    folder.mkdir()
    (folder / "all.yaml").write_text(yaml.safe_dump_all(declared))
    return folder


async def edit(cluster: Cluster, space: str, kind: str, name: str, data: dict[str, Any]) -> None:
    """Write as somebody else."""
    path = cluster.resource("", kind).path(space, name)
    content = "application/merge-patch+json"
    await cluster.session.request(
        "PATCH", path, params={"fieldManager": "night-shift"}, body=data, content_type=content
    )


async def reader_kubeconfig(cluster: Cluster, control_plane: LocalControlPlane, space: str, to: Path) -> Path:
    """The control plane's kubeconfig with the reader's token in it."""
    path = cluster.resource("", "ServiceAccount").path(space, READER) + "/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = await cluster.session.request("POST", path, body=body)
    document = yaml.safe_load(control_plane.kubeconfig.read_text())
    for user in document["users"]:
        user["user"] = {"token": answer["status"]["token"]}
    to.write_text(yaml.safe_dump(document))
    return to


async def test_diff_names_field_values_and_manager(
    cluster: Cluster, control_plane: LocalControlPlane, shop: Path
) -> None:
    """One edit by somebody else: exit code 1, and one drift in the documented form; before it, none."""
    where = ("--kubeconfig", str(control_plane.kubeconfig), "--context", CONTEXT)
    clean = await setpoint("diff", "--baseline", str(shop), *where)
    assert clean.code == 0
    assert clean.out.splitlines()[-1].startswith("2 objects compared: 2 in sync · engine dry-run · ")
    await edit(cluster, shop.name, "ConfigMap", "limits", {"data": {"most": "50"}})
    found = await setpoint("diff", "--baseline", str(shop), *where, "--output", "json")
    data = json.loads(found.out)
    assert (found.code, data["checked"], data["unjudged"]) == (1, 2, [])
    (drift,) = data["drifts"]
    assert {name: drift[name] for name in ("group", "version", "kind", "namespace", "name", "state", "engine")} == {
        "group": "", "version": "v1", "kind": "ConfigMap", "namespace": shop.name, "name": "limits",
        "state": "changed", "engine": "dry-run",
    }  # fmt: skip
    (field,) = drift["fields"]
    assert field.pop("since")
    assert field == {
        "path": "/data/most", "kind": "changed", "desired": "5", "live": "50", "manager": "night-shift",
        "operation": "Update", "user": None, "by_hand": False, "at": "data.most",
    }  # fmt: skip


async def test_a_readers_token_is_enough_for_diff(
    cluster: Cluster, control_plane: LocalControlPlane, shop: Path, tmp_path: Path
) -> None:
    """Without write rights the local engine judges, and says why; a Secret's values show as hashes only."""
    file = await reader_kubeconfig(cluster, control_plane, shop.name, tmp_path / "reader.kubeconfig")
    await edit(cluster, shop.name, "ConfigMap", "limits", {"data": {"most": "50"}})
    await edit(cluster, shop.name, "Secret", "key", {"stringData": {"token": "stolen-secret"}})
    found = await setpoint("diff", "--baseline", str(shop), "--kubeconfig", str(file), "--output", "json")
    drifts = {drift["name"]: drift for drift in json.loads(found.out)["drifts"]}
    assert found.code == 1
    assert {(drift["engine"], drift["reason"]) for drift in drifts.values()} == {("local", "forbidden")}
    (field,) = drifts["key"]["fields"]
    assert field["path"] == "/data/token"
    assert field["live"].startswith("hmac:")
    assert not any(text in found.out + found.err for text in ("-secret", "c3RvbGVu", "ZGVjbGFyZWQ"))


async def test_rights_in_one_namespace_are_enough_to_capture_it(
    cluster: Cluster, control_plane: LocalControlPlane, shop: Path, tmp_path: Path
) -> None:
    """What the token may read is captured, what it may not is named; a folder that is not empty is left alone."""
    file = await reader_kubeconfig(cluster, control_plane, shop.name, tmp_path / "reader.kubeconfig")
    capture = ("baseline", "capture", "--kubeconfig", str(file), "-n", shop.name, "--out", str(tmp_path / "out"))
    done = await setpoint(*capture)
    assert done.code == 0, done.err
    assert "1 object written" in done.out
    assert "left out: 1 Secrets, without --with-secrets" in done.out
    assert "not readable with this token: " in done.out
    assert (tmp_path / "out" / shop.name / "configmap-limits.yaml").is_file()
    again = await setpoint(*capture)
    assert again.code == 2
    assert "not empty. Give another folder with --out, or --force" in again.err
    found = await setpoint("diff", "--baseline", str(tmp_path / "out"), "--kubeconfig", str(file))
    assert found.code == 0, found.out


async def test_up_observes_and_ends_with_everything_it_started(
    cluster: Cluster, control_plane: LocalControlPlane, shop: Path, tmp_path: Path
) -> None:
    """`up` without policies records a drift and leaves it alone; SIGTERM ends it, SIGKILL takes its broker along."""
    baselines = tmp_path / "baselines.yaml"
    baselines.write_text(
        "apiVersion: setpoint.dev/v1alpha1\nkind: Baseline\nmetadata: {name: shop}\n"
        f"spec: {{source: {{folder: ./{shop.name}}}}}\n"
    )
    arguments = (
        "up", "--kubeconfig", str(control_plane.kubeconfig), "--context", CONTEXT, "--cluster", shop.name,
        "--baselines", str(baselines), "--data", str(tmp_path / "data"),
    )  # fmt: skip
    for end in (signal.SIGTERM, signal.SIGKILL):
        process = await command(*arguments)
        try:
            said = await asyncio.wait_for(_said(process, b"Ctrl-C"), 180)
            children = psutil.Process(process.pid).children(recursive=True)
            assert children, "the broker is a child"
            await edit(cluster, shop.name, "ConfigMap", "limits", {"data": {"most": end.name}})
            row = await _open_drift(shop.name)
            assert row["fields"] == ["/data/most"]
            assert "Open drifts" in await _report(said)
        finally:
            process.send_signal(end)
            await asyncio.wait_for(process.communicate(), 90)  # with what it still says: its pipes close
        _, alive = psutil.wait_procs(children, timeout=60)
        assert [child for child in alive if child.status() != psutil.STATUS_ZOMBIE] == []
        live = await cluster.session.request("GET", cluster.resource("", "ConfigMap").path(shop.name, "limits"))
        assert live["data"] == {"most": end.name}


async def _said(process: asyncio.subprocess.Process, what: bytes) -> str:
    assert process.stderr
    seen = b""
    async for line in process.stderr:
        seen += line
        if what in line:
            return seen.decode()
    raise AssertionError(seen.decode())


async def _report(said: str) -> str:
    """The page whose address was told at the start."""
    address = next(line.split()[1] for line in said.splitlines() if line.startswith("report "))
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def _open_drift(cluster: str) -> dict[str, Any]:
    async with asyncio.timeout(120):
        while True:
            found = await setpoint("drift", "--cluster", cluster, "--output", "json")
            rows: list[dict[str, Any]] = json.loads(found.out) if found.code in (0, 1) and found.out else []
            if rows:
                return rows[0]


async def test_the_demo_ends_as_it_states() -> None:
    """The newcomer's first command, as data: every scene as stated, every decision recorded."""
    found = await setpoint("demo", "--output", "json")
    data = json.loads(found.out)
    assert [(scene["name"], scene["problems"]) for scene in data["scenes"] if not scene["ok"]] == []
    assert (found.code, len(data["scenes"])) == (0, 11)
