"""Baselines that only the cluster knows, on a real API server: Helm releases, last-applied notes, applications."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from schemas.baseline import Baseline
from schemas.events import DriftState, FindingReason
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.api.errors import Forbidden
from services.kube.correction.revert import put_back
from services.kube.declaration.baselines import Declared
from services.kube.declaration.declared import DeclaredSource, look_up, resolve
from services.kube.declaration.origins.base import Found
from services.kube.declaration.origins.followed import reader_of
from services.kube.declaration.origins.motion import Moving, refuse_moving
from services.kube.declaration.sources import declared_source
from services.kube.objects import LAST_APPLIED, Object, ObjectKey, key_of
from services.kube.verdict.judge import Finding, judge
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT, kubeconfig
from services.runtime.settings import Settings
from tests.applications import application, define, put_status
from tests.fakes import StillClock
from tests.helm import encoded, release, stored
from tests.watching import Client, client_of, config_map, deployment, random_name, until_reads

pytestmark = pytest.mark.integration
ROLE: dict[str, Any] = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def namespace(client: Client) -> str:
    return await client.namespace()


def baseline(source: dict[str, Any], name: str = "base", **spec: Any) -> Baseline:
    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": name}}
    return Baseline.model_validate({**header, "spec": {"source": source, **spec}})


async def read(client: Client, source: dict[str, Any], **spec: Any) -> Found:
    return await reader_of(baseline(source, **spec), "").read(client.cluster)


def by_key(found: Found) -> dict[ObjectKey, Declared]:
    return {declared.key: declared for declared in found.objects}


async def verdict(client: Client, declared: Declared) -> Finding:
    return await judge(client.cluster, declared, await client.cluster.get(declared.key, declared.version))


async def store(
    client: Client, namespace: str, name: str, revision: int, *manifests: Object, status: str = "deployed", **more: Any
) -> Object:
    """Store one revision, as Helm would."""
    payload = encoded(release(name, revision, *manifests, **more))
    return await client.create(stored(namespace, name, revision, payload, status=status), manager="helm")


async def mark(client: Client, revision: Object, status: str) -> None:
    """Give a stored revision another status, as Helm does when another one is deployed."""
    await client.patch(revision, {"metadata": {"labels": {"status": status}}}, manager="helm")


def bare(obj: Object) -> Object:
    """Without a namespace, as charts write their templates."""
    return {**obj, "metadata": {name: value for name, value in obj["metadata"].items() if name != "namespace"}}


# Helm releases


async def test_the_newest_deployed_revision_of_a_release_is_what_counts(client: Client, namespace: str) -> None:
    """Not the newest one: a failed or pending upgrade declares nothing, and neither do hooks."""
    live = [config_map(namespace, "settings", a="2"), deployment(namespace)]
    for obj in live:
        await client.apply(obj, manager="helm")
    await store(client, namespace, "web", 9, config_map(namespace, "old"), status="superseded")
    hook = bare(config_map(namespace, "migrate"))
    await store(client, namespace, "web", 10, *map(bare, live), hooks=(hook,))
    await store(client, namespace, "web", 11, config_map(namespace, "new"), status="failed")
    found = await read(client, {"helm": {"namespaces": [namespace]}})
    assert found.problems == ()
    assert by_key(found).keys() == {key_of(obj) for obj in live}
    for declared in found.objects:
        assert (declared.revision, declared.manager, declared.observe) == ("web.v10", "helm", "")
        assert declared.file == f"helm release {namespace}/web"
        assert (await verdict(client, declared)).state is None

    await client.patch(live[0], {"data": {"a": "3"}})
    finding = await verdict(client, by_key(found)[key_of(live[0])])
    assert (finding.state, [diff.path for diff in finding.fields]) == (DriftState.CHANGED, ["/data/a"])


async def test_only_new_revisions_are_read_again(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Secrets are large; their metadata says whether they changed."""
    first = await store(client, namespace, "web", 1, config_map(namespace, a="1"))
    await store(client, namespace, "api", 1, config_map(namespace, "other", a="1"))
    reader, asked = reader_of(baseline({"helm": {"namespaces": [namespace]}}), ""), []
    await reader.read(client.cluster)

    request = client.cluster.session.request

    async def counted(method: str, path: str, **more: Any) -> Any:
        asked.append(path)
        return await request(method, path, **more)

    monkeypatch.setattr(client.cluster.session, "request", counted)
    assert len((await reader.read(client.cluster)).objects) == 2
    assert [path for path in asked if "sh.helm" in path] == []
    await mark(client, first, "superseded")
    await store(client, namespace, "web", 2, config_map(namespace, a="2"))
    asked.clear()
    found = by_key(await reader.read(client.cluster))
    assert [path.rpartition("/")[2] for path in asked if "sh.helm" in path] == ["sh.helm.release.v1.web.v2"]
    assert found[key_of(config_map(namespace))].revision == "web.v2"


