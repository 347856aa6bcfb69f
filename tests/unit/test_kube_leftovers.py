"""What somebody still holds by an apply after the manifest has stopped to declare it, and what nobody is noted for."""

from typing import Any

import pytest

from services.kube.comparison.additions import additions, less_emptied
from services.kube.comparison.defaulted import defaulted, follows
from services.kube.comparison.leftovers import behind
from services.kube.comparison.schema import SchemaNode
from services.kube.comparison.topmost import Topmost
from services.kube.comparison.uncovered import uncovered
from services.kube.comparison.untracked import every_leaf, is_untracked
from services.kube.objects import LAST_APPLIED, Object
from services.kube.pointer import FieldDiff, parse_pointer

FREE = SchemaNode(values=SchemaNode())
ENV = SchemaNode(
    items=SchemaNode(fields={"name": SchemaNode(), "value": SchemaNode()}), list_type="map", keys=("name",)
)
PORTS = SchemaNode(
    items=SchemaNode(), list_type="map", keys=("port", "protocol"), key_defaults={"protocol": "TCP"}
)  # fmt: skip
SPEC = {"env": ENV, "ports": PORTS, "args": SchemaNode(items=SchemaNode()), "notes": FREE, "on": SchemaNode()}
SCHEMA = SchemaNode(fields={"spec": SchemaNode(fields=SPEC)})
A, B = {"name": "A", "value": "1"}, {"name": "B", "value": "2"}
OF_B = 'k:{"name":"B"}'


def applied(fields: Any, manager: str = "deployer", **more: Any) -> Object:
    return {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsV1": fields, **more}


def live(spec: Object, *entries: Object, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "X", "metadata": {"managedFields": list(entries), **metadata}, "spec": spec}


def item(*names: str) -> Any:
    return {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in names}


def holds(spec: Any, metadata: Any = None) -> Any:
    return {"f:spec": spec, **({"f:metadata": metadata} if metadata else {})}


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        pytest.param({"f:env": item("A")}, False, id="as-declared"),
        pytest.param({"f:env": item("A", "B")}, True, id="an-item-more"),
        pytest.param({"f:env": {**item("A"), 'k:{"name":"A"}': {"f:name": {}, "f:extra": {}}}}, True,
                     id="a-field-of-an-item-more"),
        pytest.param({"f:on": {}}, True, id="a-field-more"),
        pytest.param({"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}, False,
                     id="a-key-that-has-a-default"),
        pytest.param({"f:ports": {'k:{"port":80,"protocol":"UDP"}': {".": {}, "f:port": {}}}}, True, id="another-key"),
        pytest.param({"f:ports": {'k:{"port":81,"protocol":"TCP"}': {".": {}, "f:port": {}}}}, True, id="another-port"),
        pytest.param({"f:args": {}}, False, id="an-atomic-list"),
        pytest.param({"f:set": {'v:"x"': {}}}, False, id="a-sets-item"),
        pytest.param({"f:set": {'v:"x"': {}, 'v:"y"': {}}}, True, id="a-sets-item-more"),
        pytest.param({"f:notes": {".": {}, "f:a": {}}}, False, id="the-thing-itself"),
    ],
)  # fmt: skip
def test_an_apply_that_says_more_than_the_manifest_is_behind(fields: Any, more: bool) -> None:
    """Whatever it is that is no longer declared; what the server completes is nothing more."""
    spec = {"env": [A], "ports": [{"port": 80}], "args": ["x"], "set": ["x"], "notes": {"a": "1"}}
    entry = applied(holds(fields))
    assert behind({"spec": spec}, live({}, entry), "deployer") == ([entry] if more else [])


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({}, True, id="the-applier"),
        pytest.param({"manager": "setpoint"}, True, id="setpoint"),
        pytest.param({"manager": "another"}, False, id="anybody-else"),
        pytest.param({"operation": "Update"}, False, id="a-plain-write"),
        pytest.param({"subresource": "scale"}, False, id="a-subresource"),
        pytest.param({"apiVersion": "v0"}, False, id="another-version"),
        pytest.param({"fieldsV1": None}, False, id="no-fields"),
        pytest.param({"fieldsV1": ["odd"]}, False, id="odd-fields"),
    ],
)
def test_only_applies_of_who_brings_the_manifest_count(changes: Object, found: bool) -> None:
    """A plain write owns defaults, and another version names other paths."""
    entry = applied(holds({"f:on": {}})) | changes
    assert bool(behind({"spec": {}}, live({"on": 1}, entry), "deployer")) is found


