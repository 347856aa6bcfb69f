"""Fixes that a real API server refuses: what is made anew, what is never deleted, and how each refusal is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from schemas.events import DriftDetected, DriftState, FieldChange, Outcome, Reason
from services.kube.api.cluster import open_cluster
from services.kube.api.errors import ApiError
from services.kube.correction.revert import put_back
from services.kube.objects import Object, key_of
from services.kube.verdict.judge import judge
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from services.reconciler.acting.hands import KubeHands
from services.reconciler.acting.worker import run_action
from tests.fakes import eventually
from tests.fixing import DONE, Workshop, bench, ended, job_for, with_container
from tests.reconciler_kit import drift
from tests.watching import Client, client_of, config_map, deployment, random_name, reader_kubeconfig
from tests.webhooks import Mode as Webhook
from tests.webhooks import Webhooks, serving

pytestmark = pytest.mark.integration


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def webhooks(control_plane: LocalControlPlane) -> AsyncIterator[Webhooks]:
    async with serving(control_plane) as server:
        yield server


@pytest.fixture
async def shop(client: Client, tmp_path: Path) -> Workshop:
    """Somewhere to break and fix things."""
    return Workshop(client, await client.namespace(), tmp_path)


# What cannot change


def job(namespace: str) -> Object:
    pod = {"containers": [{"name": "once", "image": "example.org/once:1"}], "restartPolicy": "Never"}
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once", "namespace": namespace},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }  # fmt: skip


def stateful_set(namespace: str, **spec: Any) -> Object:
    labels = {"app": "db"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "db", "image": "example.org/db:1"}]}}
    return {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": namespace},
        "spec": {"replicas": 1, "serviceName": "db", "selector": {"matchLabels": labels}, "template": pod, **spec},
    }  # fmt: skip


def claim_template(size: str) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}


def role_binding(namespace: str, role: str) -> Object:
    rbac = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "bind", "namespace": namespace},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": rbac}],
    }  # fmt: skip


def service(namespace: str) -> Object:
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": namespace},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }  # fmt: skip


def relabelled(obj: Object) -> Object:
    """Another selector."""
    labels = {"app": "other"}
    template = {**obj["spec"]["template"], "metadata": {"labels": labels}}
    return {**obj, "spec": {**obj["spec"], "selector": {"matchLabels": labels}, "template": template}}


def changed_template(obj: Object) -> Object:
    return with_container(obj, image="example.org/other:2")


@pytest.mark.parametrize(
    ("make", "change"),
    [
        pytest.param(lambda ns: deployment(ns), relabelled, id="a Deployment's selector"),
        pytest.param(job, changed_template, id="a Job's template"),
        pytest.param(stateful_set, lambda o: stateful_set(o["metadata"]["namespace"], serviceName="other"),
                     id="a StatefulSet's Service"),
        pytest.param(lambda ns: role_binding(ns, "view"), lambda o: role_binding(o["metadata"]["namespace"], "edit"),
                     id="a RoleBinding's role"),
        pytest.param(service, lambda o: {**o, "spec": {**o["spec"], "clusterIP": "None"}}, id="a Service's address"),
        pytest.param(lambda ns: {**config_map(ns, a="1"), "immutable": True},
                     lambda o: {**o, "data": {"a": "2"}}, id="an immutable ConfigMap"),
        pytest.param(lambda ns: secret(ns, "example.org/a"), lambda o: secret(o["metadata"]["namespace"], "Opaque"),
                     id="a Secret's type"),
    ],
)  # fmt: skip
async def test_what_cannot_change_is_made_anew_only_where_the_policy_says_so(
    shop: Workshop, make: Any, change: Any
) -> None:
    """Without `recreate` nothing is touched; with it another object has the name, as declared."""
    await shop.client.apply(make(shop.namespace))
    declared = shop.declare(change(make(shop.namespace)))
    before = await shop.live(declared)
    result = await shop.fix(declared)
    assert (result.outcome, result.reason, result.applied) == (Outcome.FAILED, Reason.IMMUTABLE, False)
    assert (await shop.live(declared))["metadata"]["uid"] == before["metadata"]["uid"]
    assert ended(await shop.fix(declared, revert={"recreate": True})) == DONE
    after = await shop.live(declared)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert (await judge(shop.cluster, declared, after)).state is None


def secret(namespace: str, kind: str) -> Object:
    meta = {"name": "typed", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": kind, "stringData": {"a": "1"}}


async def test_what_was_made_anew_cannot_be_undone(shop: Workshop) -> None:
    """The undo says so, and leaves the new object."""
    obj = deployment(shop.namespace)
    await shop.client.apply(obj)
    nowhere = relabelled(obj)
    nowhere["spec"]["template"]["spec"] = {**nowhere["spec"]["template"]["spec"], "nodeSelector": {"disk": "none"}}
    declared = shop.declare(nowhere)
    verify = {"within": "1s", "until": ["available"]}
    result = await shop.fix(declared, revert={"recreate": True}, verify=verify, undo="auto")
    assert (result.outcome, result.reason) == (Outcome.INEFFECTIVE, Reason.NOT_VERIFIED)
    assert "made anew" in result.message
    assert (await shop.live(declared))["spec"]["selector"]["matchLabels"] == {"app": "other"}


async def test_a_claim_is_never_made_anew(shop: Workshop) -> None:
    """It holds data; a policy's `recreate` does not hold for it."""
    claim = claim_template("1Gi")
    claim["metadata"] = {"name": "data", "namespace": shop.namespace}
    await shop.client.apply(claim)
    other = {**claim, "spec": {**claim["spec"], "accessModes": ["ReadWriteMany"]}}
    declared = shop.declare(other)
    result = await shop.fix(declared, revert={"recreate": True})
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.HOLDS_DATA)
    assert "holds what cannot be declared" in result.message
    assert "deletionTimestamp" not in (await shop.live(declared))["metadata"]