async def test_a_release_that_cannot_be_decoded_hides_no_other(client: Client, namespace: str) -> None:
    """It is a problem with its name, and so is one manifest among many."""
    await store(client, namespace, "good", 1, config_map(namespace, a="1"))
    await client.create(stored(namespace, "bad", 3, "AAAA"))
    broken: Object = {"kind": "ConfigMap"}
    await store(client, namespace, "half", 1, broken, config_map(namespace, "half", a="1"))
    found = await read(client, {"helm": {"namespaces": [namespace]}})
    assert {key.name for key in by_key(found)} == {"settings", "half"}
    assert found.problems[0] == f"helm release {namespace}/bad: revision 3 cannot be decoded: it is no JSON"
    assert all(problem.startswith(f"helm release {namespace}/half:") for problem in found.problems[1:])
    assert len(found.problems) == 3


async def test_releases_are_chosen_by_globs_and_read_from_either_storage(client: Client, namespace: str) -> None:
    """Helm keeps releases in Secrets or in ConfigMaps."""
    await store(client, namespace, "web-eu", 1, config_map(namespace, "a", a="1"))
    await store(client, namespace, "api", 1, config_map(namespace, "b", a="1"))
    payload = encoded(release("web-us", 4, config_map(namespace, "c", a="1")))
    await client.create(stored(namespace, "web-us", 4, payload, secret=False))
    found = await read(client, {"helm": {"namespaces": [namespace[:-1] + "?"], "releases": ["web-*"]}})
    assert {key.name: declared.revision for key, declared in by_key(found).items()} == {
        "a": "web-eu.v1",
        "c": "web-us.v4",
    }


async def test_scopes_are_filled_in_and_what_lies_outside_is_only_observed(client: Client, namespace: str) -> None:
    """Who may write Secrets in one namespace must not get objects elsewhere made or kept by Setpoint's rights."""
    elsewhere = await client.namespace()
    role = {**ROLE, "metadata": {"name": namespace}}
    unknown = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t"}}
    await store(client, namespace, "web", 1, bare(config_map(namespace)), config_map(elsewhere), role, unknown)
    chosen = by_key(await read(client, {"helm": {"namespaces": [namespace[:-1] + "?"]}}))
    assert {(key.kind, key.namespace, bool(declared.observe)) for key, declared in chosen.items()} == {
        ("ConfigMap", namespace, False), ("ConfigMap", elsewhere, True), ("ClusterRole", "", True),
        ("Thing", namespace, True),
    }  # fmt: skip
    named = await read(client, {"helm": {"namespaces": [namespace]}})
    assert not any(declared.observe for declared in named.objects)
    outside = chosen[key_of(config_map(elsewhere))]
    finding = await verdict(client, outside)
    assert finding.state is DriftState.MISSING
    with pytest.raises(Forbidden, match="only observed: declared by a Helm release"):
        await put_back(client.cluster, outside, None, finding)


async def test_there_is_no_verdict_while_helm_is_at_work(client: Client, namespace: str) -> None:
    """Helm stores the new revision, changes the objects, and only then marks it deployed: no drift at any step of
    that, nor of an uninstall."""
    await client.apply(config_map(namespace, a="1"), manager="helm")
    first = await store(client, namespace, "web", 1, config_map(namespace, a="1"))
    reader = reader_of(baseline({"helm": {"namespaces": [namespace]}}), "")
    (declared,) = (await reader.read(client.cluster)).objects
    await refuse_moving(client.cluster, declared)

    second = await store(client, namespace, "web", 2, config_map(namespace, a="2"), status="pending-upgrade")
    await client.apply(config_map(namespace, a="2"), manager="helm")
    assert (await verdict(client, declared)).state is DriftState.CHANGED
    with pytest.raises(Moving, match="is in pending-upgrade, revision 2"):
        await refuse_moving(client.cluster, declared)
    await mark(client, first, "superseded")
    await mark(client, second, "deployed")
    with pytest.raises(Moving, match="is at revision 2 by now"):
        await refuse_moving(client.cluster, declared)

    (declared,) = (await reader.read(client.cluster)).objects
    assert (await verdict(client, declared)).state is None
    await refuse_moving(client.cluster, declared)

    await mark(client, second, "uninstalling")
    await client.delete(config_map(namespace))
    for obj in (second, first):
        with pytest.raises(Moving, match="is in uninstalling" if obj is second else "is no longer deployed"):
            await refuse_moving(client.cluster, declared)
        await client.delete(obj)
    with pytest.raises(Moving, match="is no longer there"):
        await refuse_moving(client.cluster, declared)
    assert (await reader.read(client.cluster)).objects == ()


