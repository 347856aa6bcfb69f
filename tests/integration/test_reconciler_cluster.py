"""The action `revert` on a real API server, as its worker runs it: what it corrects, what it leaves, how it fails."""

import textwrap
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.events import Mode, Outcome, Reason
from schemas.ledger import InFlight
from schemas.policy import Step
from schemas.target import Target
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.api.session import JSON
from services.kube.declaration.baselines import Declared, folder_state
from services.kube.objects import Object, ObjectKey
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT, kubeconfig
from services.reconciler.acting.hands import KubeHands
from services.reconciler.acting.turns import Turns
from services.reconciler.acting.worker import Bench, run_action
from services.reconciler.inputs import Job, Result
from services.runtime.clock import SystemClock
from services.runtime.logging import get_log
from tests.fakes import eventually
from tests.reconciler_kit import NOON
from tests.watching import Client, until_reads

pytestmark = pytest.mark.integration

DEPLOYMENT = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: NAMESPACE, labels: {team: shop}}
    spec:
      replicas: 2
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers: [{name: web, image: "example.org/web:1", env: [{name: MODE, value: fast}]}]
"""
CONFIG = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings, namespace: NAMESPACE}
    data: {colour: blue}
"""
SECRET = """
    apiVersion: v1
    kind: Secret
    metadata: {name: token, namespace: NAMESPACE}
    stringData: {password: swordfish}
"""
READER = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
MERGE = "application/merge-patch+json"


@dataclass
class Place:
    """A namespace of a test's own, the cluster as Setpoint sees it, and a folder for manifests."""

    cluster: Cluster
    namespace: str
    folder: Path

    def declare(self, manifest: str) -> Declared:
        text = textwrap.dedent(manifest).replace("NAMESPACE", self.namespace)
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        (folder / "object.yaml").write_text(text, encoding="utf-8")
        return folder_state(folder).objects[0]

    async def live(self, declared: Declared) -> Object | None:
        return await self.cluster.get(declared.key)

    async def patch(self, key: ObjectKey, body: Object) -> None:
        """As another client would."""
        path = self.cluster.resource(key.group, key.kind).path(key.namespace, key.name)
        await self.cluster.session.request(
            "PATCH", path, body=body, content_type=MERGE, params={"fieldManager": "kubectl-edit"}
        )

    async def post(self, path: str, body: Object) -> Object:
        made: Object = await self.cluster.session.request("POST", path, body=body, content_type=JSON)
        return made


@pytest.fixture
async def place(control_plane: LocalControlPlane, tmp_path: Path) -> AsyncIterator[Place]:
    """Somewhere to work."""
    cluster = await open_cluster(control_plane.kubeconfig, CONTEXT, "c1")
    namespace = f"revert-{uuid.uuid4().hex[:8]}"
    await cluster.session.request("POST", "/api/v1/namespaces", body={"metadata": {"name": namespace}})
    yield Place(cluster, namespace, tmp_path)
    await cluster.close()


async def run(cluster: Cluster, declared: Declared, *, mode: Mode = Mode.ENFORCE, **step: Any) -> Result:
    target = Target(
        cluster="c1", group=declared.key.group, kind=declared.key.kind, namespace=declared.key.namespace,
        name=declared.key.name,
    )  # fmt: skip
    flight = InFlight(action_id="a", decision_id="d", policy="heal", attempt=1, started_at=NOON, mode=mode)
    job = Job(target, flight, Step.model_validate({"revert": {}, **step}))
    bench = Bench(KubeHands(cluster), SystemClock(), Turns(4), get_log("test"))
    return await run_action(job, declared, lambda _: None, bench)


@pytest.mark.parametrize(
    ("manifest", "change", "read", "wanted"),
    [
        pytest.param(DEPLOYMENT, {"spec": {"replicas": 5}}, lambda o: o["spec"]["replicas"], 2, id="a number"),
        pytest.param(
            DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [
                {"name": "web", "image": "example.org/web:2", "env": [{"name": "MODE", "value": "slow"},
                                                                      {"name": "EXTRA", "value": "1"}]}]}}}},
            lambda o: (o["spec"]["template"]["spec"]["containers"][0]["image"],
                       o["spec"]["template"]["spec"]["containers"][0]["env"]),
            ("example.org/web:1", [{"name": "MODE", "value": "fast"}]), id="image, a variable, and one more",
        ),
        pytest.param(DEPLOYMENT, {"metadata": {"labels": {"team": None, "extra": "x"}}},
                     lambda o: o["metadata"].get("labels"), {"team": "shop"}, id="one label less, one more"),
        pytest.param(CONFIG, {"data": {"colour": "red", "more": "x"}}, lambda o: o["data"], {"colour": "blue"},
                     id="keys of a map"),
        pytest.param(SECRET, {"data": {"password": "aHVudGVyMg=="}}, lambda o: o["data"],
                     {"password": "c3dvcmRmaXNo"}, id="a Secret"),
    ],
)  # fmt: skip
async def test_what_another_client_changed_is_as_declared_again(
    place: Place, manifest: str, change: Object, read: Any, wanted: Any
) -> None:
    """Changed, removed and added fields; what the answer of the write shows is what was verified."""
    declared = place.declare(manifest)
    await place.cluster.apply(declared.obj)
    await place.patch(declared.key, change)
    result = await run(place.cluster, declared)
    assert (result.outcome, result.reason) == (Outcome.SUCCEEDED, Reason.VERIFIED)
    live = await place.live(declared)
    assert live is not None
    assert read(live) == wanted
    assert (await run(place.cluster, declared)).reason is Reason.NO_LONGER_TRUE


