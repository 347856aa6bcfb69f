"""Where an addition begins: the topmost path that is all of untrusted managers' making.

An added container is told once and not as its ten fields; but where a controller or a webhook has put something beside
what a person put into the same map or list, only the person's part is told, so that only that is taken out.
"""

from collections.abc import Iterable
from typing import Any

from services.kube.comparison.diff import METADATA
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.objects import Object
from services.kube.pointer import Segments, resolve

Paths = set[Segments]


def with_ways(leaves: Iterable[Segments]) -> Paths:
    """The paths and every path on the way to them, so that "is anything below here?" is one look-up."""
    return {leaf[:length] for leaf in leaves for length in range(1, len(leaf) + 1)}


def node_at(schema: SchemaNode, path: Segments) -> SchemaNode:
    """The schema of a place; UNKNOWN where it says nothing."""
    node = schema
    for depth, segment in enumerate(path):
        if node.items is not None and segment.isdigit():
            node = node.items
        elif depth == 0 and segment == "metadata":
            node = METADATA
        else:
            node = node.fields.get(segment) or node.values or UNKNOWN
    return node


class Topmost:
    """For one object. `theirs` and `ours` are the leaves that untrusted managers and all others own."""

    def __init__(self, live: Object, schema: SchemaNode, theirs: Iterable[Segments], ours: Iterable[Segments]) -> None:
        self.live, self.schema = live, schema
        self.theirs, self.ours = with_ways(theirs), with_ways(ours)
        self.mixed_at: dict[Segments, bool] = {}

    def between(self, top: Segments, leaf: Segments) -> Segments | None:
        """The first path from `top` down to `leaf` with nothing of others in it; None where even the leaf has."""
        for length in range(len(top), len(leaf) + 1):
            path = leaf[:length]
            if path not in self.ours and not self._mixed(path):
                return path
        return None

    def _mixed(self, path: Segments) -> bool:
        if path not in self.mixed_at:
            whole = path[-1].isdigit()  # a list's item is one thing, whatever a webhook put into it
            value = None if whole else resolve(self.live, path)
            self.mixed_at[path] = self._holds_others(value, node_at(self.schema, path), path)
        return self.mixed_at[path]

    def _holds_others(self, value: Any, node: SchemaNode, path: Segments) -> bool:
        """True where a map of data or a list holds entries that untrusted managers do not own.

        What a struct holds beyond theirs are defaults.
        """
        if isinstance(value, list):
            return node.list_type != "atomic" and any(
                (*path, str(index)) not in self.theirs for index in range(len(value))
            )
        if not isinstance(value, dict) or self._is_leaf(path):
            return False
        below = [((*path, name), child) for name, child in value.items()]
        if not node.fields and any(at not in self.theirs for at, _ in below):
            return True
        return any(
            at in self.theirs and self._holds_others(child, node.fields.get(at[-1]) or node.values or UNKNOWN, at)
            for at, child in below
        )

    def _is_leaf(self, path: Segments) -> bool:
        """True for what is owned as one value: an atomic map, or an empty one."""
        return path in self.theirs and not any((*path, name) in self.theirs for name in resolve(self.live, path))