# Last-applied notes


def noted(obj: Object, **changes: Any) -> Object:
    """The object with kubectl's note of itself, and with other data than noted if given."""
    note = {LAST_APPLIED: orjson.dumps(obj).decode() + "\n"}
    found = {**obj, "metadata": {**obj["metadata"], "annotations": note}}
    return {**found, "data": {**found["data"], **changes}} if changes else found


KUBECTL = "kubectl-client-side-apply"


async def test_notes_are_found_in_every_kind(client: Client, namespace: str) -> None:
    """Whoever applied with kubectl needs no files to see what was changed by hand since."""
    for obj in (noted(config_map(namespace, a="1")), noted(deployment(namespace))):
        await client.create(obj, manager=KUBECTL)
    await client.create(config_map(namespace, "without", a="1"))
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1", "controller": True}
    made = noted(config_map(namespace, "made", a="1"))
    await client.create({**made, "metadata": {**made["metadata"], "ownerReferences": [owner]}})
    copied = noted(config_map(namespace, "settings", a="1"))
    await client.create({**copied, "metadata": {**copied["metadata"], "name": "copy"}})
    found = by_key(await read(client, {"lastApplied": {"namespaces": [namespace]}}))
    assert {(key.kind, key.name) for key in found} == {("ConfigMap", "settings"), ("Deployment", "web")}
    for declared in found.values():
        assert declared.manager == KUBECTL
        assert (await verdict(client, declared)).state is None

    await client.patch(deployment(namespace), {"spec": {"replicas": 5}}, manager="kubectl-scale")
    finding = await verdict(client, found[key_of(deployment(namespace))])
    assert [(diff.path, diff.desired, diff.live) for diff in finding.fields] == [("/spec/replicas", 2, 5)]


async def test_a_new_apply_is_a_new_declaration_and_no_drift(client: Client, namespace: str) -> None:
    """The note is read from the live object whenever it is judged or put back, not from what was listed before."""
    await client.create(noted(config_map(namespace, a="1")), manager=KUBECTL)
    (declared,) = (await read(client, {"lastApplied": {"namespaces": [namespace]}})).objects
    await client.patch(config_map(namespace), noted(config_map(namespace, a="2")), manager=KUBECTL)
    assert (await verdict(client, declared)).state is None

    await client.patch(config_map(namespace), {"data": {"a": "3"}})
    live = await client.get(config_map(namespace))
    finding = await judge(client.cluster, declared, live)
    assert [(diff.path, diff.desired, diff.live) for diff in finding.fields] == [("/data/a", "2", "3")]
    assert (await put_back(client.cluster, declared, live, finding))["data"] == {"a": "2"}


async def test_a_deleted_object_takes_its_note_with_it(client: Client, namespace: str) -> None:
    """`kubectl delete` is no drift: nothing declares the object any more."""
    await client.create(noted(config_map(namespace, a="1")), manager=KUBECTL)
    reader = reader_of(baseline({"lastApplied": {"namespaces": [namespace]}}), "")
    (declared,) = (await reader.read(client.cluster)).objects
    await client.delete(config_map(namespace))
    assert (await verdict(client, declared)).state is None
    assert (await reader.read(client.cluster)).objects == ()


async def test_a_note_that_is_no_manifest_hides_no_other(client: Client, namespace: str) -> None:
    """Anybody who may edit an object can write anything there."""
    for number, note in enumerate(("{", "5", '{"kind": "ConfigMap"}', "")):
        odd = config_map(namespace, f"odd-{number}")
        await client.create({**odd, "metadata": {**odd["metadata"], "annotations": {LAST_APPLIED: note}}})
    await client.create(noted(config_map(namespace, a="1")), manager=KUBECTL)
    found = await read(client, {"lastApplied": {"namespaces": [namespace], "kinds": ["Config*"]}})
    assert [key.name for key in by_key(found)] == ["settings"]
    assert sorted(found.problems) == [
        f"last-applied: the annotation of ConfigMap {namespace}/odd-{number} is no manifest" for number in range(4)
    ]


