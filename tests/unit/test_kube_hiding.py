"""Who could hide a change behind what is excused, left to others or taken for a default: nobody may."""

from typing import Any

import pytest

from services.kube.comparison.additions import additions, less_defaults
from services.kube.comparison.applying import appliable, moved
from services.kube.comparison.diff import subset_diff
from services.kube.comparison.schema import SchemaNode
from services.kube.objects import Object, key_of
from services.kube.pointer import FieldDiff
from services.kube.verdict.excuses import excuse
from services.kube.writers.trust import may_change, trusts

TEXTS = SchemaNode(values=SchemaNode(built_in=True), built_in=True)
ITEMS = SchemaNode(list_type="map", keys=("name",), items=SchemaNode(fields={"image": SchemaNode()}))
POD = SchemaNode(fields={"containers": ITEMS, "nodeSelector": SchemaNode(values=SchemaNode(), atomic_map=True)})
SCHEMA = SchemaNode(fields={"spec": POD, "data": TEXTS})


def hook(owned: Object, manager: str = "some-tool") -> Object:
    """A webhook's configuration in which a manager owns some of the first webhook."""
    fields = {"f:webhooks": {'k:{"name":"a.b.c"}': owned}}
    entries = [{"manager": manager, "operation": "Update", "fieldsV1": fields}]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "w", "managedFields": entries}, "webhooks": [{"name": "a.b.c"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "desired", "live", "is_drift"),
    [
        pytest.param("failurePolicy", "Ignore", "Fail", False, id="stricter"),
        pytest.param("failurePolicy", "Fail", "Ignore", True, id="everything-passes"),
        pytest.param("rules", [{"operations": ["*"]}], [{"operations": ["CREATE"]}], False, id="expanded-rules"),
        pytest.param("rules", [{"operations": ["*"]}], [], True, id="no-rules"),
        pytest.param("clientConfig/caBundle", "YQ==", "Yg==", False, id="another-bundle"),
        pytest.param("clientConfig/caBundle", "YQ==", "", True, id="no-bundle"),
    ],
)
def test_no_rule_excuses_that_admission_is_switched_off(field: str, desired: Any, live: Any, is_drift: bool) -> None:
    """A tool that nobody knows may keep a webhook in order, and not out of it."""
    obj = hook({"f:failurePolicy": {}, "f:rules": {}, "f:clientConfig": {"f:caBundle": {}}})
    obj["webhooks"][0].update({field: live} if "/" not in field else {"clientConfig": {"caBundle": live}})
    diff = FieldDiff(f"/webhooks/0/{field}", "changed", desired, live)
    assert bool(excuse([diff], obj, key_of(obj), frozenset(), None).drift) is is_drift


@pytest.mark.parametrize("manager", ["before-first-apply", "velero-server"])
def test_what_brings_back_an_older_state_is_no_controller(manager: str) -> None:
    """Both write whatever stood somewhere before, edits of people among it."""
    assert not trusts(frozenset(), manager)
    assert not may_change(frozenset(), None, manager)


def config(added: Object, **metadata: Any) -> Object:
    fields: Object = {"f:data": {f"f:{name}": {} for name in added}}
    entries = [{"manager": "kubectl-edit", "operation": "Update", "fieldsV1": fields}]
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "managedFields": entries, **metadata},
        "data": {"a": "1", **added},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("scheme", "HTTP", id="looks-like-a-probe's-default"),
        pytest.param("apiVersion", "v1", id="looks-like-an-owner's"),
        pytest.param("clusterIP", "10.0.0.1", id="looks-allocated"),
        pytest.param("empty", "", id="empty"),
        pytest.param("kubectl.kubernetes.io/restartedAt", "x", id="looks-like-bookkeeping"),
    ],
)
def test_a_key_of_data_is_no_default_whatever_its_name(name: str, value: str) -> None:
    """The local comparison knows defaults by name, and in maps of data names mean nothing."""
    live = config({name: value})
    added = additions({**live, "data": {"a": "1"}}, live, SCHEMA, frozenset())
    assert [diff.live for diff in less_defaults(live, added, SCHEMA)] == [value]


def test_a_selector_without_value_is_another_selector() -> None:
    """What is compared whole has no more keys than declared; an empty text selects as well."""
    wanted, live = {"disk": "ssd"}, {"disk": "ssd", "node-role.kubernetes.io/control-plane": ""}
    diffs = subset_diff({"spec": {"nodeSelector": wanted}}, {"spec": {"nodeSelector": live}}, SCHEMA)
    assert [diff.path for diff in diffs] == ["/spec/nodeSelector"]


def pods(*names: str) -> Object:
    containers = [{"name": name, "image": f"{name}:1"} for name in names]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}


def test_what_is_left_to_a_controller_is_found_by_key_in_another_order() -> None:
    """A pointer leads into the live object: to the second container, which the manifest declares first."""
    manifest, live = pods("web", "log"), pods("sidecar", "web", "log")
    body = appliable(manifest, live, ["/spec/containers/1/image"], SCHEMA)
    assert body["spec"]["containers"] == [{"name": "web"}, {"name": "log", "image": "log:1"}]


def test_what_is_left_and_setpoints_own_keeps_its_live_value_in_a_list() -> None:
    """Left out, it would be removed, and a container without an image is refused."""
    manifest, live = pods("web", "log"), pods("log", "web")
    live["spec"]["containers"][1]["image"] = "web:9"
    fields: Object = {"f:spec": {"f:containers": {'k:{"name":"web"}': {".": {}, "f:name": {}, "f:image": {}}}}}
    live["metadata"]["managedFields"] = [{"manager": "setpoint", "operation": "Apply", "fieldsV1": fields}]
    body = appliable(manifest, live, ["/spec/containers/*/image"], SCHEMA)
    assert body["spec"]["containers"] == [{"name": "web", "image": "web:9"}, {"name": "log"}]


def test_pointers_follow_their_items() -> None:
    """After an addition was taken out, the items behind it stand elsewhere; what is gone has no pointer."""
    before, after = pods("sidecar", "web"), pods("web")
    pointers = ["/spec/containers/1/image", "/spec/containers/0/image", "/metadata/name", "/spec/nothing"]
    assert moved(pointers, before, after, SCHEMA) == ("/spec/containers/0/image", "/metadata/name")
