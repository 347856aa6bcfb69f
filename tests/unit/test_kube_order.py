"""Lists whose order means something or nothing whatever their kind says, keys that live has twice, and zeros."""

from typing import Any

import pytest

from services.kube.comparison.diff import predicted_diff, subset_diff
from services.kube.comparison.schema import SchemaNode, schema_for
from services.kube.objects import Object
from services.kube.verdict.describe import describe

LEAF = SchemaNode(built_in=True)
ITEM = SchemaNode(fields={"name": LEAF, "value": LEAF, "periodSeconds": LEAF, "hostNetwork": LEAF}, built_in=True)


def by_name(**rule: Any) -> SchemaNode:
    return SchemaNode(items=ITEM, list_type="map", keys=("name",), built_in=True, **rule)


SPEC = SchemaNode(
    fields={
        "env": by_name(), "steps": by_name(ordered=True), "plain": SchemaNode(items=ITEM, built_in=True),
        "metrics": SchemaNode(items=ITEM, unordered=True, built_in=True), "probe": ITEM,
    },
    built_in=True,
)  # fmt: skip
SCHEMA = SchemaNode(fields={"spec": SPEC}, built_in=True)
A, B, C = ({"name": name, "value": "1"} for name in "abc")


def obj(**spec: Any) -> Object:
    return {"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": spec}


def told(name: str, desired: Any, live: Any) -> list[tuple[str, str]]:
    found = subset_diff(obj(**{name: desired}), obj(**{name: live}), SCHEMA)
    return [(diff.kind, diff.path) for diff in found]


@pytest.mark.parametrize(
    ("name", "desired", "live", "expected"),
    [
        pytest.param("env", [A, B], [B, A], [], id="keyed-in-any-order"),
        pytest.param("steps", [A, B], [A, B], [], id="steps-in-order"),
        pytest.param("steps", [A, B], [A, C, B], [], id="steps-with-another-between"),
        pytest.param("steps", [A, B], [B, A], [("changed", "/spec/steps")], id="steps-swapped"),
        pytest.param("steps", [A, B, C], [C], [("removed", "/spec/steps/0"), ("removed", "/spec/steps/1")], id="gone"),
        pytest.param("plain", [A, B], [B, A], [("changed", "/spec/plain")], id="plain-list-swapped"),
        pytest.param("metrics", [A, B], [B, A], [], id="metrics-swapped"),
        pytest.param("metrics", [A, B], [A, A], [("changed", "/spec/metrics")], id="metrics-twice-the-same"),
        pytest.param("metrics", [A], [B, A], [("changed", "/spec/metrics")], id="metrics-one-more"),
        pytest.param("env", [A], [A, A], [("added", "/spec/env/1")], id="a-declared-key-twice"),
        pytest.param("env", [A, A], [A, A], [], id="declared-twice"),
        pytest.param("env", [A], [A, B, B], [], id="an-undeclared-key-twice"),
    ],
)
def test_order_and_doubles(name: str, desired: Any, live: Any, expected: list[tuple[str, str]]) -> None:
    """Map lists have no order but where they are steps; atomic lists have one but where the server keeps none."""
    assert told(name, desired, live) == expected


@pytest.mark.parametrize(
    ("desired", "live", "same"),
    [
        pytest.param(0, 10, True, id="zero-means-the-default"),
        pytest.param(0, 5, False, id="but-nothing-else"),
        pytest.param(10, 0, False, id="and-not-the-other-way"),
        pytest.param(False, 10, False, id="false-is-no-zero"),
    ],
)
def test_a_zero_in_place_of_a_default(desired: Any, live: Any, same: bool) -> None:
    """The server puts its default where a probe's `periodSeconds` is 0."""
    assert bool(told("probe", {"periodSeconds": desired}, {"periodSeconds": live})) is not same


def test_what_is_declared_as_nothing_has_changed_and_was_not_added() -> None:
    """The server stores no empty text and no false, so the prediction has nothing where live has something."""
    desired = obj(env=[{"name": "a", "value": ""}], probe={"hostNetwork": False}, plain=[])
    predicted = obj(env=[{"name": "a"}], probe={}, plain=None)
    live = obj(env=[B, {"name": "a", "value": "x"}], probe={"hostNetwork": True, "value": "x"}, plain=[A])
    found = {diff.path: (diff.kind, diff.desired) for diff in predicted_diff(predicted, live, SCHEMA, desired)}
    assert found == {
        "/spec/env/0": ("added", None), "/spec/env/1/value": ("changed", ""), "/spec/probe/value": ("added", None),
        "/spec/probe/hostNetwork": ("changed", False), "/spec/plain": ("changed", []),
    }  # fmt: skip


def test_the_server_keeps_no_order_of_an_autoscalers_metrics() -> None:
    """Known by its kind, since its schema says nothing; init containers are known by their name."""
    items = {"type": "array", "items": {"type": "object"}}
    kinds = [("autoscaling", "HorizontalPodAutoscaler", True), ("example.org", "HorizontalPodAutoscaler", False)]
    for group, kind, unordered in kinds:
        top = {
            "properties": {"spec": {"properties": {"metrics": items, "initContainers": items}}},
            "x-kubernetes-group-version-kind": [{"group": group, "version": "v2", "kind": kind}],
        }
        document = {"components": {"schemas": {"io.k8s.api.Top": top}}}
        spec = schema_for(document, group, "v2", kind).fields["spec"]
        assert (spec.fields["metrics"].unordered, spec.fields["initContainers"].ordered) == (unordered, True)
    own = {"components": {"schemas": {"org.example.Top": top}}}
    assert not schema_for(own, "example.org", "v2", kind).fields["spec"].fields["initContainers"].ordered


def test_who_moved_items_is_not_known() -> None:
    """managedFields names the items' owners; of a list that is one field it names the last writer."""

    def writer(name: str, owned: dict[str, Any]) -> str | None:
        live = obj(**{name: [B, A]})
        entry = {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {f"f:{name}": owned}}}
        live["metadata"]["managedFields"] = [entry]
        declared = obj(**{name: [A, B]})
        (change,) = describe(live, declared, subset_diff(declared, live, SCHEMA), b"key")
        return change.manager

    assert writer("steps", {'k:{"name":"a"}': {"f:value": {}}}) is None
    assert writer("plain", {}) == "kubectl-edit"