async def test_noted_roles_are_only_observed(client: Client) -> None:
    """A note is written by whoever may edit the object, also one who may not grant what it says."""
    name = random_name("role")
    role = {**ROLE, "metadata": {"name": name}}
    note = {LAST_APPLIED: orjson.dumps(role).decode()}
    await client.create({**role, "metadata": {"name": name, "annotations": note}}, manager=KUBECTL)
    found = by_key(await read(client, {"lastApplied": {"kinds": ["ClusterRole"]}}))
    assert "never corrected" in found[key_of(role)].observe


# Applications of Argo CD and Flux


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gitops(client: Client) -> None:
    await define(client)


DEGRADED = {"health": {"status": "Degraded", "message": "why"}}
NOT_READY = {"conditions": [{"type": "Ready", "status": "False", "reason": "R", "message": "why"}]}


@pytest.mark.usefixtures("gitops")
@pytest.mark.parametrize(
    ("kind", "failing", "suspend"),
    [
        ("Application", DEGRADED, {"syncPolicy": {"automated": {"enabled": False}}}),
        ("Kustomization", NOT_READY, {"suspend": True}),
        ("HelmRelease", NOT_READY, {"suspend": True}),
    ],
)
async def test_an_application_is_told_when_it_fails_or_is_suspended(
    client: Client, namespace: str, kind: str, failing: Any, suspend: Any
) -> None:
    """What its spec says is not compared: only its own tool knows what is right there."""
    app = application(kind, namespace, interval="5m")
    await client.create(app, manager="kubectl-create")
    source: dict[str, Any] = {"argocd" if kind == "Application" else "flux": {"namespaces": [namespace]}}
    (declared,) = (await read(client, source)).objects
    assert declared.key == key_of(app)
    assert (await verdict(client, declared)).state is None

    await put_status(client, app, failing)
    finding = await verdict(client, declared)
    assert (finding.state, finding.reason, finding.fields) == (DriftState.CHANGED, FindingReason.FAILING, ())
    assert "why" in finding.message

    await client.patch(app, {"spec": suspend})
    assert (await verdict(client, declared)).reason is FindingReason.SUSPENDED
    with pytest.raises(Forbidden, match="for its own tool"):
        await put_back(client.cluster, declared, await client.get(app), finding)
    await client.delete(app)
    assert (await verdict(client, declared)).state is None


# Everything together


def files(folder: Path, *baselines: Baseline) -> Path:
    text = "\n---\n".join(orjson.dumps(one.model_dump(mode="json", by_alias=True)).decode() for one in baselines)
    (folder / "baselines.yaml").write_text(text, encoding="utf-8")
    return folder


async def test_files_releases_and_notes_make_one_state(client: Client, namespace: str, tmp_path: Path) -> None:
    """A release wins over kubectl's note; a file and a release that declare one object contradict each other."""
    both, mine = config_map(namespace, "both", a="1"), config_map(namespace, "mine", a="1")
    await client.create(noted(both), manager=KUBECTL)
    await client.create(noted(config_map(namespace, "note", a="1")), manager=KUBECTL)
    await store(client, namespace, "web", 1, both, mine)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "mine.json").write_bytes(orjson.dumps(mine))
    path = files(
        tmp_path,
        baseline({"folder": "manifests"}, "base"),
        baseline({"helm": {"namespaces": [namespace]}}, "charts"),
        baseline({"lastApplied": {"namespaces": [namespace]}}, "notes"),
    )
    found = await resolve(client.cluster, path)
    assert {key.name: declared.baseline for key, declared in found.items()} == {
        "both": "charts", "mine": "base", "note": "notes",
    }  # fmt: skip
    finding = await verdict(client, found[key_of(mine)])
    assert finding.reason is FindingReason.CLAIMED_TWICE
    assert finding.message == f"declared by the baselines 'base' and 'charts ({namespace}/web)'"


async def test_choosing_nothing_means_releases_and_notes_and_only_to_observe(client: Client, namespace: str) -> None:
    """Useful at once on any cluster, and harmless whatever policies say."""
    await client.create(noted(config_map(namespace, "note", a="1")), manager=KUBECTL)
    await store(client, namespace, "web", 1, config_map(namespace, "chart", a="1"))
    source = declared_source(Settings())
    await source.ready(client.cluster, StillClock())
    found = {key: one for key, one in source.bound(client.cluster).items() if key.namespace == namespace}
    assert {key.name: declared.baseline for key, declared in found.items()} == {"note": "last-applied", "chart": "helm"}
    assert all("no baseline was chosen" in declared.observe for declared in found.values())
    resolved = await resolve(client.cluster, None)
    assert {key: resolved[key].digest for key in found} == {key: one.digest for key, one in found.items()}


