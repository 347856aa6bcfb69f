"""The read-only comparison: what is a difference to Kubernetes, and what is only another spelling."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.comparison.diff import MAX_DEPTH, predicted_diff, subset_diff
from services.kube.comparison.schema import SchemaNode

TEXT = SchemaNode(built_in=True)
QUANTITY = SchemaNode(is_quantity=True, built_in=True)
PORT = SchemaNode(fields={"containerPort": TEXT, "protocol": TEXT, "name": TEXT}, built_in=True)
CONTAINER = SchemaNode(
    fields={
        "name": TEXT,
        "image": TEXT,
        "args": SchemaNode(items=TEXT, built_in=True),
        "env": SchemaNode(items=SchemaNode(built_in=True), list_type="map", keys=("name",), built_in=True),
        "ports": SchemaNode(
            items=PORT, list_type="map", keys=("containerPort", "protocol"), key_defaults={"protocol": "TCP"},
            built_in=True,
        ),
        "limits": SchemaNode(values=QUANTITY, built_in=True),
        "stdin": TEXT,
    },
    built_in=True,
)  # fmt: skip
SPEC = SchemaNode(
    fields={
        "replicas": TEXT,
        "selector": SchemaNode(values=TEXT, atomic_map=True, built_in=True),
        "finalizers": SchemaNode(items=TEXT, list_type="set", built_in=True),
        "containers": SchemaNode(items=CONTAINER, list_type="map", keys=("name",), built_in=True),
        "labels": SchemaNode(values=TEXT, built_in=True),
        "targetPort": SchemaNode(is_int_or_string=True, built_in=True),
        "className": TEXT,
        "reference": SchemaNode(atomic_map=True, built_in=True),
        "rules": SchemaNode(items=SchemaNode(), built_in=True),
        "custom": SchemaNode(items=SchemaNode(fields={"size": SchemaNode(default=7)})),
        "emptyDir": SchemaNode(built_in=True),
        "hostPath": SchemaNode(built_in=True),
    },
    built_in=True,
)
SCHEMA = SchemaNode(fields={"spec": SPEC}, built_in=True)


def obj(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "one", **metadata}, "spec": spec}


def containers(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", **fields}]}


def differences(desired: dict[str, Any], live: dict[str, Any], *ignore: str) -> list[tuple[str, str, Any, Any]]:
    return [tuple(diff) for diff in subset_diff(obj(desired), obj(live), SCHEMA, ignore)]


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        pytest.param({"replicas": 3}, {"replicas": 3, "other": 1}, id="undeclared-fields-do-not-count"),
        pytest.param({"replicas": None}, {"replicas": 3}, id="null-declares-nothing"),
        pytest.param({"replicas": 3}, {"replicas": 3.0}, id="integer-as-float"),
        pytest.param(containers(limits={"cpu": "1000m"}), containers(limits={"cpu": "1"}), id="quantity-milli"),
        pytest.param(containers(limits={"cpu": 0.1}), containers(limits={"cpu": "100m"}), id="quantity-number"),
        pytest.param(containers(limits={"m": "3072Mi"}), containers(limits={"m": "3Gi"}), id="quantity-binary"),
        pytest.param({"targetPort": "80"}, {"targetPort": 80}, id="int-or-string"),
        pytest.param({"className": ""}, {}, id="empty-text-is-absent"),
        pytest.param({"labels": {}}, {}, id="empty-map-is-absent"),
        pytest.param(containers(stdin=False), containers(), id="false-is-dropped-by-the-server"),
        pytest.param(
            {"containers": [{"name": "a"}, {"name": "b"}]}, {"containers": [{"name": "b"}, {"name": "a"}]},
            id="order-of-a-map-list",
        ),
        pytest.param(
            {"reference": {"fieldPath": "status.podIP"}},
            {"reference": {"fieldPath": "status.podIP", "apiVersion": "v1"}},
            id="default-in-an-atomic-map",
        ),
        pytest.param(
            {"rules": [{"ports": [{"port": 80}]}]},
            {"rules": [{"ports": [{"port": 80, "protocol": "TCP"}]}]},
            id="default-in-an-atomic-list",
        ),
        pytest.param({"custom": [{"a": 1}]}, {"custom": [{"a": 1, "size": 7}]}, id="default-of-a-custom-resource"),
        pytest.param({"finalizers": ["a", "b"]}, {"finalizers": ["b", "c", "a"]}, id="order-and-more-of-a-set"),
        pytest.param(
            containers(ports=[{"containerPort": 80}]), containers(ports=[{"containerPort": 80, "protocol": "TCP"}]),
            id="absent-key-means-its-default",
        ),
    ],
)  # fmt: skip
def test_another_spelling_is_no_difference(desired: dict[str, Any], live: dict[str, Any]) -> None:
    """What the API server would store in the same way is the same."""
    assert differences(desired, live) == []


@pytest.mark.parametrize(
    ("desired", "live", "expected"),
    [
        pytest.param({"replicas": 3}, {"replicas": 5}, ("/spec/replicas", "changed", 3, 5), id="scalar"),
        pytest.param({"replicas": 3}, {}, ("/spec/replicas", "removed", 3, None), id="absent"),
        pytest.param({"replicas": 1}, {"replicas": True}, ("/spec/replicas", "changed", 1, True), id="bool-or-number"),
        pytest.param(
            {"containers": [{"name": "b", "image": "x:1"}]},
            {"containers": [{"name": "a"}, {"name": "b", "image": "x:2"}]},
            ("/spec/containers/1/image", "changed", "x:1", "x:2"), id="item-stands-at-its-live-index",
        ),
        pytest.param(
            {"containers": [{"name": "a"}, {"name": "b"}]}, {"containers": [{"name": "a"}]},
            ("/spec/containers/1", "removed", {"name": "b"}, None), id="missing-item",
        ),
        pytest.param(
            containers(args=["a", "b"]), containers(args=["b", "a"]),
            ("/spec/containers/0/args", "changed", ["a", "b"], ["b", "a"]), id="atomic-list-is-one-field",
        ),
        pytest.param(
            {"selector": {"app": "x"}}, {"selector": {"app": "x", "more": "y"}},
            ("/spec/selector", "changed", {"app": "x"}, {"app": "x", "more": "y"}), id="atomic-map-is-one-field",
        ),
        pytest.param(
            {"rules": [{"ports": [{"port": 80}]}]},
            {"rules": [{"ports": [{"port": 80}], "from": [{}]}]},
            ("/spec/rules", "changed", [{"ports": [{"port": 80}]}], [{"ports": [{"port": 80}], "from": [{}]}]),
            id="addition-inside-an-atomic-list",
        ),
        pytest.param(
            {"custom": [{"a": 1}]},
            {"custom": [{"a": 1, "size": 8}]},
            ("/spec/custom", "changed", [{"a": 1}], [{"a": 1, "size": 8}]),
            id="addition-inside-a-custom-resource's-list",
        ),
        pytest.param({"finalizers": ["a"]}, {"finalizers": []}, ("/spec/finalizers/0", "removed", "a", None), id="set"),
        pytest.param(
            containers(ports=[{"containerPort": 53, "protocol": "UDP"}]),
            containers(ports=[{"containerPort": 53, "protocol": "TCP"}]),
            ("/spec/containers/0/ports/0", "removed", {"containerPort": 53, "protocol": "UDP"}, None),
            id="same-port-other-protocol",
        ),
        pytest.param(
            containers(limits={"cpu": "1"}), containers(limits={"cpu": "1001m"}),
            ("/spec/containers/0/limits/cpu", "changed", "1", "1001m"), id="quantity",
        ),
        pytest.param(
            {"labels": {"a/b~c": "1"}}, {"labels": {}}, ("/spec/labels/a~1b~0c", "removed", "1", None), id="escaped",
        ),
        pytest.param(
            {"emptyDir": {}}, {"hostPath": {"path": "/etc"}}, ("/spec/emptyDir", "removed", {}, None), id="other-union",
        ),
    ],
)  # fmt: skip
def test_a_difference_has_path_kind_and_both_values(
    desired: dict[str, Any], live: dict[str, Any], expected: tuple[str, str, Any, Any]
) -> None:
    """One difference each, at the smallest field that the merge rules know."""
    assert differences(desired, live) == [expected]


@pytest.mark.parametrize(
    "rule", ["/spec/containers/0/env/0/value", "/spec/containers/*/env", "/spec", "/spec/containers/0/env/*/value"]
)
def test_an_ignored_path_covers_what_is_below(rule: str) -> None:
    """A rule is a prefix, and * stands for any one segment."""
    desired, live = (containers(env=[{"name": "A", "value": value}]) for value in ("1", "2"))
    assert differences(desired, live) != []
    assert differences(desired, live, rule) == []


def test_only_what_people_write_into_metadata_is_compared() -> None:
    """Labels and annotations count; what the server writes and the last-applied annotation do not."""
    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    desired = obj({}, labels={"a": "1"}, annotations={"b": "2", **applied}, resourceVersion="1", uid="x")
    live = obj({}, labels={"a": "0"}, resourceVersion="2", uid="y")
    assert [diff.path for diff in subset_diff(desired, live, SCHEMA)] == ["/metadata/labels/a", "/metadata/annotations"]


def secret(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **parts}


@pytest.mark.parametrize(
    ("desired", "live", "paths"),
    [
        pytest.param(
            {"stringData": {"k": "hello"}}, {"data": {"k": "aGVsbG8="}}, [], id="stringData-is-stored-as-data"
        ),
        pytest.param({"data": {"k": "aGVs\nbG8="}}, {"data": {"k": "aGVsbG8="}}, [], id="wrapped-base64"),
        pytest.param({"stringData": {"k": "hello"}}, {"data": {"k": "SGVsbG8="}}, ["/data/k"], id="other-value"),
        pytest.param(
            {"data": {"k": "aGVsbG8="}, "stringData": {"k": "new"}}, {"data": {"k": "bmV3"}}, [], id="stringData-wins"
        ),
    ],
)
def test_secrets_are_compared_as_the_server_stores_them(
    desired: dict[str, Any], live: dict[str, Any], paths: list[str]
) -> None:
    """The write-only form never reads as drift."""
    assert [diff.path for diff in subset_diff(secret(**desired), secret(**live))] == paths


def test_rules_that_an_aggregation_fills_are_not_compared() -> None:
    """A ClusterRole with an aggregationRule has its rules from others."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}
    desired = {**role, "aggregationRule": {"x": 1}, "rules": []}
    live = {**role, "aggregationRule": {"x": 1}, "rules": [{"verbs": ["get"]}]}
    assert subset_diff(desired, live) == []


