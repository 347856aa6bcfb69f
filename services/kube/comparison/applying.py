"""What of a manifest an apply may send: all of it for a new object, less what is left to others for one that is there.

A field that is left to others and that Setpoint itself owns keeps its live value: leaving it out would make
server-side apply remove it. Who created the object with the whole manifest owns such a field.
Pointers lead into the live object, whose lists may have another order than the manifest's: items pair by their keys.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.kube.bags import token
from services.kube.comparison.diff import METADATA, pair_up
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.objects import Object, managed_fields
from services.kube.pointer import (
    Rules,
    Segments,
    covers,
    is_index,
    parse_ignore,
    parse_pointer,
    resolve,
    rules_of,
    to_pointer,
)
from services.kube.pointer import below as deeper
from services.kube.writers.listed import steps_of
from services.kube.writers.ownership import owned_leaves, step_for
from services.kube.writers.trust import OURS

ABSENT = object()
Fields = tuple[Mapping[str, Any], ...]  # FieldsV1 of each of Setpoint's own applies


def appliable(manifest: Object, live: Object | None, left: Iterable[str], schema: SchemaNode = UNKNOWN) -> Object:
    """The body of an apply. `left` are pointers into the live object, `*` for any segment."""
    patterns = parse_ignore(left)
    if not patterns or live is None:
        return manifest
    rules = rules_of(patterns)
    ours = [entry for entry in managed_fields(live) if _is_ours(entry)]
    owned = tuple(fields for entry in ours if isinstance(fields := entry.get("fieldsV1"), Mapping))
    body: Object = _kept(manifest, live, schema, rules, owned, True)
    for path in _held(live, ours, rules):
        body = _with(body, path, resolve(live, path))
    return body


def moved(pointers: Iterable[str], before: Object, after: Object, schema: SchemaNode = UNKNOWN) -> tuple[str, ...]:
    """Pointers into an object as it was, as pointers into what became of it, less those that lead nowhere now."""
    known: dict[tuple[int, int], list[int | None]] = {}
    found = (_moved(parse_pointer(pointer), before, after, schema, known) for pointer in pointers)
    return tuple(to_pointer(path) for path in found if path is not None)


def _moved(
    path: Segments, before: Any, after: Any, node: SchemaNode, known: dict[tuple[int, int], list[int | None]]
) -> Segments | None:
    there: list[str] = []
    for segment in path:
        if isinstance(before, list) and isinstance(after, list) and _fits(segment, before):
            lists = id(before), id(after)
            if lists not in known:
                known[lists] = _places(before, after, node)
            at = known[lists][int(segment)]
            if at is None:
                return None
            before, after, node = before[int(segment)], after[at], node.items or UNKNOWN
            there.append(str(at))
        elif isinstance(before, dict) and isinstance(after, dict) and segment in before and segment in after:
            before, after, node = before[segment], after[segment], _child(node, segment, not there)
            there.append(segment)
        else:
            return None
    return tuple(there)


def _fits(segment: str, items: list[Any]) -> bool:
    return is_index(segment) and int(segment) < len(items)


def _kept(value: Any, live: Any, node: SchemaNode, rules: Rules, owned: Fields, at_top: bool = False) -> Any:
    """The declared value less what the rules cover, or with the live value there, where that is Setpoint's."""
    if isinstance(value, dict):
        there = live if isinstance(live, dict) else {}
        kept: Object = {}
        for name, child in value.items():
            inside = deeper(rules, name)
            if not inside:
                kept[name] = child
                continue
            below = _owned_at(owned, there, name)
            found = _part(child, there.get(name, ABSENT), _child(node, name, at_top), inside, below)
            if found is not ABSENT:
                kept[name] = found
        return kept
    if isinstance(value, list) and isinstance(live, list):
        return _kept_items(value, live, node, rules, owned)
    return value


def _kept_items(value: list[Any], live: list[Any], node: SchemaNode, rules: Rules, owned: Fields) -> list[Any]:
    """The same of a list. One that is compared whole keeps live parts at their indexes, and only at its own length."""
    if node.list_type not in ("map", "set"):
        if len(value) != len(live):
            return value
        pairs = zip(value, live, (deeper(rules, str(at)) for at in range(len(live))), strict=True)
        return [_adopted(item, other, inside) for item, other, inside in pairs]
    kept = []
    steps = [(fields, steps_of(fields, live)) for fields in owned]
    for item, at in zip(value, _places(value, live, node), strict=True):
        inside = deeper(rules, "*" if at is None else str(at))
        held = [fields[known[at]] for fields, known in steps if at in known] if at is not None else []
        below = tuple(fields for fields in held if isinstance(fields, Mapping))
        found = _part(item, ABSENT if at is None else live[at], node.items or UNKNOWN, inside, below)
        if found is not ABSENT:
            kept.append(found)
    return kept


def _part(value: Any, live: Any, node: SchemaNode, rules: Rules, owned: Fields) -> Any:
    if covers(rules):
        return live if owned else ABSENT
    return _kept(value, live, node, rules, owned) if rules else value


def _adopted(value: Any, live: Any, rules: Rules) -> Any:
    """A part of what is compared whole, with the live value where a rule covers it."""
    if covers(rules):
        return live
    if not rules or not isinstance(value, dict) or not isinstance(live, dict):
        return value
    return {name: _adopted(child, live.get(name, child), deeper(rules, name)) for name, child in value.items()}


def _places(value: list[Any], live: list[Any], node: SchemaNode) -> list[int | None]:
    """The index in `live` of each item: by key, by value, or by place."""
    if node.list_type == "map" and node.keys:
        return pair_up(value, live, node)
    if node.list_type == "set":
        found = {token(item): at for at, item in reversed(list(enumerate(live)))}
        return [found.get(token(item)) for item in value]
    return [at if at < len(live) else None for at in range(len(value))]


def _child(node: SchemaNode, name: str, at_top: bool) -> SchemaNode:
    return METADATA if at_top and name == "metadata" else node.fields.get(name) or node.values or UNKNOWN


def _owned_at(owned: Fields, live: Any, segment: str) -> Fields:
    """What Setpoint's applies own below one segment of a live value."""
    steps = ((fields, step_for(fields, live, segment)) for fields in owned)
    found = (fields[step] for fields, step in steps if step is not None)
    return tuple(fields for fields in found if isinstance(fields, Mapping))


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("operation") == "Apply" and entry.get("manager") in OURS


def _held(live: Object, ours: Iterable[Mapping[str, Any]], rules: Rules) -> list[Segments]:
    """The leaves below the rules that Setpoint's own applies hold, whether they are still declared or not, items of
    lists aside."""
    paths = (parse_pointer(leaf) for entry in ours for leaf in owned_leaves(entry, live))
    return [path for path in paths if _within(path, rules) and _through_maps(path, live)]


def _within(path: Segments, rules: Rules) -> bool:
    for segment in path:
        rules = deeper(rules, segment)
        if covers(rules):
            return True
    return False


def _through_maps(path: Segments, live: Any) -> bool:
    for segment in path:
        if not isinstance(live, dict):
            return False
        live = live.get(segment)
    return True


def _with(value: Any, path: Segments, leaf: Any) -> Any:
    """A copy with one leaf set; a path that leads through anything but maps is left as it is."""
    if not path:
        return leaf
    if not isinstance(value, dict | None):
        return value
    value = value or {}
    return {**value, path[0]: _with(value.get(path[0]), path[1:], leaf)}
