"""How the API server's own OpenAPI document becomes merge rules."""

from typing import Any

import pytest

from services.kube.comparison.schema import UNKNOWN, SchemaNode, schema_for

KIND = {"group": "example.org", "version": "v1", "kind": "Thing"}


def document(spec: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    top = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": spec}},
        "x-kubernetes-group-version-kind": [KIND],
    }
    return {"components": {"schemas": {"org.example.v1.Thing": top, **schemas}}}


def field(schema: dict[str, Any], **schemas: Any) -> SchemaNode:
    found = schema_for(document({"it": schema}, **schemas), "example.org", "v1", "Thing")
    return found.fields["spec"].fields["it"]


def items(**rule: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}, **rule}


@pytest.mark.parametrize(
    ("rule", "list_type", "keys"),
    [
        pytest.param({}, "atomic", (), id="no-rule-is-atomic"),
        pytest.param({"x-kubernetes-list-type": "set"}, "set", (), id="set"),
        pytest.param(
            {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}, "map", ("name",), id="map"
        ),
        pytest.param({"x-kubernetes-patch-merge-key": "name"}, "map", ("name",), id="only-a-merge-key"),
        pytest.param(
            {"x-kubernetes-list-type": "atomic", "x-kubernetes-patch-merge-key": "name"}, "atomic", (), id="both"
        ),
        pytest.param({"x-kubernetes-list-type": "map"}, "atomic", (), id="map-without-keys"),
    ],
)
def test_lists_merge_as_the_schema_says(rule: dict[str, Any], list_type: str, keys: tuple[str, ...]) -> None:
    """The rules of server-side apply, with the older merge key where there is no list type."""
    node = field(items(**rule))
    assert (node.list_type, node.keys) == (list_type, keys)


def test_a_key_that_may_be_absent_has_its_default() -> None:
    """From the items' schema; `protocol` of built-in kinds is known to be TCP."""
    rule = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"]}
    item = {
        "type": "object",
        "properties": {"port": {"type": "integer", "default": 80}, "protocol": {"type": "string"}},
    }
    assert field({"type": "array", "items": item, **rule}).key_defaults == {"port": 80, "protocol": "TCP"}


def test_references_are_shared_and_may_be_recursive() -> None:
    """One node a type, so that a type that holds itself ends."""
    tree = {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/org.example.Tree"}}}
    node = field({"allOf": [{"$ref": "#/components/schemas/org.example.Tree"}]}, **{"org.example.Tree": tree})
    assert node.fields["child"] is node.fields["child"].fields["child"]


def test_quantities_and_int_or_strings_are_known_by_name_and_by_pattern() -> None:
    """Built-in types by their name, custom resources by what their generator writes."""
    name = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    built_in = field({"$ref": f"#/components/schemas/{name}"}, **{name: {"type": "string"}})
    custom = field({"anyOf": [], "x-kubernetes-int-or-string": True, "pattern": "^([0-9]+)(([KMGTPE]i)|m)?$"})
    assert built_in.is_quantity
    assert custom.is_quantity
    assert custom.is_int_or_string


def test_free_maps_and_atomic_maps() -> None:
    """`additionalProperties` makes keys data; `x-kubernetes-map-type` makes the map one field."""
    node = field({"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"})
    assert node.values is not None
    assert node.atomic_map


@pytest.mark.parametrize("openapi", [{}, {"components": {}}, {"components": {"schemas": {"a": {}}}}])
def test_a_kind_that_is_not_in_the_document_is_unknown(openapi: dict[str, Any]) -> None:
    """Then every list is atomic and every map granular."""
    assert schema_for(openapi, "example.org", "v1", "Thing") is UNKNOWN
