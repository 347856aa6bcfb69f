"""The read-only comparison: which declared fields does a live object not have, or have otherwise?

`subset_diff` is the watcher's first check of every event and the only engine where a token may not write; it asks
"desired ⊆ live" over declared paths only, because defaults cannot be told from OpenAPI. `predicted_diff` compares
the answer of a server-side dry-run with the live object. Neither changes its arguments. What is not seen here: fields
that somebody added (`kube/comparison/additions.py`), unless inside an atomic map or list, which is compared whole.
The walk is written for speed, tens of µs for a Deployment: a pointer is only built once something differs.
Source of the list and map rules: Kubernetes' server-side apply documentation, "Merge strategy".
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from services.kube.bags import not_among, same_bag
from services.kube.comparison.defaults import is_default
from services.kube.comparison.equality import absent_is_same, same_scalar, zero_means
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.objects import LAST_APPLIED, Object, group_of, metadata_of
from services.kube.pointer import FieldDiff, Segments, apply_ignore, escape, parse_pointer

MAX_DEPTH = 100  # deeper values are compared whole: no kind is that deep, and Python's stack ends
METADATA_FIELDS = ("labels", "annotations", "finalizers", "ownerReferences")
MISSING = object()

FREE_MAP = SchemaNode(values=SchemaNode(built_in=True), built_in=True)
NAME_SET = SchemaNode(list_type="set", items=SchemaNode(built_in=True), built_in=True)
BY_UID = SchemaNode(list_type="map", keys=("uid",), items=SchemaNode(built_in=True), built_in=True)
METADATA = SchemaNode(
    fields={"labels": FREE_MAP, "annotations": FREE_MAP, "finalizers": NAME_SET, "ownerReferences": BY_UID},
    built_in=True,
)

# A path while walking: (parent path, key), so that going down costs one tuple. None is the document.
Path = tuple[Any, str | int] | None


def subset_diff(
    desired: Object, live: Object, schema: SchemaNode = UNKNOWN, ignore: Iterable[str] = ()
) -> list[FieldDiff]:
    """Every declared field that `live` lacks ("removed") or holds otherwise ("changed"), in the manifest's order, and
    items of a declared key that live has twice ("added").

    Paths are RFC 6901 pointers; an item of a map list stands at its index in `live`, or in `desired` if absent there.
    An atomic list is one field. `ignore` holds pointers that cover everything below them, `*` for any one segment.
    """
    out: list[FieldDiff] = []
    desired = declared(desired)
    for name, value in desired.items():
        if name == "metadata":
            _walk_metadata(value, live.get("metadata"), out)
        elif name not in ("apiVersion", "kind", "status"):
            _field(name, value, live.get(name, MISSING), desired, live, schema, None, 0, out)
    return apply_ignore(_canonical_secret(desired, out), ignore)


def predicted_diff(
    predicted: Object, live: Object, schema: SchemaNode, desired: Object, ignore: Iterable[str] = ()
) -> list[FieldDiff]:
    """What an apply would change, from a dry-run's answer: "changed" and "removed" for declared fields, "added" for
    what the apply would take away.

    An undeclared field that only the prediction has is a default not yet stored, no drift. Spelling and the order of
    map lists and sets do not count.
    """
    bare = declared(desired)
    out = [diff for diff in subset_diff(_projection(predicted, bare, schema), live, schema) if diff.kind != "added"]
    _taken_away(_comparable(live), _comparable(predicted), bare, schema, None, 0, out)
    return apply_ignore(out, ignore)


def undeclarable(
    diffs: list[FieldDiff], desired: Object, schema: SchemaNode
) -> tuple[list[FieldDiff], list[FieldDiff]]:
    """The differences, and apart from them those at fields that the kind does not know: the server drops such fields,
    so nobody has removed them.
    """
    unknown = [diff for diff in diffs if diff.kind == "removed" and not _known(parse_pointer(diff.path), schema)]
    return [diff for diff in diffs if diff not in unknown], unknown


def _known(path: Segments, node: SchemaNode) -> bool:
    """False where a struct on the way has no field of that name. What has no schema knows everything."""
    if path[:1] == ("metadata",):
        return True
    for segment in path:
        if node.items is not None and segment.isdigit():
            node = node.items
        elif node.values is not None or not node.fields or node.open:
            return True
        elif segment not in node.fields:
            return False
        else:
            node = node.fields[segment]
    return True


def declared(desired: Object) -> Object:
    """The manifest in the form in which the server stores it: a Secret's `stringData` as `data`, no rules that an
    aggregation fills. The same object where nothing needs to change."""
    kind = desired.get("kind")
    if kind == "Secret" and not group_of(desired) and isinstance(desired.get("stringData"), dict):
        plain = desired.get("data")
        data = {
            **(plain if isinstance(plain, dict) else {}),
            **{k: _encoded(v) for k, v in desired["stringData"].items()},
        }
        return {**{name: value for name, value in desired.items() if name != "stringData"}, "data": data}
    if kind == "ClusterRole" and desired.get("aggregationRule") and "rules" in desired:
        return {name: value for name, value in desired.items() if name != "rules"}
    return desired


def list_key(item: Any, node: SchemaNode) -> Any:
    """The identity of an item in a map list, hashable; None where it has none."""
    if not isinstance(item, dict):
        return None
    keys = node.keys
    value: Any = item.get(keys[0]) if len(keys) == 1 else tuple(item.get(k, node.key_defaults.get(k)) for k in keys)
    try:
        hash(value)
    except TypeError:
        return None  # no server takes it for a key
    return value


def pointer_of(path: Path) -> str:
    """A walk's path as a JSON pointer."""
    parts: list[str] = []
    while path is not None:
        parts.append(escape(str(path[1])))
        path = path[0]
    return "/" + "/".join(reversed(parts)) if parts else ""


