"""The kube floor on a real API server: rights, verdicts, and the two writes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import DriftState
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.api.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from services.kube.api.session import connect
from services.kube.correction.revert import put_back, put_forward
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, ObjectKey, key_of
from services.kube.verdict.judge import Finding, judge
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT, kubeconfig
from services.local.ports import free
from services.runtime.errors import Temporary, UsageError
from tests.fakes import eventually
from tests.kinds import until_usable
from tests.watching import Client, Files, client_of, config_map, deployment, random_name, reader_kubeconfig

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def namespace(client: Client) -> str:
    return await client.namespace()


@pytest.fixture
async def reader(
    client: Client, control_plane: LocalControlPlane, namespace: str, tmp_path: Path
) -> AsyncIterator[Cluster]:
    """The same cluster with a token that may only read."""
    cluster = await open_cluster(
        await reader_kubeconfig(client, control_plane, namespace, tmp_path / "reader.kubeconfig"), CONTEXT
    )
    yield cluster
    await cluster.close()


def declare(folder: Path, obj: Object, *ignore: str, manager: str | None = "deployer") -> Declared:
    rules = [{"path": path, "reason": "somebody else's"} for path in ignore]
    return Files(folder, manager, rules).write(obj).declared()[key_of(obj)]


async def verdict(cluster: Cluster, declared: Declared, live: Object | None, **how: bool) -> Finding:
    return await judge(cluster, declared, live, **how)


def told(finding: Finding) -> list[tuple[str, str]]:
    return sorted((diff.kind, diff.path) for diff in finding.fields)


async def test_a_cluster_is_the_one_that_was_named(control_plane: LocalControlPlane, tmp_path: Path) -> None:
    """An unknown context, a missing file and a server that is away are three different errors."""
    with pytest.raises(UsageError, match="nowhere"):
        await connect(control_plane.kubeconfig, "nowhere")
    with pytest.raises(UsageError, match="no kubeconfig"):
        await connect(tmp_path / "none", CONTEXT)
    away = tmp_path / "away"
    url = f"https://127.0.0.1:{free(1)[0]}"
    away.write_text(kubeconfig(url, control_plane.ca_file.read_bytes(), "token"), encoding="utf-8")
    with pytest.raises(Unavailable):
        await open_cluster(away, CONTEXT)
    wrong = tmp_path / "wrong"
    wrong.write_text(kubeconfig(control_plane.url, control_plane.ca_file.read_bytes(), "no token"), encoding="utf-8")
    with pytest.raises(Forbidden, match="credentials"):
        await open_cluster(wrong, CONTEXT)


async def test_answers_are_told_apart(client: Client, namespace: str, reader: Cluster) -> None:
    """Missing, forbidden, in conflict, refused: each its own class, with the server's words."""
    obj = config_map(namespace, a="1")
    stored = await client.create(obj)
    with pytest.raises(Conflict):
        await client.cluster.create(obj)
    with pytest.raises(Conflict):
        await client.cluster.replace({**stored, "metadata": {**stored["metadata"], "resourceVersion": "1"}})
    with pytest.raises(Conflict):
        await client.cluster.delete(key_of(obj), uid="another")
    with pytest.raises(Forbidden, match="cannot patch"):
        await reader.apply(obj, dry_run=True)
    with pytest.raises(NotFound, match="Nothing"):
        client.cluster.resource("example.org", "Nothing")
    with pytest.raises(NotFound, match="version v2"):
        client.cluster.resource("apps", "Deployment", "v2")
    with pytest.raises(Invalid, match="not declared"):
        await client.cluster.apply({**obj, "dat": {}}, dry_run=True)
    assert await client.cluster.get(ObjectKey("", "ConfigMap", namespace, "none")) is None
    assert await client.cluster.get(ObjectKey("example.org", "Nothing", namespace, "none")) is None
    assert not isinstance(Conflict(""), Temporary)


async def test_rights_can_be_asked_for(client: Client, namespace: str, reader: Cluster) -> None:
    """Before an action, so that a missing right is a reason and no crash."""
    deployments = reader.resource("apps", "Deployment")
    assert await reader.allowed("list", deployments, namespace)
    assert not await reader.allowed("patch", deployments, namespace)
    assert await client.cluster.allowed("patch", deployments, namespace)