def test_a_default_that_is_only_predicted_is_no_drift() -> None:
    """A new default of a CRD that old objects have not stored yet is nobody's change."""
    desired, live = obj({"replicas": 1}), obj({"replicas": 1})
    assert predicted_diff(obj({"replicas": 1, "className": "new-default"}), live, SCHEMA, desired) == []


def test_what_an_apply_would_take_away_is_an_addition() -> None:
    """A list item that the prediction lacks was added, at its live index."""
    desired = obj(containers(image="x"))
    live = obj({"containers": [{"name": "side"}, {"name": "web", "image": "x"}]})
    found = predicted_diff(obj(containers(image="x")), live, SCHEMA, desired)
    assert [(diff.path, diff.kind) for diff in found] == [("/spec/containers/0", "added")]


def test_a_default_inside_an_atomic_map_is_predicted_as_well() -> None:
    """What the server puts into `fieldRef` beside the declared path is in its prediction too."""
    desired = obj({"reference": {"fieldPath": "x"}})
    live = obj({"reference": {"fieldPath": "x", "apiVersion": "v9"}})
    assert predicted_diff(live, live, SCHEMA, desired) == []
    other = obj({"reference": {"fieldPath": "x", "apiVersion": "v8"}})
    assert [diff.path for diff in predicted_diff(other, live, SCHEMA, desired)] == ["/spec/reference"]