def _encoded(value: Any) -> Any:
    return base64.b64encode(value.encode("utf-8", "surrogatepass")).decode() if isinstance(value, str) else value


def _canonical_secret(desired: Object, diffs: list[FieldDiff]) -> list[FieldDiff]:
    """Base64 may be wrapped or padded otherwise; null data is stored as empty text."""
    if not diffs or desired.get("kind") != "Secret" or group_of(desired):
        return diffs
    return [
        diff for diff in diffs if not (diff.path.startswith("/data/") and _decoded(diff.desired) == _decoded(diff.live))
    ]


def _decoded(value: Any) -> Any:
    try:
        return base64.b64decode("".join(value.split())) if isinstance(value, str) else value
    except (binascii.Error, ValueError):
        return value


def _walk_metadata(desired: Any, live: Any, out: list[FieldDiff]) -> None:
    if not isinstance(desired, dict):
        return
    live = live if isinstance(live, dict) else {}
    for name in METADATA_FIELDS:
        value = desired.get(name)
        if value:
            if name == "annotations" and isinstance(value, dict) and LAST_APPLIED in value:
                value = {key: text for key, text in value.items() if key != LAST_APPLIED}
            _field(name, value, live.get(name, MISSING), desired, live, METADATA, (None, "metadata"), 1, out)


def _field(
    name: str, desired: Any, live: Any, parent: Object, owner: Object, node: SchemaNode, path: Path, depth: int,
    out: list[FieldDiff],
) -> None:  # fmt: skip
    """Compare what stands under one name of a map; `live` is MISSING where the name is absent."""
    child = node.fields.get(name) or node.values or UNKNOWN
    if desired is None:
        return
    if live is MISSING or live is None:
        same = absent_is_same(name, desired, child, node.values is not None)
        if (not same or _replaced(name, desired, parent, owner)) and not _empty_free_map(desired, child):
            out.append(FieldDiff(pointer_of((path, name)), "removed", desired, None))
    else:
        _value(desired, live, child, (path, name), depth + 1, out)


def _empty_free_map(desired: Any, node: SchemaNode) -> bool:
    return desired == {} and node.values is not None


def _replaced(name: str, desired: Any, parent: Object, live: Object) -> bool:
    """True where `{}` chose one of several alternatives (`emptyDir: {}`) and live now has another one instead."""
    if desired != {} or any(isinstance(value, dict) and key != name for key, value in parent.items()):
        return False
    return any(
        isinstance(value, dict) and value and key not in parent and key != "metadata" for key, value in live.items()
    )


def _value(desired: Any, live: Any, node: SchemaNode, path: Path, depth: int, out: list[FieldDiff]) -> None:
    kind = type(desired)
    if kind is dict and type(live) is dict:
        if depth > MAX_DEPTH or node.atomic_map:
            if not _same_whole(desired, live, node, depth):
                out.append(FieldDiff(pointer_of(path), "changed", desired, live))
            return
        _walk_map(desired, live, node, path, depth, out)
    elif kind is list and type(live) is list:
        _walk_list(desired, live, node, path, depth, out)
    elif not (desired == live and kind is type(live)) and not _same_leaf(desired, live, node, path):
        out.append(FieldDiff(pointer_of(path), "changed", desired, live))


def _same_leaf(desired: Any, live: Any, node: SchemaNode, path: Path) -> bool:
    return same_scalar(desired, live, node) or (path is not None and zero_means(path[1], desired, live, node))