async def test_what_is_refused_of_a_secret_shows_no_value(client: Client, namespace: str) -> None:
    """The server quotes values in its answers; they end here."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}}
    with pytest.raises(Invalid) as refused:
        await client.cluster.apply({**secret, "data": {"k": "hunter2 is no base64"}})
    assert "hunter2" not in str(refused.value)
    docker = {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "hunter2"}}
    with pytest.raises(Invalid) as refused:
        await client.cluster.apply({**secret, **docker})
    assert "hunter2" not in str(refused.value)


async def test_a_right_object_is_in_sync(client: Client, namespace: str, tmp_path: Path) -> None:
    """However the server spells and completes what was applied."""
    obj = deployment(namespace)
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    live = await eventually(lambda: client.get(obj))
    assert await verdict(client.cluster, declared, live) == Finding(None)
    assert await verdict(client.cluster, declared, None) == Finding(DriftState.MISSING)


EDITS: Any = {
    "spec": {
        "replicas": 5,
        "paused": True,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "example.org/web:2",
                        "env": [{"name": "DEBUG", "value": "1"}],
                        "ports": [{"containerPort": 8080}],
                    },
                    {"name": "sidecar", "image": "example.org/side:1"},
                ]
            }
        },
    },
    "metadata": {"labels": {"by": "hand"}},
}
EDITED = [
    ("added", "/metadata/labels/by"),
    ("added", "/spec/paused"),
    ("added", "/spec/template/spec/containers/0/env/0"),
    ("added", "/spec/template/spec/containers/1"),
    ("changed", "/spec/replicas"),
    ("changed", "/spec/template/spec/containers/0/image"),
]
LOST = ("removed", "/spec/template/spec/containers/0/env/0")


@pytest.mark.parametrize("manager", ["kubectl-edit", "OpenAPI-Generator"])
async def test_both_engines_see_what_was_changed_removed_and_added(
    client: Client, namespace: str, tmp_path: Path, manager: str
) -> None:
    """By any other client, with the server's word and without."""
    obj = deployment(namespace)
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    live = await client.patch(obj, EDITS, manager)
    for dry_run, engine, reason in ((True, "dry-run", None), (False, "local", None)):
        finding = await verdict(client.cluster, declared, live, dry_run=dry_run)
        assert (finding.state, finding.engine, finding.reason) == ("changed", engine, reason)
        assert told(finding) == sorted([*EDITED, LOST])


async def test_a_reader_gets_the_local_verdict(client: Client, namespace: str, reader: Cluster, tmp_path: Path) -> None:
    """The same fields, and that the token may not ask the server."""
    obj = deployment(namespace)
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    live = await client.patch(obj, EDITS)
    finding = await verdict(reader, declared, live)
    assert (finding.engine, finding.reason) == ("local", "forbidden")
    assert told(finding) == sorted([*EDITED, LOST])
    only_added = (
        await client.patch(config := config_map(namespace, a="1"), {})
        if False
        else await client.apply(config := config_map(namespace, a="1"))
    )
    config = config_map(namespace, a="1")
    await client.apply(config)
    only_added = await client.patch(config, {"data": {"b": "2"}})
    finding = await verdict(reader, declare(tmp_path, config), only_added)
    assert (finding.engine, finding.reason, told(finding)) == ("local", "forbidden", [("added", "/data/b")])