async def test_a_deleted_object_is_there_again(place: Place) -> None:
    """And runs, where the policy wants to see it run."""
    declared = place.declare(DEPLOYMENT)
    result = await run(place.cluster, declared, verify={"within": "60s", "until": ["inSync", "available"]})
    assert result.outcome is Outcome.SUCCEEDED
    live = await place.live(declared)
    assert live is not None
    assert live["status"]["availableReplicas"] == 2


async def test_a_dry_run_writes_nothing(place: Place) -> None:
    """The plan has before and after; the object is as it was."""
    declared = place.declare(DEPLOYMENT)
    await place.cluster.apply(declared.obj)
    await place.patch(declared.key, {"spec": {"replicas": 4}})
    result = await run(place.cluster, declared, mode=Mode.DRY_RUN)
    assert result.reason is Reason.DRY_RUN_MODE
    assert "/spec/replicas: 4 → 2" in result.message
    live = await place.live(declared)
    assert live is not None
    assert live["spec"]["replicas"] == 4


async def test_a_fix_that_never_gets_available_is_undone(place: Place) -> None:
    """The declared state asks for a node that does not exist; what somebody had changed it to stands again."""
    declared = place.declare(
        DEPLOYMENT.replace("          containers:", "          nodeSelector: {disk: none}\n          containers:")
    )
    await place.cluster.apply(declared.obj)
    await place.patch(declared.key, {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    await eventually(partial(rolled_out, place, declared), what="it runs without the selector")
    result = await run(place.cluster, declared, verify={"within": "3s", "until": ["available"]}, undo="auto")
    assert (result.outcome, result.reason) == (Outcome.UNDONE, Reason.NOT_VERIFIED)
    live = await place.live(declared)
    assert live is not None
    assert "nodeSelector" not in live["spec"]["template"]["spec"]


async def rolled_out(place: Place, declared: Declared) -> bool:
    live = await place.live(declared)
    status = (live or {}).get("status") or {}
    seen = live is not None and status.get("observedGeneration") == live["metadata"]["generation"]
    return bool(seen and status.get("availableReplicas") == status.get("updatedReplicas") == 2)


async def test_an_object_that_the_fix_made_is_gone_after_the_undo(place: Place) -> None:
    """Nothing stood there before."""
    declared = place.declare(
        DEPLOYMENT.replace("          containers:", "          nodeSelector: {disk: none}\n          containers:")
    )
    result = await run(place.cluster, declared, verify={"within": "1s", "until": ["available"]}, undo="auto")
    assert result.outcome is Outcome.UNDONE
    live = await place.live(declared)
    assert live is None or "deletionTimestamp" in live["metadata"]


async def test_an_immutable_field_is_said_to_be_one(place: Place) -> None:
    """The selector of a Deployment cannot be changed back."""
    declared = place.declare(DEPLOYMENT)
    await place.cluster.apply(declared.obj)
    other = place.declare(DEPLOYMENT.replace("app: web", "app: other"))
    result = await run(place.cluster, other)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.IMMUTABLE)


async def test_what_is_wrong_with_a_secret_is_said_without_its_values(place: Place) -> None:
    """The server quotes what it refuses; the message does not."""
    declared = place.declare(SECRET.replace("{password: swordfish}", "{'pass word': swordfish}"))
    result = await run(place.cluster, declared)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.INVALID)
    assert "swordfish" not in result.message
    assert "c3dvcmRmaXNo" not in result.message


async def test_a_missing_namespace_is_a_reason(place: Place) -> None:
    """Not a crash, and not an endless wait."""
    declared = place.declare(CONFIG.replace("NAMESPACE", "nowhere"))
    result = await run(place.cluster, declared)
    assert (result.outcome, result.reason, result.temporary) == (Outcome.FAILED, Reason.INVALID, False)


async def test_a_readers_token_is_told_which_right_is_missing(
    place: Place, control_plane: LocalControlPlane, tmp_path: Path
) -> None:
    """A real ServiceAccount that may read only."""
    declared = place.declare(CONFIG)
    await place.cluster.apply(declared.obj)
    await place.patch(declared.key, {"data": {"colour": "red"}})
    reader = await open_as_reader(place, control_plane, tmp_path)
    try:
        result = await run(reader, declared)
    finally:
        await reader.close()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.FORBIDDEN)
    assert f"patch ConfigMap in namespace {place.namespace}" in result.message


async def open_as_reader(place: Place, control_plane: LocalControlPlane, tmp_path: Path) -> Cluster:
    """The cluster, with the token of an account that may get, list and watch."""
    at, rbac = f"/api/v1/namespaces/{place.namespace}/serviceaccounts", "/apis/rbac.authorization.k8s.io/v1"
    role = f"reader-{place.namespace}"
    await place.post(at, {"metadata": {"name": "reader"}})
    await place.post(f"{rbac}/clusterroles", {"metadata": {"name": role}, "rules": READER})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": place.namespace}
    await place.post(
        f"{rbac}/clusterrolebindings",
        {"metadata": {"name": role}, "subjects": [subject],
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}},
    )  # fmt: skip
    token = (await place.post(f"{at}/reader/token", {"spec": {}}))["status"]["token"]
    await until_reads(Client(place.cluster), place.namespace, "reader")
    file = tmp_path / "reader.kubeconfig"
    file.write_text(kubeconfig(control_plane.url, control_plane.ca_file.read_bytes(), token, "reader"))
    return await open_cluster(file, CONTEXT, "c1")