async def test_a_stateful_set_whose_claims_would_go_with_it_is_never_made_anew(shop: Workshop) -> None:
    """`whenDeleted: Delete` makes the claims the set's own; the message names them."""
    policy = {"whenDeleted": "Delete", "whenScaled": "Retain"}
    spec = {"volumeClaimTemplates": [claim_template("1Gi")], "persistentVolumeClaimRetentionPolicy": policy}
    await shop.client.apply(stateful_set(shop.namespace, **spec))
    declared = shop.declare(stateful_set(shop.namespace, **{**spec, "volumeClaimTemplates": [claim_template("2Gi")]}))
    await eventually(lambda: _claimed(shop), within=60, what="the claim belongs to the set")
    result = await shop.fix(declared, revert={"recreate": True})
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.HOLDS_DATA)
    assert "data-db-0" in result.message
    assert "deletionTimestamp" not in (await shop.live(declared))["metadata"]


async def _claimed(shop: Workshop) -> bool:
    claim = await shop.client.get(
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-db-0",
                                                                        "namespace": shop.namespace}}
    )  # fmt: skip
    return claim is not None and bool(claim["metadata"].get("ownerReferences"))


async def test_a_transition_rule_in_its_own_words_is_immutable_too(shop: Workshop) -> None:
    """Nothing in the server's words says so: it is shown by the same manifest being taken as a new object."""
    group = f"{random_name('g')}.example.org"
    size = {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf", "message": "only ever more"}]}
    spec = {"type": "object", "properties": {"size": size}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"disks.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "disks", "kind": "Disk"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}]},
    }  # fmt: skip
    await shop.client.create(crd)
    await eventually(shop.cluster.rediscover, what="the kind is served")
    obj = {"apiVersion": f"{group}/v1", "kind": "Disk", "metadata": {"name": "d", "namespace": shop.namespace},
           "spec": {"size": 1}}  # fmt: skip
    declared = shop.declare(obj)
    await eventually(lambda: _applies(shop, {**obj, "spec": {"size": 5}}), what="the kind can be written")
    result = await shop.fix(declared)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.IMMUTABLE)
    assert "only ever more" in result.message
    assert ended(await shop.fix(declared, revert={"recreate": True})) == DONE
    assert (await shop.live(declared))["spec"] == {"size": 1}
    await shop.client.delete(crd)


async def _applies(shop: Workshop, obj: Object) -> bool:
    try:
        await shop.client.apply(obj)
    except ApiError:
        return False
    return True


class CutOff(KubeHands):
    """Hands that end with the process, between the delete and the create."""

    async def put_back(self, *args: Any, **how: Any) -> Object:
        sent = self.cluster.apply

        async def applied(manifest: Object, *, dry_run: bool = False) -> Object:
            if not dry_run and await self.cluster.get(key_of(manifest)) is None:
                raise asyncio.CancelledError
            return await sent(manifest, dry_run=dry_run)

        self.cluster.apply = applied  # type: ignore[method-assign]
        try:
            return await super().put_back(*args, **how)
        finally:
            self.cluster.apply = sent  # type: ignore[method-assign]


