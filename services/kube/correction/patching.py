"""Corrections that server-side apply cannot make: taking out what others added, and setting what only fits together.

Pure; called by `correction/revert.py`. Paths are those of the live object. What a rule leaves to others stays as it
is, also where it is only a part of what somebody added.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

from services.kube.comparison.diff import METADATA, declared, pair_up
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.objects import Object
from services.kube.pointer import FieldDiff, Segments, matches, parse_pointer, resolve, to_pointer

ADDED = "added"
TWINS = {"serviceAccountName": "serviceAccount"}  # the server fills each from the other: they only go together
Patterns = tuple[Segments, ...]


def removals(live: Object, fields: Iterable[FieldDiff], patterns: Patterns) -> list[dict[str, Any]]:
    """JSON patch that removes what was added, the later indexes of a list first.

    Each is tested to hold what it holds in `live`. A test of the resourceVersion would fail with every status that a
    controller writes, and a changed workload gets several within the second.
    """
    paths = removed_paths(live, fields, patterns)
    tests = [{"op": "test", "path": to_pointer(path), "value": resolve(live, path)} for path in paths]
    return [*tests, *({"op": "remove", "path": to_pointer(path)} for path in paths)]


def removed_paths(live: Object, fields: Iterable[FieldDiff], patterns: Patterns) -> list[Segments]:
    """The paths of the additions, less what the patterns cover, in an order in which none shifts a later one."""
    added = [parse_pointer(diff.path) for diff in fields if diff.kind == ADDED]
    found = [path for top in added for path in _uncovered(top, live, patterns)]
    twins = [(*path[:-1], TWINS[path[-1]]) for path in found if path[-1] in TWINS]
    found += [path for path in twins if path not in found and resolve(live, path) is not None]
    return sorted(found, key=lambda path: [_rank(part) for part in path], reverse=True)


def corrected(
    obj: Object, live: Object, fields: Iterable[FieldDiff], patterns: Patterns, schema: SchemaNode, *, wider: bool
) -> Object:
    """The live object with every difference undone at once, for a replace: each alone might be refused.

    `wider` also sets what stands around a field as the manifest has it (`resources` for one of its limits), and takes
    out list items that have a declared item's name under another key: that is where a value sits which nobody can be
    shown to have added, and which the server refuses next to the declared one.
    """
    made, desired, plain = deepcopy(live), declared(obj), [diff for diff in fields if diff.kind != ADDED]
    appended: list[tuple[Segments, Any]] = []
    for diff in plain:
        path = parse_pointer(diff.path)
        if isinstance(resolve(live, path[:-1]), list) and diff.kind == "removed":
            appended.append((path[:-1], diff.desired))
            continue
        around = _around(path, live) if wider else path
        value = _counterpart(desired, live, schema, around)
        if around == path or value is None or _touched(around, patterns):
            _set(made, path, diff.desired)
        else:
            _set(made, around, deepcopy(value))
    for path in removed_paths(live, fields, patterns):
        _remove(made, path)
    for path, item in appended:
        items = resolve(made, path)
        if wider:
            items[:] = [other for other in items if _name(other) is None or _name(other) != _name(item)]
        items.append(deepcopy(item))
    return made


def _uncovered(path: Segments, live: Object, patterns: Patterns) -> Iterator[Segments]:
    """The topmost parts of what stands at `path` that no pattern covers. An item of a list goes as a whole."""
    if any(matches(pattern, path) for pattern in patterns):
        return
    value = resolve(live, path)
    inside = isinstance(value, dict | list) and not isinstance(resolve(live, path[:-1]), list)
    if not inside or not _touched(path, patterns):
        yield path
        return
    for name in value if isinstance(value, dict) else map(str, range(len(value))):
        yield from _uncovered((*path, name), live, patterns)


def _touched(path: Segments, patterns: Patterns) -> bool:
    """Whether a pattern covers the path or something below it."""
    return any(matches(pattern[: len(path)], path[: len(pattern)]) for pattern in patterns)


def _around(path: Segments, live: Object) -> Segments:
    """The field of the nearest list item or spec that holds the path; the path itself outside of both."""
    start = 0
    for length, part in enumerate(path, start=1):
        if part == "spec" or isinstance(resolve(live, path[: length - 1]), list):
            start = length
    return path[: start + 1] if start else path


def _counterpart(desired: Any, live: Any, node: SchemaNode, path: Segments) -> Any:
    """What the manifest declares at a path of the live object; None where it declares nothing there."""
    for step, part in enumerate(path):
        if isinstance(desired, dict) and isinstance(live, dict):
            top = part == "metadata" and not step
            node = METADATA if top else node.fields.get(part) or node.values or UNKNOWN
            desired, live = desired.get(part), live.get(part)
        elif isinstance(desired, list) and isinstance(live, list) and node.list_type == "map" and part.isdigit():
            places = pair_up(live, desired, node)
            at = places[int(part)] if int(part) < len(places) else None
            desired, live, node = None if at is None else desired[at], live[int(part)], node.items or UNKNOWN
        else:
            return None
    return desired


def _set(made: Any, path: Segments, value: Any) -> None:
    """Put a value at a path, with the maps on the way to it."""
    for part in path[:-1]:
        if isinstance(made, list):
            made = made[int(part)]
        else:
            if not isinstance(made.get(part), dict | list):
                made[part] = {}
            made = made[part]
    if isinstance(made, list):
        made[int(path[-1])] = value
    else:
        made[path[-1]] = value


def _remove(made: Any, path: Segments) -> None:
    """Take out what stands at a path, if it still does."""
    parent = resolve(made, path[:-1])
    if isinstance(parent, list) and int(path[-1]) < len(parent):
        del parent[int(path[-1])]
    elif isinstance(parent, dict):
        parent.pop(path[-1], None)


def _name(item: Any) -> Any:
    return item.get("name") if isinstance(item, dict) else None


def _rank(part: str) -> tuple[int, int, str]:
    return (1, int(part), "") if part.isascii() and part.isdigit() else (0, 0, part)
