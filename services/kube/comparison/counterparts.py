"""Which declared item an item of a live list answers to, for many questions about the same lists.

Each pair of lists is paired once: to do so for every leaf would take the square of their length.
"""

from typing import Any

from services.kube.bags import token
from services.kube.comparison.diff import pair_up
from services.kube.comparison.schema import SchemaNode


class Counterparts:
    """For one declared and one live object, which must outlive it: lists are known by identity."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], list[Any]] = {}

    def of(self, desired: list[Any], live: list[Any], at: int, node: SchemaNode) -> Any:
        """The declared item for the live item at an index: by key, by value, or in an atomic list by place."""
        if node.list_type not in ("map", "set"):
            return desired[at] if at < len(desired) else None
        found = self.known.get((id(desired), id(live)))
        if found is None:
            found = self.known[id(desired), id(live)] = _paired(desired, live, node)
        return found[at] if at < len(found) else None


def _paired(desired: list[Any], live: list[Any], node: SchemaNode) -> list[Any]:
    if node.list_type == "set":
        there = set(map(token, desired))
        return [item if token(item) in there else None for item in live]
    if not all(isinstance(item, dict) for item in live):
        return []
    return [None if place is None else desired[place] for place in pair_up(live, desired, node)]