def test_the_servers_spelling_of_a_declared_value_counts() -> None:
    """What the server makes of the manifest is compared, so a webhook's rewrite is no drift."""
    desired, live = obj(containers(image="x")), obj(containers(image="mirror/x"))
    assert predicted_diff(obj(containers(image="mirror/x")), live, SCHEMA, desired) == []


def test_deep_values_are_compared_without_recursion() -> None:
    """A value that is nested deeper than any kind is compared whole instead of ending Python's stack."""

    def nested(leaf: int) -> Any:
        value: Any = leaf
        for _ in range(MAX_DEPTH * 50):
            value = {"a": value}
        return value

    assert subset_diff(obj({"x": nested(1)}), obj({"x": nested(1)})) == []
    assert len(subset_diff(obj({"x": nested(1)}), obj({"x": nested(2)}))) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text("abc/~", max_size=2), child, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_an_object_equals_itself(value: Any) -> None:
    """No JSON value differs from itself, whatever its shape."""
    assert subset_diff(obj({"x": value}), obj({"x": value}), SCHEMA) == []


@given(JSON, JSON)
def test_any_two_values_can_be_compared(desired: Any, live: Any) -> None:
    """Odd shapes never raise, and arguments are left as they were."""
    left, right = obj({"containers": desired}), obj({"containers": live})
    before = repr((left, right))
    subset_diff(left, right, SCHEMA)
    predicted_diff(left, right, SCHEMA, right)
    assert repr((left, right)) == before
