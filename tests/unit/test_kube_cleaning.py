"""What a capture keeps of a live object: what people and their tools wrote, and nothing that comes by itself."""

from typing import Any

import pytest

from services.kube.api.discovery import Resource
from services.kube.captures.capture import Selection, why_not
from services.kube.captures.cleaning import bare, cleaned, restored, whole
from services.kube.objects import Object


def live(kind: str, spec: Any, *entries: Object, **metadata: Any) -> Object:
    managed = {"managedFields": list(entries)} if entries else {}
    meta = {"name": "a", "namespace": "n", "uid": "1", "resourceVersion": "5", **metadata, **managed}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec, "status": {"x": 1}}


def entry(manager: str, fields: Object, operation: str = "Update", **more: str) -> Object:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def spec_of(manifest: Object | None) -> Any:
    assert manifest is not None
    return manifest.get("spec")


def test_only_what_somebody_wrote_is_kept() -> None:
    """Defaults that nobody owns, controllers' fields, statuses and the server's metadata are not."""
    obj = live(
        "Deployment", {"replicas": 3, "paused": False, "limit": 10, "wide": {"a": 1, "b": 2}},
        entry("deployer", {"f:spec": {"f:limit": {}, "f:wide": {".": {}, "f:a": {}}}}),
        entry("kube-controller-manager", {"f:spec": {"f:replicas": {}}}),
        entry("someone", {"f:spec": {"f:paused": {}}}, subresource="status"),
    )  # fmt: skip
    assert cleaned(obj) == {
        "apiVersion": "v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"},
        "spec": {"limit": 10, "wide": {"a": 1}},
    }  # fmt: skip


def test_items_are_kept_by_their_owner_and_in_their_order() -> None:
    """Of a map list, a set and a list that is owned whole."""
    obj = live(
        "X", {"list": [{"name": "a", "v": 1}, {"name": "b", "v": 2}], "set": ["x", "y"], "whole": [{"k": 1}]},
        entry("one", {"f:spec": {"f:list": {'k:{"name":"b"}': {".": {}, "f:name": {}}}, "f:set": {'v:"y"': {}}}}),
        entry("two", {"f:spec": {"f:list": {'k:{"name":"b"}': {"f:v": {}}}, "f:whole": {}}}),
    )  # fmt: skip
    assert spec_of(cleaned(obj)) == {"list": [{"name": "b", "v": 2}], "set": ["y"], "whole": [{"k": 1}]}


def test_an_object_of_controllers_only_is_nobodys() -> None:
    """Whoever made it makes it again."""
    assert cleaned(live("ConfigMap", {}, entry("cert-manager-cainjector", {"f:spec": {}}))) is None


def test_without_a_trace_everything_is_kept() -> None:
    """Wiped managedFields prove nothing, so nothing may be dropped for lack of an owner."""
    obj = live("X", {"a": 1}, labels={"l": "1"}, annotations={"deployment.kubernetes.io/revision": "3"})
    assert cleaned(obj) == whole(obj)
    assert spec_of(cleaned(obj)) == {"a": 1}


def test_metadata_is_what_people_put_there() -> None:
    """Labels, annotations and finalizers of their own; not the server's, nor tools' notes."""
    fields: Object = {
        "f:labels": {"f:team": {}, "f:kubernetes.io/metadata.name": {}},
        "f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}},
        "f:finalizers": {".": {}, 'v:"example.com/mine"': {}, 'v:"kubernetes.io/pvc-protection"': {}},
    }
    obj = live(
        "ConfigMap", {}, entry("kubectl-create", {"f:metadata": fields}),
        labels={"team": "pay", "kubernetes.io/metadata.name": "a", "by-webhook": "1"},
        annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        finalizers=["example.com/mine", "kubernetes.io/pvc-protection"],
    )  # fmt: skip
    manifest = cleaned(obj)
    assert manifest is not None
    assert manifest["metadata"] == {
        "name": "a", "namespace": "n", "labels": {"team": "pay"}, "finalizers": ["example.com/mine"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "spec", "kept"),
    [
        pytest.param("Service", {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "p": 1}, {"p": 1}, id="address"),
        pytest.param("Service", {"clusterIP": "None"}, {"clusterIP": "None"}, id="headless"),
        pytest.param(
            "Job",
            {
                "selector": {"matchLabels": {"controller-uid": "1"}},
                "template": {"metadata": {"labels": {"controller-uid": "1", "job-name": "a"}}, "spec": {}},
            },
            {"template": {"spec": {}}},
            id="job",
        ),
        pytest.param(
            "Pod",
            {
                "nodeName": "n1",
                "containers": [{"name": "c", "volumeMounts": [{"name": "kube-api-access-x"}, {"name": "mine"}]}],
                "volumes": [{"name": "kube-api-access-x"}, {"name": "mine"}],
                "tolerations": [{"key": "node.kubernetes.io/not-ready"}, {"key": "mine"}],
            },
            {
                "containers": [{"name": "c", "volumeMounts": [{"name": "mine"}]}],
                "volumes": [{"name": "mine"}],
                "tolerations": [{"key": "mine"}],
            },
            id="pod",
        ),
    ],
)
def test_what_admission_writes_in_the_creators_name_is_dropped(kind: str, spec: Object, kept: Object) -> None:
    """After a plain create the creator owns all of it, which nobody meant."""
    assert spec_of(cleaned(live(kind, spec))) == kept