@pytest.fixture
async def viewer(client: Client, control_plane: LocalControlPlane, tmp_path: Path) -> AsyncIterator[Cluster]:
    """The same cluster with a token that may read ConfigMaps and Deployments, and no Secrets."""
    name, space = random_name("viewer"), await client.namespace()
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": space}}
    await client.create(account)
    rule = {"apiGroups": ["", "apps"], "resources": ["configmaps", "deployments"], "verbs": ["get", "list", "watch"]}
    await client.create({**rbac, "kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
    binding = {**rbac, "kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": role, "subjects": [subject]}
    await client.create(binding)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = await client.cluster.session.request("POST", client.path(account) + "/token", body=request)
    file = tmp_path / "viewer.kubeconfig"
    text = kubeconfig(control_plane.url, control_plane.ca_file.read_bytes(), answer["status"]["token"], name)
    file.write_text(text, encoding="utf-8")
    await until_reads(client, space, name)
    cluster = await open_cluster(file, CONTEXT)
    yield cluster
    await cluster.close()


async def test_without_the_right_to_read_secrets_the_rest_goes_on(
    client: Client, viewer: Cluster, namespace: str, tmp_path: Path
) -> None:
    """What may not be read is named; what may be read is found. A source that was asked for also makes unready."""
    await client.create(noted(config_map(namespace, "note", a="1")), manager=KUBECTL)
    unasked = declared_source(Settings())
    await unasked.ready(viewer, StillClock())
    assert key_of(config_map(namespace, "note")) in unasked.bound(viewer)
    assert unasked.problem is None
    secrets, kinds = sorted(problem for problem in unasked.problems if "is no manifest" not in problem)
    assert secrets.startswith("baseline 'helm': forbidden: secrets is forbidden")
    assert kinds.startswith("last-applied: the token may not list ")
    assert "ConfigMap" not in kinds
    assert "Secret" in kinds

    asked = declared_source(Settings(baselines=files(tmp_path, baseline({"helm": {}}, "charts"))))
    await asked.ready(viewer, StillClock())
    assert str(asked.problem).startswith("baseline 'charts': forbidden: secrets is forbidden")


async def test_the_state_follows_the_cluster_and_outlives_its_absence(
    client: Client, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is due is read again; while the API server is away the last good state stays, and says so."""
    path, clock = files(tmp_path, baseline({"helm": {"namespaces": [namespace]}})), StillClock()
    source = declared_source(Settings(baselines=path))
    await store(client, namespace, "web", 1, config_map(namespace, a="1"))
    await source.ready(client.cluster, clock)
    seen = source.version, list(source.bound(client.cluster))
    await store(client, namespace, "api", 1, config_map(namespace, "api", a="1"))
    await source.look(client.cluster, clock)
    assert (source.version, list(source.bound(client.cluster))) == seen, "it is not due yet"

    clock.advance(31)
    await source.look(client.cluster, clock)
    assert source.version > seen[0]
    assert {key.name for key in source.bound(client.cluster)} == {"settings", "api"}

    clock.advance(31)
    seen = source.version, list(source.bound(client.cluster))
    host = client.cluster.session.host
    monkeypatch.setattr(client.cluster.session, "host", "https://127.0.0.1:1")
    await source.look(client.cluster, clock)
    assert "does not answer" in str(source.problem)
    assert (source.version, list(source.bound(client.cluster))) == seen

    monkeypatch.setattr(client.cluster.session, "host", host)
    clock.advance(31)
    await source.look(client.cluster, clock)
    assert source.problem is None


async def test_a_look_up_tells_what_could_not_be_read(client: Client, viewer: Cluster) -> None:
    """`setpoint diff` prints these lines as notes."""
    found = await look_up(viewer, None)
    assert any("forbidden" in problem for problem in found.problems)
    assert [one.metadata.name for one in found.baselines] == ["helm", "last-applied"]


def test_a_source_in_the_cluster_is_awaited(tmp_path: Path) -> None:
    """Before it was read once, every drift of its objects would look as if nobody declared them."""
    source: DeclaredSource = declared_source(Settings(baselines=files(tmp_path, baseline({"helm": {}}))))
    assert not source.complete