def _walk_map(desired: Object, live: Object, node: SchemaNode, path: Path, depth: int, out: list[FieldDiff]) -> None:
    fields, values = node.fields, node.values or UNKNOWN
    for name, value in desired.items():
        other = live.get(name, MISSING)
        kind = type(value)
        if value is other or (kind is type(other) and kind is not dict and kind is not list and value == other):
            continue
        if other is MISSING or other is None or value is None:
            _field(name, value, other, desired, live, node, path, depth, out)
        else:
            _value(value, other, fields.get(name) or values, (path, name), depth + 1, out)


def _walk_list(
    desired: list[Any], live: list[Any], node: SchemaNode, path: Path, depth: int, out: list[FieldDiff]
) -> None:
    items = node.items or UNKNOWN
    if depth <= MAX_DEPTH and node.list_type == "map" and node.keys:
        if all(type(item) is dict for item in desired) and all(type(item) is dict for item in live):
            _walk_keyed(desired, live, node, items, path, depth, out)
            return
    elif depth <= MAX_DEPTH and node.list_type == "set":
        for index in not_among(desired, live, lambda one, other: _same(one, other, items, depth)):
            out.append(FieldDiff(pointer_of((path, index)), "removed", desired[index], None))
        return
    if not _same_list(desired, live, items, depth) and not (node.unordered and _same_bag(desired, live, items, depth)):
        out.append(FieldDiff(pointer_of(path), "changed", desired, live))


def _walk_keyed(
    desired: list[Any], live: list[Any], node: SchemaNode, items: SchemaNode, path: Path, depth: int,
    out: list[FieldDiff],
) -> None:  # fmt: skip
    places = pair_up(desired, live, node)
    if node.ordered and not _in_order(places):
        out.append(FieldDiff(pointer_of(path), "changed", desired, live))
        return
    for index, position in enumerate(places):
        item = desired[index]
        if position is None:
            out.append(FieldDiff(pointer_of((path, index)), "removed", item, None))
        else:
            _walk_map(item, live[position], items, (path, position), depth + 1, out)
    if len(live) > len(desired):
        for index in _doubles(places, desired, live, node):
            out.append(FieldDiff(pointer_of((path, index)), "added", None, live[index]))


def _in_order(places: list[int | None]) -> bool:
    found = [place for place in places if place is not None]
    return found == sorted(found)


def _doubles(places: list[int | None], desired: list[Any], live: list[Any], node: SchemaNode) -> list[int]:
    """Where live has a declared key once more than it is declared: the last of such items is what counts."""
    wanted = {list_key(item, node) for item in desired}
    paired = set(places)
    return [index for index, item in enumerate(live) if index not in paired and list_key(item, node) in wanted]


def pair_up(desired: list[Any], live: list[Any], node: SchemaNode) -> list[int | None]:
    """For each desired item of a map list the index of its counterpart in live; duplicates pair in order."""
    wanted = [list_key(item, node) for item in desired]
    found = [list_key(item, node) for item in live]
    if wanted == found[: len(wanted)] and len(set(found)) == len(found):
        return list(range(len(wanted)))
    places: dict[Any, list[int]] = {}
    for index, key in enumerate(found):
        places.setdefault(key, []).append(index)
    for queue in places.values():
        queue.reverse()
    return [places[key].pop() if places.get(key) else None for key in wanted]


def _same_list(desired: list[Any], live: list[Any], items: SchemaNode, depth: int) -> bool:
    if len(desired) != len(live):
        return False
    return all(_same_whole(left, right, items, depth) for left, right in zip(desired, live, strict=True))


def _same_bag(desired: list[Any], live: list[Any], items: SchemaNode, depth: int) -> bool:
    return same_bag(desired, live, lambda one, other: _same_whole(one, other, items, depth))


def _same_whole(desired: Any, live: Any, node: SchemaNode, depth: int) -> bool:
    """Equality of what is compared whole: what live has beyond it must be a default of the server's."""
    if depth > MAX_DEPTH:
        return _deep_equal(desired, live)
    if not _same(desired, live, replace(node, atomic_map=False) if node.atomic_map else node, depth):
        return False
    return not _has_more(desired, live, node, depth)


