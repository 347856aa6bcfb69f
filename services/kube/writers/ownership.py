"""Who wrote a field, as far as managedFields proves it: a tool's name, its operation and a time to the second.

Called by the watcher to put a manager on every drift and change. Never a person's name, and not always there: a
webhook, a default, a wiped trace and some writes through `/scale` leave no entry; then the author is None, unknown.
Format: FieldsV1 (`f:` a field, `k:` a map list's item, `v:` a set's value, `i:` an index, `.` the thing itself).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.kube.objects import managed_fields
from services.kube.pointer import is_index, parse_pointer, to_pointer
from services.kube.writers.listed import indexes_of, parsed_key, steps_of

__all__ = [
    "Owner", "Writers", "author", "child_at", "last_writer", "owned_leaves", "owner_of", "owners", "parse_time",
    "parsed_key", "step_for",
]  # fmt: skip

EPOCH = datetime.min.replace(tzinfo=UTC)
MAX_DEPTH = 200


class Owner(NamedTuple):
    """One entry of managedFields. `time` is UTC, None where the entry has none that can be read."""

    manager: str
    operation: str
    subresource: str
    time: datetime | None


def owner_of(entry: Mapping[str, Any]) -> Owner:
    """An entry without its fields."""
    manager, operation, subresource = (str(entry.get(name) or "") for name in ("manager", "operation", "subresource"))
    return Owner(manager, operation, subresource, parse_time(entry.get("time")))


class Writers:
    """Who owns what of one object, for many questions about the same one: lists are looked through once."""

    def __init__(self, obj: Mapping[str, Any]) -> None:
        self.obj = obj
        entries = sorted(managed_fields(obj), key=_newest_first)
        self.entries = [(owner_of(entry), entry.get("fieldsV1")) for entry in entries]
        self.steps: dict[tuple[int, int], dict[int, str]] = {}  # by identity; the object outlives it

    def of(self, pointer: str) -> list[Owner]:
        """Everybody who owns exactly this path, something below it, or the nearest leaf above it; newest first."""
        segments = parse_pointer(pointer)
        return [owner for owner, fields in self.entries if self._holds(fields, segments)]

    def _holds(self, fields: Any, segments: tuple[str, ...]) -> bool:
        """True where the path is in the set, has parts of it below, or lies below one of its leaves."""
        value: Any = self.obj
        for segment in segments:
            if not isinstance(fields, Mapping):
                return False
            if not fields:
                return True
            step = self._step(fields, value, segment)
            if step is None:
                return False
            below = value[int(segment)] if isinstance(value, list) else child_at(step, value)
            fields, value = fields[step], below[1] if isinstance(below, tuple) else below
        return isinstance(fields, Mapping)

    def _step(self, fields: Mapping[str, Any], value: Any, segment: str) -> str | None:
        if not isinstance(value, list):
            return step_for(fields, value, segment)
        known = self.steps.get((id(fields), id(value)))
        if known is None:
            known = self.steps[id(fields), id(value)] = steps_of(fields, value)
        return known.get(int(segment)) if is_index(segment) else None


def owners(obj: Mapping[str, Any], pointer: str) -> list[Owner]:
    """One such question. Who has several asks `Writers`."""
    return Writers(obj).of(pointer)


def _newest_first(entry: Mapping[str, Any]) -> tuple[float, int]:
    """By time; within one second who owns less wrote later, since the creator owns the bulk."""
    time = parse_time(entry.get("time")) or EPOCH
    return -(time - EPOCH).total_seconds(), extent(entry.get("fieldsV1"))


def extent(fields: Any) -> int:
    """How many steps a set has, whatever its depth."""
    count, todo = 0, [fields]
    while todo:
        below = todo.pop()
        if isinstance(below, Mapping):
            count += len(below)
            todo.extend(below.values())
    return count


def author(obj: Mapping[str, Any], pointer: str) -> Owner | None:
    """The newest owner of a path, or None where nothing proves one."""
    return next(iter(owners(obj, pointer)), None)


def last_writer(obj: Mapping[str, Any]) -> Owner | None:
    """Who wrote anything but the status last, by the entries' own times."""
    found = [owner_of(entry) for entry in managed_fields(obj) if entry.get("subresource") != "status"]
    return max(found, key=lambda owner: owner.time or EPOCH) if found else None


def owned_leaves(entry: Mapping[str, Any], obj: Mapping[str, Any]) -> Iterator[str]:
    """Pointers of the leaves that an entry owns and that `obj` has now."""
    return (to_pointer(path) for path in _leaves(entry.get("fieldsV1"), obj, ()))


def child_at(step: str, value: Any) -> tuple[str, Any] | None:
    """Where one FieldsV1 step leads in a live value: (segment, child), or None where it leads nowhere now."""
    kind, _, name = step.partition(":")
    if kind == "f" and isinstance(value, Mapping) and name in value:
        return name, value[name]
    if not isinstance(value, list):
        return None
    index = indexes_of({step: {}}, value).get(step)
    return None if index is None else (str(index), value[index])


def step_for(fields: Mapping[str, Any], value: Any, segment: str) -> str | None:
    """The FieldsV1 step that stands for one pointer segment below `value`, or None."""
    if not isinstance(value, list):
        return f"f:{segment}" if f"f:{segment}" in fields else None
    return steps_of(fields, value).get(int(segment)) if is_index(segment) else None


def parse_time(text: Any) -> datetime | None:
    """A server's time in UTC, None where it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def _leaves(fields: Any, value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not isinstance(fields, Mapping) or len(path) > MAX_DEPTH:
        return
    if not fields.keys() - {"."}:
        yield path
        return
    for segment, child, below in _places(fields, value):
        yield from _leaves(below, child, (*path, segment))


def _places(fields: Mapping[str, Any], value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where the steps lead that lead anywhere: segment, live child, and the steps below."""
    if isinstance(value, list):
        for step, index in indexes_of(fields, value).items():
            yield str(index), value[index], fields[step]
    elif isinstance(value, Mapping):
        for step, below in fields.items():
            name = step.removeprefix("f:")
            if step.startswith("f:") and name in value:
                yield name, value[name], below