def test_a_default_is_left_out_where_the_server_brings_it_again() -> None:
    """`timeoutSeconds: 10` is a webhook's default and a probe's choice: the server's answer decides."""
    spec = {"timeoutSeconds": 10, "successThreshold": 1, "emptyDir": {}, "resources": {}, "strategy": {"partition": 0}}
    obj = live("X", spec)
    full = cleaned(obj)
    assert full is not None
    less = bare(full, obj)
    assert less["spec"] == {"emptyDir": {}}
    created = {**full, "spec": {**spec, "timeoutSeconds": 1, "strategy": {"partition": 0, "more": 1}}}
    assert restored(full, less, created)["spec"] == {"timeoutSeconds": 10, "emptyDir": {}}
    assert restored(full, less, {**created, "spec": None}) == full


def test_what_was_applied_was_meant() -> None:
    """Server-side apply owns what the manifest says and no default."""
    obj = live(
        "X", {"successThreshold": 1, "failureThreshold": 3}, entry("d", {"f:spec": {"f:successThreshold": {}}}, "Apply")
    )
    assert bare(whole(obj), obj)["spec"] == {"successThreshold": 1}


@pytest.mark.parametrize(
    ("obj", "reason"),
    [
        pytest.param(live("ConfigMap", {}, name="mine"), None, id="mine"),
        pytest.param(live("ConfigMap", {}, name="kube-root-ca.crt"), "made for each namespace", id="root-ca"),
        pytest.param(live("ServiceAccount", {}, name="default"), "made for each namespace", id="default-account"),
        pytest.param(live("Pod", {}, ownerReferences=[{"uid": "1"}]), "owned by another object", id="owned"),
        pytest.param(live("Pod", {}, deletionTimestamp="2026"), "being deleted", id="terminating"),
        pytest.param({**live("Secret", {}), "type": "helm.sh/release.v1"}, "what Helm keeps of releases", id="helm"),
        pytest.param({**live("Secret", {}), "type": "kubernetes.io/service-account-token"}, "tokens", id="token"),
        pytest.param(live("Secret", {}), "Secrets, without --with-secrets", id="secret"),
        pytest.param(live("Service", {}, name="kubernetes", namespace="default"), "made by the server", id="api"),
        pytest.param(live("Service", {}, name="kubernetes", namespace="other"), None, id="same-name-elsewhere"),
        pytest.param(live("Namespace", {}, name="kube-system"), "made by the server", id="kube-system"),
        pytest.param(live("Namespace", {}, name="kube-prometheus"), None, id="a-namespace-with-such-a-name"),
    ],
)
def test_what_is_left_out_has_a_reason(obj: Object, reason: str | None) -> None:
    """Told in the summary, by count."""
    assert why_not(obj, Selection()) == reason


@pytest.mark.parametrize(
    ("selection", "kind", "namespaced", "wanted"),
    [
        pytest.param(Selection(), "Role", True, True, id="all"),
        pytest.param(Selection(("a",)), "ClusterRole", False, False, id="cluster-wide"),
        pytest.param(Selection(("a",)), "Namespace", False, True, id="the-namespace-itself"),
        pytest.param(Selection((), ("role",)), "Role", True, True, id="lower-case"),
        pytest.param(Selection((), ("roles",)), "Role", True, True, id="plural"),
        pytest.param(Selection((), ("rolebinding*",)), "Role", True, False, id="other-kind"),
    ],
)
def test_kinds_are_chosen_as_people_write_them(selection: Selection, kind: str, namespaced: bool, wanted: bool) -> None:
    """By kind or plural, in any case; with namespaces named, only what lies in one."""
    resource = Resource("", "v1", kind, kind.lower() + "s", namespaced, frozenset())
    assert selection.wants(resource) is wanted
