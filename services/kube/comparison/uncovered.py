"""What of an added value no ignore rule covers, as parts that can each be taken out.

A map of data falls into its keys and a list into its items. A struct and a list's item are one thing: that it is there
is what was added, so a rule for a field inside of it does not hide it.
"""

from collections.abc import Iterator
from typing import Any

from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.pointer import Segments, matches

Patterns = tuple[Segments, ...]


def uncovered(path: Segments, value: Any, node: SchemaNode, patterns: Patterns) -> Iterator[Segments]:
    """The paths at or below `path` that rules leave; `path` itself where none reaches into it."""
    if any(matches(pattern, path) for pattern in patterns):
        return
    inside = [pattern for pattern in patterns if len(pattern) > len(path) and matches(pattern[: len(path)], path)]
    parts = _parts(value, node) if inside else []
    if not parts:
        yield path
    for segment, child, below in parts:
        yield from uncovered((*path, segment), child, below, tuple(inside))


def _parts(value: Any, node: SchemaNode) -> list[tuple[str, Any, SchemaNode]]:
    if isinstance(value, dict) and not node.fields and not node.atomic_map:
        return [(name, child, node.values or UNKNOWN) for name, child in value.items()]
    if isinstance(value, list) and node.list_type != "atomic":
        return [(str(index), item, _whole(node.items)) for index, item in enumerate(value)]
    return []


def _whole(item: SchemaNode | None) -> SchemaNode:
    """An item's schema with which it does not fall apart."""
    return SchemaNode(atomic_map=True) if item is not None else UNKNOWN