def test_a_deployers_marks_are_its_own_and_setpoint_makes_none() -> None:
    """Labels that a deployer stamps say nothing; one that Setpoint holds was declared once."""
    marks: Any = {"f:labels": {"f:by": {}}, "f:annotations": {f"f:{LAST_APPLIED}": {}}}
    for manager, found in (("deployer", []), ("setpoint", ["/metadata/labels/by"])):
        obj = live({"on": 1}, applied(holds({"f:on": {}}, marks), manager), labels={"by": "x"})
        told = additions({"spec": {"on": 1}}, obj, SCHEMA, frozenset({"deployer"}), (), "deployer")
        assert [diff.path for diff in told] == found


def test_what_is_left_over_is_told_as_an_addition() -> None:
    """At its place, unless a controller holds it as well."""
    obj = live({"env": [A, B]}, applied(holds({"f:env": item("A", "B")}), "setpoint"))
    desired = {"spec": {"env": [A]}}
    assert additions(desired, obj, SCHEMA, frozenset()) == [FieldDiff("/spec/env/1", "added", None, B)]
    obj["metadata"]["managedFields"].append(applied(holds({"f:env": item("B")}), "kube-controller-manager"))
    assert additions(desired, obj, SCHEMA, frozenset()) == []


def test_declaring_nothing_is_not_declaring() -> None:
    """An apply of an empty list leaves what others put there, so it is theirs and told once."""
    entry = applied(holds({"f:args": {}}), "kubectl-edit") | {"operation": "Update"}
    added = additions({"spec": {"args": []}}, live({"args": ["x"]}, entry), SCHEMA, frozenset())
    assert [diff.path for diff in added] == ["/spec/args"]
    changed = FieldDiff("/spec/args", "changed", [], ["x"])
    other = FieldDiff("/spec/on", "changed", 1, 2)
    assert less_emptied([changed, other], added) == [other]
    assert less_emptied([changed, other], []) == [changed, other]


def test_an_object_without_managed_fields_is_looked_at_as_a_whole() -> None:
    """So that wiping them hides nothing; an object that was never stored has none to wipe."""
    obj = live({"on": True, "env": [A, B], "notes": {"a": "1"}}, uid="u", labels={"by": "x"}, finalizers=["f"])
    assert is_untracked(obj)
    found = [diff.path for diff in additions({"spec": {"env": [A]}}, obj, SCHEMA, frozenset())]
    assert found == ["/metadata/labels/by", "/spec/env/1", "/spec/notes", "/spec/on"]
    del obj["metadata"]["uid"]
    assert additions({"spec": {}}, obj, SCHEMA, frozenset()) == []


def test_every_leaf_is_named_once() -> None:
    """Lists of maps by their items, other lists as one."""
    obj = live({"env": [A], "args": ["x", "y"], "empty": {}}, labels={"a/b": "1"})
    expected = ["metadata labels a/b", "spec args", "spec empty", "spec env 0 name", "spec env 0 value"]
    assert sorted(" ".join(path) for path in every_leaf(obj)) == expected


@pytest.mark.parametrize(
    ("theirs", "ours", "top", "leaf", "found"),
    [
        pytest.param(["/spec/notes/a"], [], "/spec/notes", "/spec/notes/a", "/spec/notes/a", id="beside-nobodys"),
        pytest.param(["/spec/notes/a", "/spec/notes/b"], [], "/spec/notes", "/spec/notes/a", "/spec/notes", id="all"),
        pytest.param(["/spec/notes/a"], ["/spec/notes/b"], "/spec/notes", "/spec/notes/a", "/spec/notes/a",
                     id="beside-a-controllers"),
        pytest.param(["/spec/env/1/name"], [], "/spec/env/1", "/spec/env/1/name", "/spec/env/1", id="an-item"),
        pytest.param(["/spec/env/1/name"], [], "/spec/env", "/spec/env/1/name", "/spec/env/1", id="one-item-of-two"),
        pytest.param(["/spec/env/1/name"], ["/spec/env/1/value"], "/spec/env/1", "/spec/env/1/name",
                     "/spec/env/1/name", id="part-of-an-item"),
        pytest.param(["/spec/notes"], ["/spec/notes/b"], "/spec/notes", "/spec/notes", None, id="only-the-husk"),
    ],
)  # fmt: skip
def test_an_addition_begins_where_nothing_of_others_is_in_it(
    theirs: list[str], ours: list[str], top: str, leaf: str, found: str | None
) -> None:
    """Once as a whole, but never with what a controller or webhook put beside it."""
    obj = live({"notes": {"a": "1", "b": "2"}, "env": [A, B]})
    topmost = Topmost(obj, SCHEMA, map(parse_pointer, theirs), map(parse_pointer, ours))
    path = topmost.between(parse_pointer(top), parse_pointer(leaf))
    assert path == (parse_pointer(found) if found else None)