def _has_more(desired: Any, live: Any, node: SchemaNode, depth: int) -> bool:
    """True where a map of live, at any depth, has a key that the declared one lacks and that is no default."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(desired, dict) and isinstance(live, dict):
        for name, value in live.items():
            child = node.fields.get(name) or node.values or UNKNOWN
            if desired.get(name) is None:
                if node.values is not None or (not is_default(name, value) and value != child.default):
                    return True
            elif _has_more(desired[name], value, child, depth + 1):
                return True
        return False
    if isinstance(desired, list) and isinstance(live, list):
        items = node.items or UNKNOWN
        if node.list_type == "map" and node.keys and all(isinstance(item, dict) for item in [*desired, *live]):
            places = pair_up(live, desired, node)
            return any(
                at is None or _has_more(desired[at], item, items, depth + 1)
                for item, at in zip(live, places, strict=True)
            )
        return len(live) > len(desired) or any(
            _has_more(left, right, items, depth + 1) for left, right in zip(desired, live, strict=False)
        )
    return False


def _same(desired: Any, live: Any, node: SchemaNode, depth: int) -> bool:
    if depth > MAX_DEPTH:
        return _deep_equal(desired, live)
    out: list[FieldDiff] = []
    _value(desired, live, node, None, depth + 1, out)
    return not out


def _deep_equal(left: Any, right: Any) -> bool:
    """Plain equality of JSON without recursion, for values of any depth."""
    todo = [(left, right)]
    while todo:
        one, other = todo.pop()
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            todo.extend((value, other[name]) for name, value in one.items())
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            todo.extend(zip(one, other, strict=True))
        elif one != other or isinstance(one, bool) is not isinstance(other, bool):
            return False
    return True


def _comparable(obj: Object) -> Object:
    """What a dry-run's answer and a live object have in common: no status, labels and annotations of the metadata."""
    bare = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind", "status")}
    metadata = metadata_of(obj)
    bare["metadata"] = {name: metadata[name] for name in METADATA_FIELDS if name in metadata}
    annotations = bare["metadata"].get("annotations")
    if isinstance(annotations, dict):
        bare["metadata"]["annotations"] = {key: text for key, text in annotations.items() if key != LAST_APPLIED}
    return bare


def _projection(predicted: Any, desired: Any, node: SchemaNode) -> Any:
    """`predicted` cut down to the paths that `desired` declares, so that what the server made of them is compared."""
    if not isinstance(predicted, dict) or not isinstance(desired, dict) or node.atomic_map:
        return predicted
    cut = {}
    for name, value in desired.items():
        if name in predicted:
            child = METADATA if name == "metadata" else node.fields.get(name) or node.values or UNKNOWN
            cut[name] = _project_value(predicted[name], value, child)
    return cut


def _project_value(predicted: Any, desired: Any, node: SchemaNode) -> Any:
    if isinstance(desired, list) and isinstance(predicted, list) and node.list_type == "map" and node.keys:
        pairs = zip(desired, pair_up(desired, predicted, node), strict=True)
        items = node.items or UNKNOWN
        return [_projection(predicted[at], item, items) for item, at in pairs if at is not None]
    if isinstance(desired, list) and isinstance(predicted, list) and node.list_type == "set":
        lost = set(not_among(desired, predicted, _alike))
        kept = [item for at, item in enumerate(desired) if at not in lost]
        return kept + [predicted[at] for at in not_among(predicted, desired, _alike)]
    return _projection(predicted, desired, node)


def _taken_away(
    live: Any, predicted: Any, desired: Any, node: SchemaNode, path: Path, depth: int, out: list[FieldDiff]
) -> None:
    """Collect what only the live object has: an apply would remove it. What is declared as nothing has changed."""
    if depth > MAX_DEPTH:
        return
    if isinstance(live, dict) and isinstance(predicted, dict):
        if node.atomic_map:
            return  # one field, which the comparison of the declared part tells as changed
        for name, value in live.items():
            wanted = desired.get(name) if isinstance(desired, dict) else None
            child = METADATA if name == "metadata" and not depth else node.fields.get(name) or node.values or UNKNOWN
            if predicted.get(name) is not None:
                _taken_away(value, predicted[name], wanted, child, (path, name), depth + 1, out)
            elif value not in (None, {}, []):
                meant = wanted not in (None, {}, []) or (wanted == [] and child.list_type == "atomic")
                kind = "changed" if meant else "added"
                out.append(FieldDiff(pointer_of((path, name)), kind, wanted if meant else None, value))
    elif isinstance(live, list) and isinstance(predicted, list) and node.list_type == "map" and node.keys:
        listed = desired if isinstance(desired, list) and all(isinstance(item, dict) for item in desired) else []
        meant = pair_up(live, listed, node)
        for index, at in enumerate(pair_up(live, predicted, node)):
            if at is None:
                out.append(FieldDiff(pointer_of((path, index)), "added", None, live[index]))
            else:
                place = meant[index]
                wanted = None if place is None else listed[place]
                items = node.items or UNKNOWN
                _taken_away(live[index], predicted[at], wanted, items, (path, index), depth + 1, out)
    elif isinstance(live, list) and isinstance(predicted, list) and node.list_type == "set":
        fresh = ((index, live[index]) for index in not_among(live, predicted, _alike))
        out.extend(FieldDiff(pointer_of((path, index)), "added", None, item) for index, item in fresh)


def _alike(one: Any, other: Any) -> bool:
    return bool(one == other)