def several_kinds(namespace: str) -> list[Object]:
    """Kinds to which the server adds many defaults."""
    labels = {"app": "x"}
    pod: Any = {
        "metadata": {"labels": labels},
        "spec": {
            "containers": [{
                "name": "x", "image": "example.org/x:1", "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
                "volumeMounts": [{"name": "c", "mountPath": "/c"}],
            }],
            "volumes": [{"name": "c", "configMap": {"name": "c"}}],
            "serviceAccountName": "default",
        },
    }  # fmt: skip
    once: Any = {**pod, "spec": {**pod["spec"], "restartPolicy": "Never"}}
    workload = {"selector": {"matchLabels": labels}, "template": pod}
    claim = {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"],
             "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip
    scaled = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, "maxReplicas": 3}
    specs: list[tuple[str, str, Any]] = [
        ("apps/v1", "Deployment", workload),
        ("apps/v1", "StatefulSet", {**workload, "serviceName": "x", "volumeClaimTemplates": [claim]}),
        ("apps/v1", "DaemonSet", workload),
        ("batch/v1", "Job", {"template": once}),
        ("batch/v1", "CronJob", {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": once}}}),
        ("v1", "Service", {"selector": labels, "ports": [{"port": 80}]}),
        ("v1", "PersistentVolumeClaim", claim["spec"]),
        ("autoscaling/v2", "HorizontalPodAutoscaler", scaled),
        ("policy/v1", "PodDisruptionBudget", {"minAvailable": 1, "selector": {"matchLabels": labels}}),
        ("networking.k8s.io/v1", "NetworkPolicy", {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]}),
        ("networking.k8s.io/v1", "Ingress",
         {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}),
    ]  # fmt: skip
    return [
        {
            "apiVersion": version,
            "kind": kind,
            "metadata": {"name": "x", "namespace": namespace, "labels": labels},
            "spec": spec,
        }
        for version, kind, spec in specs
    ]


async def test_defaults_are_nobodys_additions(client: Client, namespace: str, reader: Cluster, tmp_path: Path) -> None:
    """Who creates an object with a plain POST owns all its defaults, and is not trusted here.

    The dry-run tells them from additions, and so does the local engine, also after that client has written again.
    """
    for obj in several_kinds(namespace):
        declared = declare(tmp_path, obj, manager=None)
        live = await client.create(obj)
        found = {
            "dry-run": told(await verdict(client.cluster, declared, live)),
            "reader": told(await verdict(reader, declared, live)),
        }
        live = await client.patch(obj, {"metadata": {"annotations": {"by": "hand"}}}, "kubectl-create")
        for entry in live["metadata"]["managedFields"]:
            entry["time"] = "2099-01-01T00:00:00Z"  # as if it had been some seconds later
        found["dry-run, written again"] = told(await verdict(client.cluster, declared, live))
        found["reader, written again"] = told(await verdict(reader, declared, live))
        mark = [("added", "/metadata/annotations/by")]
        expected = {"dry-run": [], "reader": [], "dry-run, written again": mark, "reader, written again": mark}
        assert (obj["kind"], found) == (obj["kind"], expected)


async def test_a_refused_dry_run_is_drift_all_the_same(client: Client, namespace: str, tmp_path: Path) -> None:
    """An immutable field that differs can only be judged locally, and the verdict says why."""
    obj = deployment(namespace)
    await client.apply(obj)
    live = await client.get(obj)
    obj["spec"]["selector"] = {"matchLabels": {"app": "web", "more": "labels"}}
    obj["spec"]["template"]["metadata"]["labels"] = {"app": "web", "more": "labels"}
    finding = await verdict(client.cluster, declare(tmp_path, obj), live)
    assert (finding.state, finding.engine, finding.reason) == ("changed", "local", "immutable")
    assert "/spec/selector" in [path for _, path in told(finding)]


async def test_put_back_makes_it_as_declared(client: Client, namespace: str, tmp_path: Path) -> None:
    """Changed, removed and added fields, whoever owns them; a second time there is nothing to do."""
    obj = deployment(namespace)
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    live = await client.patch(obj, EDITS)
    stored = await put_back(client.cluster, declared, live, await judge(client.cluster, declared, live))
    assert (await judge(client.cluster, declared, stored)).state is None
    container = stored["spec"]["template"]["spec"]["containers"]
    assert [(one["name"], one["image"], len(one["env"])) for one in container] == [("web", "example.org/web:1", 1)]
    assert "paused" not in stored["spec"]
    assert "by" not in stored["metadata"].get("labels", {})
    again = await client.cluster.apply(declared.obj)
    assert again["metadata"]["generation"] == stored["metadata"]["generation"]


async def test_put_back_of_additions_only(client: Client, namespace: str, tmp_path: Path) -> None:
    """Several items of one list, taken out at once."""
    obj = deployment(namespace)
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    env = [{"name": "MODE", "value": "plain"}, *({"name": f"E{n}", "value": "x"} for n in range(12))]
    container = {**obj["spec"]["template"]["spec"]["containers"][0], "env": env}
    live = await client.patch(obj, {"spec": {"template": {"spec": {"containers": [container]}}}})
    finding = await judge(client.cluster, declared, live)
    assert {kind for kind, _ in told(finding)} == {"added"}
    stored = await put_back(client.cluster, declared, live, finding)
    assert stored["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "MODE", "value": "plain"}]


async def test_put_back_makes_what_is_missing(client: Client, namespace: str, tmp_path: Path) -> None:
    """A deleted object is created by the same apply."""
    obj = config_map(namespace, a="1")
    declared = declare(tmp_path, obj)
    stored = await put_back(client.cluster, declared, None, await judge(client.cluster, declared, None))
    assert stored["data"] == {"a": "1"}


async def test_put_back_leaves_what_the_baseline_leaves_to_others(
    client: Client, namespace: str, tmp_path: Path
) -> None:
    """An ignored field keeps its live value and its owner, also while another one is corrected."""
    obj = deployment(namespace)
    declared = declare(tmp_path, obj, "/spec/replicas")
    await client.apply(obj)
    live = await client.patch(obj, {"spec": {"replicas": 7, "minReadySeconds": 5}})
    finding = await judge(client.cluster, declared, live)
    assert told(finding) == [("added", "/spec/minReadySeconds")]
    stored = await put_back(client.cluster, declared, live, finding)
    assert stored["spec"]["replicas"] == 7


async def test_put_back_in_the_version_that_is_declared(client: Client, namespace: str, tmp_path: Path) -> None:
    """Paths are those of that version, which need not be the one that the server prefers."""
    obj = {
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h", "namespace": namespace},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, "maxReplicas": 3},
    }  # fmt: skip
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    live = await client.patch(obj, {"spec": {"targetCPUUtilizationPercentage": 11}})
    finding = await judge(client.cluster, declared, live)
    assert told(finding) == [("added", "/spec/targetCPUUtilizationPercentage")]
    stored = await put_back(client.cluster, declared, live, finding)
    assert (await judge(client.cluster, declared, stored)).state is None


async def test_put_back_of_what_changed_meanwhile_is_refused(client: Client, namespace: str, tmp_path: Path) -> None:
    """An addition that is no longer what was judged is looked at again first."""
    obj = config_map(namespace, a="1")
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    live = await client.patch(obj, {"data": {"b": "2"}})
    finding = await judge(client.cluster, declared, live)
    await client.patch(obj, {"data": {"b": "3"}})
    with pytest.raises(Conflict):
        await put_back(client.cluster, declared, live, finding)


async def test_put_forward_lets_stand_what_stood_before(client: Client, namespace: str, tmp_path: Path) -> None:
    """The undo of a correction, unless somebody has written since."""
    obj = deployment(namespace)
    declared = declare(tmp_path, obj)
    await client.apply(obj)
    before = await client.patch(obj, EDITS)
    await put_back(client.cluster, declared, before, await judge(client.cluster, declared, before))

    async def undone() -> bool:
        now = await client.get(obj)
        assert now
        try:
            await put_forward(client.cluster, before, now)
        except Conflict:  # the Deployment's own controller wrote
            return False
        return True

    await eventually(undone)
    now = await client.get(obj)
    assert now
    assert told(await judge(client.cluster, declared, now)) == sorted([*EDITED, LOST])
    await client.patch(obj, {"spec": {"replicas": 6}})
    with pytest.raises(Conflict):
        await put_forward(client.cluster, before, now)


async def test_put_forward_takes_away_what_was_made(client: Client, namespace: str, tmp_path: Path) -> None:
    """Only the very object that the correction made."""
    obj = config_map(namespace, a="1")
    declared = declare(tmp_path, obj)
    made = await put_back(client.cluster, declared, None, Finding(DriftState.MISSING))
    await client.delete(obj)
    await client.create(obj)
    with pytest.raises(Conflict):
        await put_forward(client.cluster, None, made)
    made = await client.get(obj) or {}
    await put_forward(client.cluster, None, made)
    await eventually(lambda: _absent(client, obj))


async def _absent(client: Client, obj: Object) -> bool:
    return await client.get(obj) is None


def definition(group: str, kind: str) -> Object:
    """A CRD whose list is a map by name."""
    item = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 1}},
            "required": ["name"]}  # fmt: skip
    rules: Any = {
        "type": "array",
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"rules": rules}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.lower()}s.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "versions": [version],
                 "names": {"plural": f"{kind.lower()}s", "singular": kind.lower(), "kind": kind}},
    }  # fmt: skip


