"""How the API server itself sees a kind: which lists are maps or sets, which texts are quantities.

Read from the server's own OpenAPI v3 documents (`/openapi/v3/apis/apps/v1`), so that custom resources are known as
well as built-in ones. Called once a kind by the watcher; the nodes are shared and small. Without a schema every list
is atomic and every map granular, which is the server's own rule for custom resources.
Source: Kubernetes' server-side apply documentation, "Merge strategy".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BUILT_IN = ("io.k8s.api.", "io.k8s.apimachinery.", "io.k8s.apiextensions-apiserver.", "io.k8s.kube-aggregator.")
QUANTITY_PATTERN = "[KMGTPE]i"  # in the pattern that CRD generators give to quantities
NO_DEFAULT = object()
REF = "#/components/schemas/"
ORDERED = "initContainers"  # a map list, but they run one after another

# Atomic lists whose order says nothing. Metrics are each looked at and the highest wins; servers before 1.27 and every
# write in version v1 put them in another order (kubernetes/kubernetes#74099).
UNORDERED = {("autoscaling", "HorizontalPodAutoscaler"): (("spec", "metrics"),)}


@dataclass(slots=True, eq=False)
class SchemaNode:
    """One place of a kind's schema. Treat as immutable once `schema_for` has returned it; nodes may form cycles.

    `list_type` is "atomic", "set" or "map"; `keys` are a map list's keys and `key_defaults` what an absent one means.
    `default` is what the server fills in; custom resources state theirs, built-in kinds do not.
    `open` is a struct that keeps fields which it does not name; `unordered` an atomic list whose order says nothing.
    `ordered` is a map list whose order means something all the same.
    `fields` are the named fields of a struct, `values` the schema of a free map's values (its keys are data).
    """

    fields: dict[str, "SchemaNode"] = field(default_factory=dict)
    values: "SchemaNode | None" = None
    items: "SchemaNode | None" = None
    list_type: str = "atomic"
    keys: tuple[str, ...] = ()
    key_defaults: dict[str, Any] = field(default_factory=dict)
    atomic_map: bool = False
    is_quantity: bool = False
    is_int_or_string: bool = False
    is_duration: bool = False
    built_in: bool = False
    open: bool = False
    unordered: bool = False
    ordered: bool = False
    default: Any = NO_DEFAULT


UNKNOWN = SchemaNode()


class _Builder:
    """Turns schemas into nodes; one node a `$ref`, so that shared and recursive types end."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.schemas = schemas
        self.by_ref: dict[str, SchemaNode] = {}

    def named(self, name: str) -> SchemaNode:
        if name not in self.by_ref:
            node = self.by_ref[name] = SchemaNode(built_in=name.startswith(BUILT_IN))
            node.is_quantity = name.endswith(".api.resource.Quantity")
            node.is_int_or_string = name.endswith(".util.intstr.IntOrString")
            node.is_duration = name.endswith(".meta.v1.Duration")
            schema = self.schemas.get(name)
            if isinstance(schema, Mapping):
                self.fill(node, schema)
        return self.by_ref[name]

    def build(self, schema: Any, built_in: bool) -> SchemaNode:
        if not isinstance(schema, Mapping):
            return UNKNOWN
        reference = _reference(schema)
        if reference and not any(name.startswith("x-kubernetes-") for name in schema):
            return self.named(reference)
        node = SchemaNode(built_in=built_in)
        if reference:
            self.copy(node, self.named(reference))
        self.fill(node, schema)
        return node

    def copy(self, node: SchemaNode, other: SchemaNode) -> None:
        for name in SchemaNode.__slots__:
            setattr(node, name, getattr(other, name))

    def fill(self, node: SchemaNode, schema: Mapping[str, Any]) -> None:
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            node.fields = {str(name): self.build(child, node.built_in) for name, child in properties.items()}
            if ORDERED in node.fields and node.built_in:
                node.fields[ORDERED].ordered = True
        values = schema.get("additionalProperties")
        if values:
            node.values = self.build(values, node.built_in) if isinstance(values, Mapping) else UNKNOWN
        if "items" in schema:
            node.items = self.build(schema["items"], node.built_in)
            self.merge_rule(node, schema)
        node.default = schema.get("default", NO_DEFAULT)
        node.open = node.open or bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        node.atomic_map = schema.get("x-kubernetes-map-type") == "atomic"
        self.scalar(node, schema)

    def merge_rule(self, node: SchemaNode, schema: Mapping[str, Any]) -> None:
        keys = schema.get("x-kubernetes-list-map-keys")
        merge_key = schema.get("x-kubernetes-patch-merge-key")
        node.list_type = str(schema.get("x-kubernetes-list-type") or ("map" if merge_key else "atomic"))
        if node.list_type != "map":
            return
        node.keys = tuple(keys) if keys else (str(merge_key),) if merge_key else ()
        if not node.keys:
            node.list_type = "atomic"
        node.key_defaults = self.key_defaults(schema["items"], node.keys)

    def key_defaults(self, items: Any, keys: tuple[str, ...]) -> dict[str, Any]:
        """What an absent key means. Built-in types state only `protocol` and that as a default of "TCP"."""
        reference = _reference(items) if isinstance(items, Mapping) else None
        schema = self.schemas.get(reference or "", items)
        properties = schema.get("properties", {}) if isinstance(schema, Mapping) else {}
        found = {key: properties[key]["default"] for key in keys if "default" in (properties.get(key) or {})}
        if "protocol" in keys:
            found.setdefault("protocol", "TCP")
        return found

    def scalar(self, node: SchemaNode, schema: Mapping[str, Any]) -> None:
        if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
            node.is_int_or_string = True
            node.is_quantity = node.is_quantity or QUANTITY_PATTERN in str(schema.get("pattern", ""))
        if schema.get("type") == "string" and "enum" not in schema:
            own = not node.built_in and schema.get("format") is None
            node.is_quantity = node.is_quantity or QUANTITY_PATTERN in str(schema.get("pattern", ""))
            # Custom resources hold metav1.Duration as plain text: two spellings of one duration are the same there.
            node.is_duration = node.is_duration or schema.get("format") == "duration" or own


def _reference(schema: Mapping[str, Any]) -> str | None:
    reference = schema.get("$ref")
    parts = schema.get("allOf")
    if reference is None and isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        reference = parts[0].get("$ref")
    return str(reference).removeprefix(REF) if reference else None


def schema_for(openapi: Mapping[str, Any], group: str, version: str, kind: str) -> SchemaNode:
    """The schema of one kind out of a group version's OpenAPI v3 document; `UNKNOWN` where it names no such kind."""
    schemas = (openapi.get("components") or {}).get("schemas") or {}
    wanted = {"group": group, "version": version, "kind": kind}
    for name, schema in schemas.items():
        if wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
            node = _Builder(schemas).named(str(name))
            _mark_unordered(node, group, kind)
            return node
    return UNKNOWN


def _mark_unordered(node: SchemaNode, group: str, kind: str) -> None:
    """Set the places whose order the server itself does not keep."""
    for path in UNORDERED.get((group, kind), ()):
        place: SchemaNode | None = node
        for name in path:
            place = place.fields.get(name) if place else None
        if place:
            place.unordered = True
