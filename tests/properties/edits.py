"""Edits of an object, made from what it holds: each knows which difference it must lead to, and no two overlap.

A place is named by steps: a field's name or a map's key, `Keys` for an item of a keyed list, `Member` for a value of a
set. Steps hold whatever the order of lists is; pointers with indexes are only made of them at the end.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from hypothesis import strategies as st

from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.objects import Object
from services.kube.pointer import matches, parse_pointer, to_pointer
from tests.strategies import SPELLINGS, Kind

TEXTS = SchemaNode(values=SchemaNode(built_in=True), built_in=True)
METADATA = SchemaNode(fields={"labels": TEXTS, "annotations": TEXTS}, built_in=True)

IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


class Keys(NamedTuple):
    """An item of a keyed list."""

    pairs: tuple[tuple[str, Any], ...]


class Member(NamedTuple):
    """A value of a set."""

    value: Any


Steps = tuple[str | Keys | Member, ...]


class Place(NamedTuple):
    """A value in an object, with its schema and whether the server would let it go alone."""

    steps: Steps
    value: Any
    node: SchemaNode
    removable: bool


@dataclass(frozen=True)
class Edit:
    """One change of a live object. `kind` is that of the difference it makes, "same" for one that makes none."""

    kind: str
    steps: Steps
    value: Any = None


def child(node: SchemaNode, name: str, at_top: bool) -> SchemaNode:
    return METADATA if at_top and name == "metadata" else node.fields.get(name) or node.values or UNKNOWN


def places(value: Any, node: SchemaNode, steps: Steps = (), removable: bool = False) -> Iterator[Place]:
    """Every leaf, and every item of a keyed list or set, of what a manifest declares."""
    if isinstance(value, dict) and value and not node.atomic_map:
        for name, below in value.items():
            if (*steps, name) not in IDENTITY:
                loose = len(value) > 1 and (node.values is not None or isinstance(below, str | int | bool))
                yield from places(below, child(node, name, not steps), (*steps, name), loose)
    elif isinstance(value, list) and node.list_type == "map":
        for item in value:
            here = (*steps, Keys(tuple((key, item[key]) for key in node.keys if key in item)))
            if len(value) > 1:
                yield Place(here, item, node.items or UNKNOWN, True)
            for name, below in item.items():
                if name not in node.keys:
                    yield from places(below, child(node.items or UNKNOWN, name, False), (*here, name), len(item) > 1)
    elif isinstance(value, list) and node.list_type == "set":
        for member in value:
            yield Place((*steps, Member(member)), member, node.items or UNKNOWN, len(value) > 1)
    else:
        yield Place(steps, value, node, removable)


def step_into(value: Any, step: Any) -> tuple[str, Any] | None:
    """(pointer segment, what stands there), or None where nothing does."""
    if isinstance(step, str):
        return (step, value[step]) if isinstance(value, dict) and step in value else None
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(step, Member) and item == step.value:
            return str(index), item
        if isinstance(step, Keys) and all(item.get(key) == one for key, one in step.pairs):
            return str(index), item
    return None


def pointer(steps: Steps, live: Any, desired: Any) -> str:
    """Where the engine must show a place: by the indexes of the live object, or the manifest's where it is gone."""
    parts: list[str] = []
    for step in steps:
        found = step_into(live, step) or step_into(desired, step)
        assert found, (steps, live)
        parts.append(found[0])
        below = step_into(live, step)
        live, desired = below and below[1], (step_into(desired, step) or (None, None))[1]
    return to_pointer(parts)


def done(obj: Object, edits: tuple[Edit, ...]) -> Object:
    """A copy with the edits made."""
    fresh = copy.deepcopy(obj)
    for edit in edits:
        _make(fresh, edit)
    return fresh


def _make(value: Any, edit: Edit) -> None:
    for at, step in enumerate(edit.steps[:-1]):
        found = step_into(value, step)
        if found is None:
            if isinstance(step, Keys):
                value.append(dict(step.pairs))
                found = "", value[-1]
            else:
                value[step] = {} if isinstance(edit.steps[at + 1], str) else []
                found = "", value[step]
        value = found[1]
    last = edit.steps[-1]
    if isinstance(value, dict):
        if edit.kind == "removed":
            del value[last]
        else:
            value[last] = edit.value
        return
    found = step_into(value, last)
    if edit.kind == "removed":
        assert found
        del value[int(found[0])]
    elif edit.kind == "changed":
        assert found
        value[int(found[0])] = edit.value
    elif isinstance(last, Keys):
        value.append({**dict(last.pairs), **edit.value})
    else:
        value.append(edit.value)