@pytest.mark.parametrize(
    ("path", "value", "node", "rule", "left"),
    [
        pytest.param("/spec/notes", {"a": 1, "b": 2}, FREE, "/spec/notes/a", ["/spec/notes/b"], id="a-key-of-a-map"),
        pytest.param("/spec/notes", {"a": 1}, FREE, "/spec/*", [], id="all"),
        pytest.param("/spec/notes", {"a": 1}, FREE, "/spec/other", ["/spec/notes"], id="elsewhere"),
        pytest.param("/spec/env", [A, B], ENV, "/spec/env/0", ["/spec/env/1"], id="an-item"),
        pytest.param("/spec/env", [A, B], ENV, "/spec/env/*/value", ["/spec/env/0", "/spec/env/1"], id="inside-items"),
        pytest.param("/spec/env/0", A, ENV.items, "/spec/env/*/value", ["/spec/env/0"], id="inside-an-item"),
    ],
)
def test_a_rule_takes_its_part_of_an_addition_only(
    path: str, value: Any, node: SchemaNode, rule: str, left: list[str]
) -> None:
    """What is left can be taken out by itself; an item stays one thing."""
    found = uncovered(parse_pointer(path), value, node, (parse_pointer(rule),))
    assert list(found) == [parse_pointer(one) for one in left]


@pytest.mark.parametrize(
    ("kind", "spec", "pointer", "default"),
    [
        (
            "Deployment",
            {"strategy": {"rollingUpdate": {"maxSurge": 0}}},
            "/spec/strategy/rollingUpdate/maxSurge",
            False,
        ),
        ("DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxSurge": 0}}}, "/spec/updateStrategy", True),
        ("StatefulSet", {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1}}}, "/spec/updateStrategy", True),
        ("Pod", {"image": "x:1", "imagePullPolicy": "Always"}, "/spec/imagePullPolicy", False),
        ("Pod", {"image": "r:5/x", "imagePullPolicy": "Always"}, "/spec/imagePullPolicy", True),
        ("Pod", {"image": "x@sha256:0", "imagePullPolicy": "IfNotPresent"}, "/spec/imagePullPolicy", True),
        ("Service", {"ports": [{"port": 80, "targetPort": 80}]}, "/spec/ports/0/targetPort", True),
        ("Service", {"ports": [{"port": 80, "targetPort": 99}]}, "/spec/ports/0/targetPort", False),
        ("Service", {"type": "NodePort"}, "/spec/type", False),
        ("Service", {"type": "ClusterIP"}, "/spec/type", True),
    ],
)
def test_a_default_is_one_in_its_place(kind: str, spec: Object, pointer: str, default: bool) -> None:
    """The same value means another thing in another kind, or beside another field."""
    obj = {**live(spec), "kind": kind}
    value: Any = obj
    for part in parse_pointer(pointer):
        value = value[int(part)] if isinstance(value, list) else value[part]
    assert defaulted(obj, pointer, value) is default


@pytest.mark.parametrize(
    ("declared_type", "with_type"), [("NodePort", False), ("LoadBalancer", False), ("ClusterIP", True), (None, True)]
)
def test_a_node_port_follows_the_type_that_asks_for_it(declared_type: str | None, with_type: bool) -> None:
    """Where the type is declared, somebody has chosen the number."""
    obj = {**live({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}), "kind": "Service"}
    assert follows(obj, {"spec": {"type": declared_type}}, ("spec", "ports", "0", "nodePort")) is with_type
