"""The rights that policies need: what they do and look at, where they do it, and nothing more."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.policy import Policy
from services.cli.main import main
from services.cli.rbac import bindings, roles
from services.kube.objects import ObjectKey
from services.reconciler.acting.resolving import READS
from services.reconciler.policies.roles import Grant, grants_of
from tests.reconciler_kit import policy as on_drift
from tests.rehearsing import policy

API = ObjectKey("apps", "Deployment", "shop", "api")
LIMITS = ObjectKey("", "ConfigMap", "shop", "limits")
HERE: dict[str, Any] = {"match": {"namespace": ["shop"], "kind": ["Pod"]}}


def granted(*policies: Policy, **declared: Any) -> set[str]:
    """`namespace: verb resource.group/name`, sorted out of what finding a target needs."""
    found = grants_of(policies, declared)
    reads = {(rule.group, rule.resource, verb) for rule in READS for verb in rule.verbs}
    return {_text(one) for one in found if (one.group, one.resource, one.verb) not in reads or one.name}


def _text(one: Grant) -> str:
    group = f".{one.group}" if one.group else ""
    return f"{one.namespace or '*'}: {one.verb} {one.resource}{group}{'/' + one.name if one.name else ''}"


ROLLING = {f"{{}}: patch {kind}.apps" for kind in ("deployments", "statefulsets", "daemonsets")}
ROLLOUTS = {"{}: get rollouts.argoproj.io", "{}: patch rollouts.argoproj.io"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(policy(mode="observe"), set(), id="only observes"),
        pytest.param(policy(), {one.format("*") for one in ROLLING | ROLLOUTS}, id="everywhere"),
        pytest.param(policy(**HERE), {one.format("shop") for one in ROLLING | ROLLOUTS}, id="in its namespace"),
        pytest.param(policy(match={"namespace": ["sh*"]}), {one.format("*") for one in ROLLING | ROLLOUTS},
                     id="a glob is everywhere"),
        pytest.param(policy(do=[{"restart": {"workload": "Deployment/pay/api"}}], **HERE),
                     {"pay: get deployments.apps/api", "pay: patch deployments.apps/api"}, id="one object"),
        pytest.param(policy(do=[{"notify": {"to": "#x"}}, {"webhook": {"url": "https://x"}}]), set(), id="only tells"),
        pytest.param(policy(do=[{"cordon": {}}], **HERE), {"*: patch nodes"}, id="nodes are the cluster's"),
        pytest.param(policy(do=[{"label": {"set": {"a": "b"}}}], **HERE), {"shop: patch pods"},
                     id="any object of the alert's kinds"),
        pytest.param(policy(do=[{"label": {"set": {"a": "b"}}}], match={"namespace": ["shop"]}),
                     {"shop: get *.*", "shop: patch *.*"}, id="any object"),
        pytest.param(policy(do=[{"label": {"object": "${event.labels.what}", "set": {"a": "b"}}}], **HERE),
                     {"*: get *.*", "*: patch *.*"}, id="whatever a template says"),
        pytest.param(policy(do=[{"applyManifest": {"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                     "name": "a", "namespace": "pay"}}}}]),
                     {f"pay: {verb} configmaps" for verb in ("get", "create", "patch", "delete")}, id="a manifest"),
        pytest.param(policy(do=[{"veleroBackup": {}}]),
                     {"velero: get backups.velero.io", "velero: create backups.velero.io"}, id="Velero's namespace"),
        pytest.param(policy(do=[{"argocdSync": {}}], **HERE), {f"*: {verb} applications.argoproj.io"
                     for verb in ("get", "list", "patch")}, id="an Application is found anywhere"),
        pytest.param(policy(do=[{"notify": {"to": "#x"}}], otherwise=[{"deletePod": {}}], **HERE),
                     {"shop: create pods/eviction"}, id="else"),
        pytest.param(policy(do=[{"deletePod": {}}], limits={"blastRadius": {"maxInNamespace": 2}}, **HERE),
                     {"shop: create pods/eviction", "shop: list poddisruptionbudgets.policy",
                      *(f"shop: list {kind}.apps" for kind in ("deployments", "statefulsets", "daemonsets"))},
                     id="limits"),
        pytest.param(policy(do=[{"drain": {}}], limits={"blastRadius": {"maxNodes": 1}}, **HERE),
                     {"*: patch nodes", "*: list nodes", "*: create pods/eviction"}, id="limits on nodes"),
    ],
)  # fmt: skip
def test_a_policy_needs_what_it_does_where_it_does_it(document: Policy, expected: set[str]) -> None:
    """Beside finding its targets; a policy that only observes needs nothing else."""
    assert granted(document) == expected


def test_targets_are_found_with_reads_only() -> None:
    """Of the kinds that the policy is about and those above them, in its namespaces."""
    found = grants_of([policy(mode="observe", **HERE)], {})
    assert {one.verb for one in found} == {"get"}
    assert {one.namespace for one in found} == {"shop"}
    assert {one.resource for one in found} == {
        "pods", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "cronjobs"
    }  # fmt: skip


def test_a_schedule_finds_nothing() -> None:
    """It is about no object, so that its steps' own rights are all."""
    nightly = policy(trigger={"schedule": "0 3 * * *"}, do=[{"suspend": {"object": "CronJob/shop/report"}}])
    assert {_text(one) for one in grants_of([nightly], {})} == {
        "shop: get cronjobs.batch/report", "shop: patch cronjobs.batch/report"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "verbs"),
    [
        pytest.param([{"revert": {}}], {"get", "create", "patch", "update"}, id="revert"),
        pytest.param([{"revert": {"recreate": True}}], {"get", "create", "patch", "update", "delete"}, id="recreate"),
        pytest.param([{"revert": {}, "undo": "auto"}], {"get", "create", "patch", "update", "delete"}, id="undo"),
        pytest.param([{"prune": {}}], {"get", "delete"}, id="prune"),
    ],
)
def test_drift_needs_rights_on_what_is_declared(steps: Any, verbs: set[str]) -> None:
    """On the declared kinds, in the namespaces where they are declared."""
    found = grants_of([on_drift(do=steps)], {"heal": [API, LIMITS]})
    assert {one.verb for one in found} == verbs
    assert {(one.namespace, one.resource) for one in found} == {("shop", "deployments"), ("shop", "configmaps")}


