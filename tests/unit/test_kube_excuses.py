"""What is no drift though it differs: controllers' writes and shipped rules; and what a correction leaves alone."""

import pytest

from services.kube.comparison.applying import appliable
from services.kube.objects import Object, key_of
from services.kube.pointer import FieldDiff
from services.kube.verdict.excuses import IGNORE, excuse, own_rules
from services.kube.writers.marks import TRACKING, claimed_by
from services.kube.writers.trust import is_controller, is_person, known, may_change, shipped, trusts

REPLICAS = FieldDiff("/spec/replicas", "changed", 3, 7)
FIELDS: Object = {"f:spec": {"f:replicas": {}}}


def deployment(
    *entries: tuple[str, str], annotations: dict[str, str] | None = None, labels: dict[str, str] | None = None
) -> Object:
    """A live Deployment; `entries` are (manager, subresource) that own its replicas."""
    managed = [
        {"manager": manager, "operation": "Update", "subresource": sub, "fieldsV1": FIELDS} for manager, sub in entries
    ]
    metadata = {"name": "web", "namespace": "shop", "managedFields": managed, "labels": labels or {}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**metadata, "annotations": annotations or {}},
        "spec": {"replicas": 7},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("writers", "trusted", "is_drift"),
    [
        pytest.param(["kube-controller-manager"], [], False, id="autoscaler"),
        pytest.param(["kubectl-scale"], [], True, id="person"),
        pytest.param(["kube-controller-manager", "kubectl-scale"], [], True, id="both"),
        pytest.param(["kube-controller-manager", "deployer"], ["deployer"], False, id="autoscaler-and-applier"),
        pytest.param(["deployer"], ["deployer"], True, id="applier-with-an-older-state"),
        pytest.param(["setpoint"], [], True, id="setpoint-with-an-older-state"),
        pytest.param(["rollouts"], ["rollouts"], False, id="trusted-by-the-baseline"),
        pytest.param(["rollouts-7"], ["rollouts-*"], False, id="trusted-by-a-glob"),
        pytest.param([], [], True, id="nobody-known"),
    ],
)
def test_what_controllers_alone_changed_is_no_drift(writers: list[str], trusted: list[str], is_drift: bool) -> None:
    """One person among the writers is enough to make it drift, and an unknown writer is no controller."""
    live = deployment(*((writer, "scale") for writer in writers))
    found = excuse([REPLICAS], live, key_of(live), frozenset(trusted), "deployer")
    assert (found.drift, found.left) == (([REPLICAS], ()) if is_drift else ([], ("/spec/replicas",)))


def test_a_removal_is_never_excused_by_its_writer() -> None:
    """managedFields proves nobody for what is not there."""
    live = deployment(("kube-controller-manager", ""))
    removed = FieldDiff("/spec/replicas", "removed", 3, None)
    assert excuse([removed], live, key_of(live), frozenset(), None).drift == [removed]


def bundle(manager: str) -> tuple[Object, FieldDiff]:
    """A webhook configuration whose CA bundle was written by `manager`."""
    owned: Object = {"f:webhooks": {'k:{"name":"a.b.c"}': {"f:clientConfig": {"f:caBundle": {}}}}}
    live = {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "m", "managedFields": [{"manager": manager, "operation": "Update", "fieldsV1": owned}]},
        "webhooks": [{"name": "a.b.c", "clientConfig": {"caBundle": "bmV3"}}],
    }  # fmt: skip
    return live, FieldDiff("/webhooks/0/clientConfig/caBundle", "changed", "Cg==", "bmV3")


def test_a_shipped_rule_excuses_tools_and_not_people() -> None:
    """A CA bundle that some operator keeps is no drift; one that a person put there is."""
    live, diff = bundle("some-operator")
    assert excuse([diff], live, key_of(live), frozenset(), None).drift == []
    live, diff = bundle("kubectl-edit")
    assert excuse([diff], live, key_of(live), frozenset(), None).drift == [diff]


def test_only_the_declaration_says_what_to_ignore() -> None:
    """Several pointers, by commas or spaces; what is no pointer is left out."""
    manifest = {"metadata": {"annotations": {IGNORE: "/spec/replicas, /metadata/labels/x nonsense"}}}
    assert own_rules(manifest) == ("/spec/replicas", "/metadata/labels/x")
    assert own_rules({"metadata": {"annotations": {IGNORE: 3}}}) == own_rules({}) == ()