async def test_a_crash_between_delete_and_create_is_made_good_by_the_same_fix(
    shop: Workshop, control_plane: LocalControlPlane
) -> None:
    """The object is missing then; the action that is taken up again creates it."""
    await shop.client.apply(deployment(shop.namespace))
    declared = shop.declare(relabelled(deployment(shop.namespace)))
    own = await open_cluster(control_plane.kubeconfig, CONTEXT)
    first = job_for(declared.key, "revert", step={"revert": {"recreate": True}})
    with pytest.raises(asyncio.CancelledError):
        await run_action(first, declared, lambda _: None, replace(bench(own), hands=CutOff(own)))
    await own.close()
    assert await shop.cluster.get(declared.key) is None
    result = await shop.fix(declared, revert={"recreate": True}, resumed=True)
    assert ended(result) == DONE
    assert (await shop.live(declared))["spec"]["selector"]["matchLabels"] == {"app": "other"}


async def test_a_fix_taken_up_while_the_old_object_is_still_ending_waits_for_it(shop: Workshop) -> None:
    """The delete has been sent, and finalizers hold the object for a while."""
    obj = deployment(shop.namespace)
    obj["metadata"]["finalizers"] = ["example.org/hold"]
    await shop.client.apply(obj)
    declared = shop.declare(relabelled(deployment(shop.namespace)))
    await shop.client.delete(obj)
    fixing = asyncio.create_task(shop.fix(declared, revert={"recreate": True}, resumed=True))
    await eventually(lambda: _ending(shop, obj))
    assert not fixing.done()
    await shop.client.patch(obj, {"metadata": {"finalizers": None}})
    assert ended(await fixing) == DONE


async def _ending(shop: Workshop, obj: Object) -> bool:
    live = await shop.client.get(obj)
    return live is not None and "deletionTimestamp" in live["metadata"]


async def test_nothing_is_deleted_for_a_manifest_that_would_be_refused(shop: Workshop, webhooks: Webhooks) -> None:
    """The new object is tried before the old one goes."""
    obj = deployment(shop.namespace)
    await shop.client.apply(obj)
    wrong = with_container(relabelled(obj), resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}})
    declared = shop.declare(wrong)
    result = await shop.fix(declared, revert={"recreate": True})
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.IMMUTABLE)
    denied = shop.declare(relabelled(obj))
    async with webhooks.registered(shop.client, shop.namespace, Webhook.DENY):
        result = await shop.fix(denied, revert={"recreate": True})
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.WEBHOOK_REFUSED)
    assert "deletionTimestamp" not in (await shop.live(declared))["metadata"]


# Refusals


async def test_a_quota_that_is_spent(shop: Workshop) -> None:
    """May pass without anybody touching the manifest."""
    hard = {"count/configmaps": "0"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": shop.namespace}}
    await shop.client.create({**quota, "spec": {"hard": hard}})
    obj = config_map(shop.namespace, a="1")
    await eventually(lambda: _counted(shop, quota))
    await eventually(lambda: _refused(shop, obj, "exceeded quota"), what="admission knows it as it was counted")
    result = await shop.fix(shop.declare(obj))
    assert (result.outcome, result.reason, result.temporary) == (Outcome.FAILED, Reason.QUOTA, True)
    assert "exceeded quota: q" in result.message


async def _counted(shop: Workshop, quota: Object) -> bool:
    live = await shop.client.get(quota)
    return live is not None and "hard" in live.get("status", {})


async def test_an_admission_policy_that_denies(shop: Workshop) -> None:
    """In its own words."""
    admission, name = {"apiVersion": "admissionregistration.k8s.io/v1"}, random_name("few")
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
            "resources": ["deployments"]}  # fmt: skip
    here = {"matchLabels": {"kubernetes.io/metadata.name": shop.namespace}}
    policy = {**admission, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [{"expression": "object.spec.replicas <= 1", "message": "one is enough"}]}}  # fmt: skip
    binding = {**admission, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
               "spec": {"policyName": name, "validationActions": ["Deny"]}}  # fmt: skip
    await shop.client.create(policy)
    await shop.client.create(binding)
    declared = shop.declare(deployment(shop.namespace))
    await eventually(lambda: _refused(shop, declared.obj), what="the policy holds")
    result = await shop.fix(declared)
    assert (result.outcome, result.reason, result.temporary) == (Outcome.FAILED, Reason.ADMISSION_DENIED, False)
    assert "one is enough" in result.message
    for obj in (binding, policy):
        await shop.client.delete(obj)


async def _refused(shop: Workshop, obj: Object, words: str = "") -> bool:
    try:
        await shop.cluster.apply(obj, dry_run=True)
    except ApiError as error:
        return words in error.message
    return False