def other(value: Any, node: SchemaNode, kind: Kind) -> Any:
    """A value of the same type that means something else; None where nothing is known that a server would take."""
    if isinstance(value, str):
        if value in kind.words:
            return kind.words[value]
        if value in SPELLINGS and (node.is_quantity or node.is_duration):
            return "7m" if node.is_duration and not node.is_quantity else "7"
        return "b" + value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 + 0.125
    if isinstance(value, list):
        return value[:-1] if len(value) > 1 else value * 2
    if isinstance(value.get("matchLabels"), dict):
        return {**value, "matchLabels": {**value["matchLabels"], "b-other": ""}}
    return {**value, "b-other": ""} if node.atomic_map and node.values is not None else None


def extras(obj: Object, kind: Kind) -> Iterator[Edit]:
    """What a person could add, with the kind's `0` resolved to the first item of a list."""
    for path, value in kind.extras:
        steps: list[Any] = []
        here: Any = obj
        for part in path:
            step = Keys(tuple(part.items())) if isinstance(part, dict) else part
            if part == 0:
                first = here[0]
                step = Keys((("name", first["name"]),))
            found = step_into(here, step) if here is not None else None
            here = found[1] if found else None
            steps.append(step)
        if here is None:
            yield Edit("added", tuple(steps), value)


@st.composite
def some_edits(draw: st.DrawFn, obj: Object, node: SchemaNode, kind: Kind, kinds: frozenset[str]) -> tuple[Edit, ...]:
    """A few edits that touch different places, at least one."""
    fixed = [parse_pointer(pattern) for pattern in kind.fixed]
    options: list[Edit] = list(extras(obj, kind)) if "added" in kinds else []
    for place in places(obj, node):
        if any(matches(pattern, parse_pointer(pointer(place.steps, obj, obj))) for pattern in fixed):
            continue
        inside = not isinstance(place.steps[-1], str)
        fresh = None if inside else other(place.value, place.node, kind)
        if fresh is not None and fresh != place.value and "changed" in kinds:
            options.append(Edit("changed", place.steps, fresh))
        if place.removable and "removed" in kinds and _may_go(place, obj):
            options.append(Edit("removed", place.steps))
        row = SPELLINGS.get(place.value) if isinstance(place.value, str) else None
        if row and "same" in kinds and (place.node.is_quantity or place.node.is_duration):
            options.append(Edit("same", place.steps, next(text for text in row if text != place.value)))
    if not options:
        return ()
    picked = draw(st.lists(st.sampled_from(options), min_size=1, max_size=4))
    chosen: list[Edit] = []
    for edit in picked:
        if not any(overlap(edit, one) for one in chosen):
            chosen.append(edit)
    return tuple(chosen)


def _may_go(place: Place, obj: Object) -> bool:
    """Only what a server neither needs nor fills in again: items, keys of free maps."""
    last = place.steps[-1]
    if not isinstance(last, str):
        return True
    parent = place.steps[-2:-1]
    return bool(place.value) and parent in (("labels",), ("annotations",), ("data",), ("table",))


def overlap(one: Edit, other_: Edit) -> bool:
    """One lies at or below the other, or both take from the same list or map (which must keep something)."""
    short, long = sorted((one.steps, other_.steps), key=len)
    if long[: len(short)] == short:
        return True
    both = {one.kind, other_.kind}
    return both == {"removed"} and one.steps[:-1] == other_.steps[:-1]


def expected(edits: tuple[Edit, ...], live: Object, desired: Object) -> list[tuple[str, str]]:
    """The differences that the edits must lead to, sorted."""
    real = [edit for edit in edits if edit.kind != "same"]
    return sorted((edit.kind, pointer(top(edit, desired), live, desired)) for edit in real)


def top(edit: Edit, desired: Object) -> Steps:
    """An addition stands at the topmost place that the manifest does not have; of labels and annotations each alone."""
    if edit.kind != "added" or edit.steps[0] == "metadata":
        return edit.steps
    here: Any = desired
    for length, step in enumerate(edit.steps, start=1):
        found = step_into(here, step)
        if found is None:
            return edit.steps[:length]
        here = found[1]
    return edit.steps


def shuffled(value: Any, node: SchemaNode, order: Any, at_top: bool = True) -> Any:
    """A copy with keyed lists, sets and maps in another order; `order` is a Random."""
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffled(value[name], child(node, name, at_top), order, False) for name in names}
    if isinstance(value, list):
        items = [shuffled(item, node.items or UNKNOWN, order, False) for item in value]
        if node.list_type in ("map", "set"):
            order.shuffle(items)
        return items
    return value
