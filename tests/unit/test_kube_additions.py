"""What somebody added: seen where managedFields proves it, and told from defaults."""

from typing import Any

import pytest

from services.kube.comparison.additions import additions, less_defaults, without_defaults
from services.kube.comparison.defaults import is_default
from services.kube.comparison.schema import SchemaNode
from services.kube.pointer import FieldDiff

ENV = SchemaNode(items=SchemaNode(), list_type="map", keys=("name",))
CONTAINERS = SchemaNode(items=SchemaNode(fields={"env": ENV}), list_type="map", keys=("name",))
SCHEMA = SchemaNode(
    fields={
        "spec": SchemaNode(
            fields={
                "containers": CONTAINERS,
                "args": SchemaNode(items=SchemaNode()),
                "set": SchemaNode(list_type="set"),
            }
        )
    }
)
CREATED = "2026-11-24T10:00:00Z"
LATER = "2026-11-24T11:00:00Z"
WEB = 'k:{"name":"web"}'


def entry(manager: str, fields: Any, at: str = LATER, **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": at, "fieldsV1": fields, **more}


def obj(spec: dict[str, Any], *entries: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {**metadata, "managedFields": list(entries), "creationTimestamp": CREATED}, "spec": spec}


def found(desired: dict[str, Any], live: dict[str, Any], *trusted: str, ignore: tuple[str, ...] = ()) -> list[str]:
    return [diff.path for diff in additions(desired, live, SCHEMA, frozenset(trusted), ignore)]


DECLARED = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "env": [{"name": "A"}]}]}}


def with_env(*names: str) -> dict[str, Any]:
    return {"containers": [{"name": "web", "env": [{"name": name} for name in names]}]}


def owns_env(manager: str, name: str, **more: str) -> dict[str, Any]:
    item = f'k:{{"name":"{name}"}}'
    fields: Any = {"f:spec": {"f:containers": {WEB: {"f:env": {item: {".": {}, "f:name": {}}}}}}}
    return entry(manager, fields, **more)


def test_an_added_list_item_is_one_addition() -> None:
    """At the index where it stands, as a whole, since all of it is the other manager's."""
    live = obj(with_env("A", "B"), owns_env("kubectl-edit", "B"))
    assert found(DECLARED, live) == ["/spec/containers/0/env/1"]


@pytest.mark.parametrize("manager", ["kube-controller-manager", "setpoint", "rollouts", "horizontal-pod-autoscaler"])
def test_what_trusted_managers_add_is_theirs(manager: str) -> None:
    """Kubernetes' own controllers, Setpoint itself, and those that the baseline trusts."""
    assert found(DECLARED, obj(with_env("A", "B"), owns_env(manager, "B")), "rollouts") == []


def test_shared_ownership_is_no_addition() -> None:
    """Where a trusted manager holds the same field, it is meant to be there."""
    live = obj(with_env("A", "B"), owns_env("kubectl-edit", "B"), owns_env("deployer", "B"))
    assert found(DECLARED, live, "deployer") == []


@pytest.mark.parametrize(
    ("fields", "spec", "metadata", "paths"),
    [
        pytest.param({"f:metadata": {"f:labels": {"f:x": {}}}}, {}, {"labels": {"app": "web", "x": "1"}},
                     ["/metadata/labels/x"], id="label"),
        pytest.param({"f:metadata": {"f:annotations": {"f:kubernetes.io/change-cause": {}}}}, {},
                     {"annotations": {"kubernetes.io/change-cause": "x"}}, [], id="a-tool's-bookkeeping"),
        pytest.param({"f:metadata": {"f:finalizers": {'v:"x"': {}}}}, {}, {"finalizers": ["x"]},
                     ["/metadata/finalizers/0"], id="finalizer"),
        pytest.param({"f:spec": {"f:paused": {}}}, {"paused": True}, {}, ["/spec/paused"], id="field"),
        pytest.param({"f:spec": {"f:paused": {}}}, {}, {}, [], id="owned-and-gone-again"),
        pytest.param({"f:spec": {"f:affinity": {"f:a": {}, "f:b": {}}}}, {"affinity": {"a": 1, "b": 2}}, {},
                     ["/spec/affinity"], id="once-at-the-topmost-path"),
        pytest.param({"f:status": {"f:x": {}}}, {}, {}, [], id="status"),
    ],
)  # fmt: skip
def test_only_what_people_declare_can_be_added(
    fields: dict[str, Any], spec: dict[str, Any], metadata: dict[str, Any], paths: list[str]
) -> None:
    """Spec, labels and annotations, less what tools keep for themselves."""
    live = obj({**with_env("A"), **spec}, entry("kubectl-edit", fields), **metadata)
    assert found(DECLARED, live) == paths


def test_a_write_through_a_subresource_is_no_addition() -> None:
    """An autoscaler's replicas, where none are declared, are its own."""
    scaled = entry("somebody", {"f:spec": {"f:replicas": {}}}, subresource="scale")
    assert found(DECLARED, obj({**with_env("A"), "replicas": 5}, scaled)) == []


def test_an_addition_may_be_ignored() -> None:
    """By the same rules as any difference."""
    live = obj(with_env("A", "B"), owns_env("kubectl-edit", "B"))
    assert found(DECLARED, live, ignore=("/spec/containers/*/env",)) == []


def test_a_default_of_a_create_is_no_addition() -> None:
    """What a dry-run create holds as well came from the server."""
    added = [FieldDiff("/spec/a", "added", None, 1), FieldDiff("/spec/b", "added", None, 2)]
    live = {"spec": {"a": 1, "b": 2}}
    assert without_defaults(added, {"spec": {"a": 1, "b": 3}}, live, SCHEMA) == added[1:]


@pytest.mark.parametrize(
    ("name", "value", "default"),
    [
        ("dnsPolicy", "ClusterFirst", True),
        ("dnsPolicy", "Default", False),
        ("securityContext", {}, True),
        ("hostPID", True, False),
        ("strategy", {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, True),
        ("strategy", {"type": "Recreate"}, False),
        ("targetPort", 80, True),
        ("env", {"name": "DEBUG", "value": "1"}, False),
        ("labels", {"x": "1"}, False),
        ("suspend", 0, False),
    ],
)
def test_well_known_defaults_are_recognised(name: str, value: Any, default: bool) -> None:
    """By the field's name and its value, and only with exactly that value."""
    assert is_default(name, value) is default


def test_what_came_with_the_object_is_not_added() -> None:
    """Without the server's help: a creator that has not written since owns no additions; a later write is one."""
    item = FieldDiff("/spec/paused", "added", None, True)
    fields: Any = {"f:spec": {"f:paused": {}}}
    assert less_defaults(obj({"paused": True}, entry("creator", fields, CREATED)), [item]) == []
    assert less_defaults(obj({"paused": True}, entry("creator", fields, LATER)), [item]) == [item]


def test_an_edit_in_the_objects_first_second_is_an_addition() -> None:
    """The creator is who wrote most of it; by server-side apply nobody owns defaults, so there all others added."""
    item = FieldDiff("/spec/paused", "added", None, True)
    edit = entry("kubectl-edit", {"f:spec": {"f:paused": {}}}, CREATED)
    whole: Any = {"f:spec": {"f:containers": {}, "f:args": {}, "f:set": {}}}
    created = entry("creator", whole, CREATED)
    applied = {**entry("deployer", whole, CREATED), "operation": "Apply"}
    for first in (created, applied):
        assert less_defaults(obj({"paused": True}, edit, first), [item]) == [item]