def test_what_a_wider_right_covers_is_not_granted_twice() -> None:
    """Two policies, one of which acts everywhere."""
    assert grants_of([policy("a"), policy("b", **HERE)], {}) == grants_of([policy("a")], {})


def test_roles_are_one_for_the_cluster_and_one_a_namespace() -> None:
    """Alike rules together, names kept apart, and bindings for all."""
    found = roles(
        [Grant("", "", "nodes", "", "get"), Grant("", "", "nodes", "", "patch"), Grant("", "", "pods", "", "get"),
         Grant("shop", "apps", "deployments", "api", "get")], "x",
    )  # fmt: skip
    assert [(one["kind"], one["metadata"].get("namespace"), one["rules"]) for one in found] == [
        ("ClusterRole", None, [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]},
                               {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
        ("Role", "shop", [{"apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["api"],
                           "verbs": ["get"]}]),
    ]  # fmt: skip
    assert [one["kind"] for one in bindings(found, "setpoint", "me")] == ["ClusterRoleBinding", "RoleBinding"]


POLICY = """\
apiVersion: setpoint.dev/v1alpha1
kind: Policy
metadata: {name: a}
spec: {trigger: {%s}, do: [%s], mode: enforce}
"""


def test_the_command_prints_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As kubectl takes them, with a note on stderr where a right is on any kind."""
    (tmp_path / "p.yaml").write_text(POLICY % ("alert: Bad", "{label: {set: {a: b}}}"))
    assert main(["rbac", "--policies", str(tmp_path), "--service-account", "setpoint/reconciler"]) == 0
    captured = capsys.readouterr()
    assert [one["kind"] for one in yaml.safe_load_all(captured.out)] == ["ClusterRole", "ClusterRoleBinding"]
    assert captured.err == "get, patch on any kind: name objects, or match.kind, to need less\n"


def test_drift_without_baselines_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may be put back is what they declare."""
    monkeypatch.delenv("SETPOINT_BASELINES", raising=False)
    (tmp_path / "p.yaml").write_text(POLICY % ("drift: {baseline: shop}", "{revert: {}}"))
    assert main(["rbac", "--policies", str(tmp_path / "p.yaml")]) == 2
    assert "Give --baselines" in capsys.readouterr().err


def test_drift_of_a_baseline_is_read_from_its_manifests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other baselines' objects are no business of the policy."""
    for name in ("shop", "pay"):
        (tmp_path / name).mkdir()
        manifest = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, namespace: {name}}}}}\n"
        (tmp_path / name / "a.yaml").write_text(manifest)
        baseline = f"kind: Baseline\nmetadata: {{name: {name}}}\nspec: {{source: {{folder: ./{name}}}}}\n"
        (tmp_path / f"{name}.yaml").write_text(f"apiVersion: setpoint.dev/v1alpha1\n{baseline}")
    (tmp_path / "p.yaml").write_text(POLICY % ("drift: {baseline: shop}", "{revert: {}}"))
    assert main(["rbac", "--policies", str(tmp_path / "p.yaml"), "--baselines", str(tmp_path)]) == 0
    (role,) = yaml.safe_load_all(capsys.readouterr().out)
    assert (role["kind"], role["metadata"]["namespace"]) == ("Role", "shop")
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch", "update"]}
    ]