async def test_a_webhook_that_denies_and_one_that_is_away(shop: Workshop, webhooks: Webhooks) -> None:
    """The one has decided, the other may be back soon."""
    obj = deployment(shop.namespace)
    declared = await shop.deployed(obj)
    await shop.client.patch(obj, {"spec": {"replicas": 7}})
    async with webhooks.registered(shop.client, shop.namespace, Webhook.DENY):
        result = await shop.fix(declared)
    assert (result.outcome, result.reason, result.temporary) == (Outcome.FAILED, Reason.WEBHOOK_REFUSED, False)
    assert "not on a Tuesday" in result.message
    async with webhooks.registered(shop.client, shop.namespace, Webhook.DENY) as name:
        path = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}"
        elsewhere = [{"op": "replace", "path": "/webhooks/0/clientConfig/url", "value": "https://127.0.0.1:1/away"}]
        await shop.cluster.session.request("PATCH", path, body=elsewhere, content_type="application/json-patch+json")
        result = await eventually(lambda: _with_reason(shop, declared, Reason.WEBHOOK_FAILED))
    assert (result.outcome, result.temporary) == (Outcome.FAILED, True)


async def _with_reason(shop: Workshop, declared: Any, reason: Reason) -> Any:
    result = await shop.fix(declared)
    return result if result.reason is reason else None


async def test_a_webhook_that_undoes_the_fix_makes_it_ineffective(shop: Workshop, webhooks: Webhooks) -> None:
    """What the server stores is not what was declared, however often it is applied; that is no success."""
    obj = deployment(shop.namespace)
    declared = await shop.deployed(obj)
    async with webhooks.registered(shop.client, shop.namespace, Webhook.UNDO):
        await shop.client.patch(obj, {"spec": {"replicas": 7}})
        result = await shop.fix(declared, verify={"within": "1s"})
    assert (result.outcome, result.reason, result.applied) == (Outcome.INEFFECTIVE, Reason.NOT_VERIFIED, True)
    assert "/spec/replicas" in result.message


async def test_a_namespace_that_ends(shop: Workshop) -> None:
    """Nothing can be made there, and nothing is tried."""
    held = config_map(shop.namespace, "held")
    held["metadata"]["finalizers"] = ["example.org/hold"]
    await shop.client.create(held)
    declared = shop.declare(config_map(shop.namespace, a="1"))
    await shop.client.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": shop.namespace}})
    result = await shop.fix(declared)
    assert (result.outcome, result.reason) == (Outcome.SUPERSEDED, Reason.TERMINATING)
    with pytest.raises(ApiError, match="being terminated"):
        await put_back(shop.cluster, declared, None, await judge(shop.cluster, declared, {}))
    await shop.client.patch(held, {"metadata": {"finalizers": None}})


async def test_a_field_that_the_kind_does_not_know(shop: Workshop) -> None:
    """The manifest must change."""
    obj = config_map(shop.namespace, a="1")
    await shop.client.apply(obj)
    declared = shop.declare({**obj, "data": {"a": "2"}, "colour": "blue"})
    result = await shop.fix(declared)
    assert (result.outcome, result.reason, result.temporary) == (Outcome.FAILED, Reason.UNKNOWN_FIELD, False)
    assert "colour" in result.message


async def test_a_kind_that_is_not_served(shop: Workshop) -> None:
    """Nothing is asked of the server."""
    obj = {"apiVersion": "example.org/v1", "kind": "Nothing", "metadata": {"name": "n", "namespace": shop.namespace}}
    declared = shop.declare(config_map(shop.namespace))
    unserved = replace(declared, key=key_of(obj), packed=declared.packer.pack(obj))
    result = await shop.fix(unserved)
    assert (result.outcome, result.reason, result.applied) == (Outcome.SUPERSEDED, Reason.NOT_SERVED, False)