def test_shipped_lists_have_a_reason_each() -> None:
    """Data with reasons, and no manager that is a person and a controller at once."""
    lists = [entry for group in shipped("managers.yaml").values() for entry in group] + shipped("ignored.yaml")
    assert all(entry["reason"] for entry in lists)
    whose = ("anyone", "not-people", "nobody")
    assert all(rule["by"] in whose and rule["path"].startswith("/") for rule in shipped("ignored.yaml"))
    assert not [name for name in known("people") if is_controller(name)]
    assert not [name for name in known("kubernetes") | known("operators") if is_person(name)]


def test_who_applies_is_trusted_to_add_and_not_to_change() -> None:
    """What the applying manager brought is declared, or was."""
    assert trusts(frozenset({"deployer"}), "deployer")
    assert not may_change(frozenset({"deployer"}), "deployer", "deployer")
    assert trusts(frozenset(), "setpoint")
    assert not may_change(frozenset(), None, "setpoint")


@pytest.mark.parametrize(
    ("live", "word"),
    [
        pytest.param(deployment(), None, id="nobody"),
        pytest.param(
            deployment(labels={"kustomize.toolkit.fluxcd.io/name": "apps"}), "Flux Kustomization 'apps'", id="flux"
        ),
        pytest.param(
            deployment(annotations={TRACKING: "shop:apps/Deployment:shop/web"}), "application 'shop'", id="argo"
        ),
        pytest.param(
            deployment(annotations={TRACKING: "shop:apps/Deployment:shop/other"}), None, id="argo-copied-mark"
        ),
        pytest.param(deployment(annotations={TRACKING: "nonsense"}), None, id="argo-nonsense"),
        pytest.param(deployment(("argocd-controller", "")), "Argo CD applies it", id="argo-manager"),
        pytest.param(deployment(("argocd-controller", "status")), None, id="argo-status-only"),
        pytest.param(deployment(annotations={"strimzi-io/pause": "true"}), None, id="another-annotation"),
        pytest.param(
            deployment(annotations={"strimzi.io/pause-reconciliation": "true"}), "paused by annotation", id="paused"
        ),
        pytest.param(deployment(annotations={"strimzi.io/pause-reconciliation": "false"}), None, id="not-paused"),
    ],
)
def test_marks_of_other_tools(live: Object, word: str | None) -> None:
    """Whose an object is by its own marks; a mark that was copied from another object is none."""
    claim = claimed_by(live)
    assert claim is None if word is None else word in str(claim)


def test_a_pause_names_who_set_it() -> None:
    """A mark that anybody can set hides nothing: its author is told."""
    owned: Object = {"f:metadata": {"f:annotations": {"f:setpoint.dev/paused": {}}}}
    live = deployment(annotations={"setpoint.dev/paused": "true"})
    live["metadata"]["managedFields"] = [{"manager": "kubectl-annotate", "operation": "Update", "fieldsV1": owned}]
    assert "set by kubectl-annotate" in str(claimed_by(live))


MANIFEST = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {"replicas": 3, "paused": False},
}


def test_a_new_object_is_made_of_the_whole_manifest() -> None:
    """Ignored fields have a first value too."""
    assert appliable(MANIFEST, None, ("/spec/replicas",)) == MANIFEST


def test_what_others_keep_is_not_sent() -> None:
    """An apply that names a field takes it over."""
    live = deployment(("kube-controller-manager", "scale"))
    assert appliable(MANIFEST, live, ("/spec/replicas",))["spec"] == {"paused": False}


def test_what_setpoint_itself_holds_keeps_its_live_value() -> None:
    """Leaving out an own field would make server-side apply remove it."""
    live = deployment(("kube-controller-manager", "scale"))
    live["metadata"]["managedFields"].append({"manager": "setpoint", "operation": "Apply", "fieldsV1": FIELDS})
    assert appliable(MANIFEST, live, ("/spec/replicas",))["spec"] == {"paused": False, "replicas": 7}


@pytest.mark.parametrize(("noted", "drift"), [([], False), (["kubectl-edit"], True), (["some-robot"], True)])
def test_a_rule_for_what_nobody_wrote_excuses_nobody_else(noted: list[str], drift: bool) -> None:
    """An account that declares nothing but its name notes no writer: a token controller may write there."""
    entries = [{"manager": name, "operation": "Update", "fieldsV1": {"f:secrets": {}}} for name in noted]
    live: Object = {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "managedFields": entries},
        "secrets": [{"name": "t"}],
    }  # fmt: skip
    diff = FieldDiff("/secrets", "added", None, [{"name": "t"}])
    assert bool(excuse([diff], live, key_of(live), frozenset(), None).drift) is drift