async def test_a_new_kind_is_known_with_its_schema(client: Client, namespace: str, tmp_path: Path) -> None:
    """Custom resources are compared by the rules of their own definition: order of a map list is no drift."""
    group = f"{random_name('g')}.example.org"
    await client.create(definition(group, "Quota"))

    await until_usable(client, group, "v1", "Quota", schema=True)

    async def nothing_new() -> bool:
        return await client.cluster.rediscover() is False

    await eventually(nothing_new)  # at once, unless a definition of another test comes or goes just now
    obj = {
        "apiVersion": f"{group}/v1", "kind": "Quota", "metadata": {"name": "q", "namespace": namespace},
        "spec": {"rules": [{"name": "a"}, {"name": "b"}]},
    }  # fmt: skip
    declared = declare(tmp_path, obj)
    live = await client.create({**obj, "spec": {"rules": [{"name": "b"}, {"name": "a", "size": 1}]}}, "deployer")
    assert (await judge(client.cluster, declared, live, dry_run=False)).state is None
    live = await client.patch(obj, {"spec": {"rules": [{"name": "a", "size": 9}, {"name": "c"}]}})
    assert told(await judge(client.cluster, declared, live)) == [
        ("added", "/spec/rules/0/size"), ("added", "/spec/rules/1"), ("removed", "/spec/rules/1"),
    ]  # fmt: skip


async def test_scopes_are_those_of_the_kind(client: Client) -> None:
    """A namespace that is missing is `default`; one that may not be is left out."""
    bare = config_map("", "c")
    del bare["metadata"]["namespace"]
    assert client.cluster.bind(bare)["metadata"]["namespace"] == "default"
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "namespace": "odd"}}
    assert client.cluster.bind(node)["metadata"] == {"name": "n"}