async def test_missing_rights_are_named(shop: Workshop, control_plane: LocalControlPlane, tmp_path: Path) -> None:
    """Also the right that only `recreate` needs."""
    declared = await shop.deployed(config_map(shop.namespace, a="1"))
    await shop.client.patch(declared.obj, {"data": {"a": "2"}})
    file = await reader_kubeconfig(shop.client, control_plane, shop.namespace, tmp_path / "reader")
    reader = await open_cluster(file, CONTEXT)
    result = await shop.fix(declared, cluster=reader)
    await reader.close()
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.FORBIDDEN)
    assert "patch ConfigMap" in result.message


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        pytest.param({"setpoint.dev/paused": "true"}, Reason.FOREIGN_OWNED, id="paused by a mark"),
        pytest.param(None, Reason.CLAIMED_TWICE, id="declared by two baselines"),
    ],
)
async def test_what_became_another_matter_since_the_decision_is_left(
    shop: Workshop, mark: Object | None, reason: Reason
) -> None:
    """The live object has the last word before the write."""
    obj = config_map(shop.namespace, a="1")
    declared = await shop.deployed(obj)
    await shop.client.patch(obj, {"data": {"a": "2"}, "metadata": {"annotations": mark}})
    if not mark:
        declared = replace(declared, rivals=("other",))
    result = await shop.fix(declared)
    assert (result.outcome, result.reason, result.applied) == (Outcome.SUPERSEDED, reason, False)
    assert (await shop.live(declared))["data"] == {"a": "2"}


# What should not be there


def unwanted() -> DriftDetected:
    """The event that a watcher would have sent of a labelled object."""
    change = FieldChange(path="/metadata/labels/setpoint.dev~1baseline", kind="added", live="base")
    return drift(state=DriftState.UNWANTED).model_copy(update={"fields": (change,), "prune": "delete"})


def labelled(namespace: str, **metadata: Any) -> Object:
    obj = config_map(namespace, "leftover", a="1")
    obj["metadata"] |= {"labels": {"setpoint.dev/baseline": "base"}, **metadata}
    return obj


async def test_what_nobody_declares_is_deleted_and_seen_to_be_gone(shop: Workshop) -> None:
    """A second time there is nothing to do."""
    obj = labelled(shop.namespace)
    await shop.client.create(obj)
    assert ended(await shop.prune(obj, unwanted())) == DONE
    assert await shop.client.get(obj) is None
    assert (await shop.prune(obj, unwanted())).reason is Reason.NO_LONGER_TRUE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"labels": None}, Reason.NO_LONGER_TRUE, id="the label is gone"),
        pytest.param({"labels": {"setpoint.dev/baseline": "other"}}, Reason.NO_LONGER_TRUE, id="another baseline's"),
        pytest.param({"annotations": {"setpoint.dev/paused": "true"}}, Reason.FOREIGN_OWNED, id="paused"),
        pytest.param({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, Reason.FOREIGN_OWNED, id="Flux owns it"),
    ],
)  # fmt: skip
async def test_what_is_no_longer_unwanted_stays(shop: Workshop, change: Object, reason: Reason) -> None:
    """It is looked at right before the delete."""
    obj = labelled(shop.namespace)
    await shop.client.create(obj)
    reported = unwanted()
    await shop.client.patch(obj, {"metadata": change})
    result = await shop.prune(obj, reported)
    assert (result.outcome, result.reason, result.applied) == (Outcome.SUPERSEDED, reason, False)
    assert await shop.client.get(obj) is not None


async def test_what_belongs_to_another_object_stays(shop: Workshop) -> None:
    """Its owner decides, and would make it anew."""
    owner = await shop.client.create(config_map(shop.namespace, "owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    obj = labelled(shop.namespace, ownerReferences=[reference])
    await shop.client.create(obj)
    result = await shop.prune(obj, unwanted())
    assert (result.outcome, result.reason) == (Outcome.SUPERSEDED, Reason.FOREIGN_OWNED)
    assert "ConfigMap 'owner'" in result.message
    assert await shop.client.get(obj) is not None


async def test_another_object_of_the_same_name_stays(shop: Workshop) -> None:
    """Somebody deleted the reported one and made a new one, with the label still on it."""
    obj = labelled(shop.namespace)
    await shop.client.create(obj)
    reported = job_for(key_of(obj), "prune", step={"prune": {}}, drift=unwanted(), uid="another")
    result = await run_action(reported, None, lambda _: None, bench(shop.cluster))
    assert (result.outcome, result.reason) == (Outcome.SUPERSEDED, Reason.NO_LONGER_TRUE)
    assert await shop.client.get(obj) is not None


async def test_what_finalizers_hold_is_not_gone(shop: Workshop) -> None:
    """A delete that was accepted is no success; who holds it is told."""
    obj = labelled(shop.namespace, finalizers=["example.org/hold"])
    await shop.client.create(obj)
    result = await shop.prune(obj, unwanted(), verify={"within": "1s"})
    assert (result.outcome, result.reason) == (Outcome.INEFFECTIVE, Reason.NOT_VERIFIED)
    assert "example.org/hold" in result.message
    await shop.client.patch(obj, {"metadata": {"finalizers": None}})
