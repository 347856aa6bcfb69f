"""Which series some labels name: checked once, then known by the very bytes or symbols that a sender writes them with.

Labels are the most of what remote write sends, and the same again every few seconds. What was seen lately is kept in
two generations, so that a flood of new series costs time and never more memory than both.
"""

from collections.abc import Sequence
from typing import NamedTuple

from services.runtime.sampleblocks import canonical, name_of, series_id

MOST_LABELS, LONGEST_NAME, LONGEST_VALUE, LONGEST_ALL = 64, 1024, 8192, 65_536
"""Of one series; lengths in bytes."""
GENERATION = 50_000
NAME = "__name__"

Key = tuple[object, ...]


class Rejected(Exception):
    """A series or a sample that cannot be kept; the word says why, to the sender and in a metric's label."""


class Known(NamedTuple):
    """A series: its number, and its labels as blocks hold them."""

    id: int
    labels: bytes

    @property
    def name(self) -> str:
        """The metric's."""
        return name_of(self.labels)


class Memo:
    """Series that were seen lately."""

    def __init__(self, generation: int = GENERATION) -> None:
        self.generation = generation
        self.young: dict[Key, Known] = {}
        self.old: dict[Key, Known] = {}

    def get(self, key: Key) -> Known | None:
        """The series; one of the old generation becomes young again."""
        found = self.young.get(key)
        if found is None and (found := self.old.get(key)) is not None:
            self.put(key, found)
        return found

    def put(self, key: Key, series: Known) -> None:
        """Keep it, at least until so many others came after it."""
        if len(self.young) >= self.generation:
            self.old, self.young = self.young, {}
        self.young[key] = series


def series_of(sender: str, pairs: Sequence[tuple[str, str]]) -> Known:
    """The series of these names and values. Raises Rejected for what breaks the data model or a limit.

    Any UTF-8 is a name, as since Prometheus 3. An empty value is the same as no label. Order is put right here.
    """
    if len(pairs) > MOST_LABELS:
        raise Rejected("too-many-labels")
    labels = dict(pairs)
    if len(labels) != len(pairs):
        raise Rejected("repeated-label")
    if "" in labels:
        raise Rejected("label-without-name")
    if any(len(name.encode()) > LONGEST_NAME or len(value.encode()) > LONGEST_VALUE for name, value in pairs):
        raise Rejected("label-too-long")
    name = labels.pop(NAME, "")
    if not name:
        raise Rejected("no-metric-name")
    text = canonical(name, {label: value for label, value in labels.items() if value})
    if len(text) > LONGEST_ALL:
        raise Rejected("labels-too-long")
    return Known(series_id(sender, text), text)
