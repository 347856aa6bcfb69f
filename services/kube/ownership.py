"""Who wrote a field, as far as managedFields proves it: a tool's name, its operation and a time to the second.

Called by the watcher to put a manager on every drift and change. Never a person's name, and not always there: a
webhook, a default, a wiped trace and some writes through `/scale` leave no entry; then the author is None, unknown.
Format: FieldsV1 (`f:` a field, `k:` a map list's item, `v:` a set's value, `i:` an index, `.` the thing itself).
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from services.kube.objects import managed_fields
from services.kube.pointer import parse_pointer, to_pointer

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


def owners(obj: Mapping[str, Any], pointer: str) -> list[Owner]:
    """Everybody who owns exactly this path, something below it, or the nearest leaf above it; newest first."""
    segments = parse_pointer(pointer)
    found = [owner_of(entry) for entry in managed_fields(obj) if _covers(entry.get("fieldsV1"), obj, segments)]
    return sorted(found, key=lambda owner: owner.time or EPOCH, reverse=True)


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
    for index, item in enumerate(value):
        if _is_item(step, index, item):
            return str(index), item
    return None


def step_for(fields: Mapping[str, Any], value: Any, segment: str) -> str | None:
    """The FieldsV1 step that stands for one pointer segment below `value`, or None."""
    if not isinstance(value, list):
        return f"f:{segment}" if f"f:{segment}" in fields else None
    if not (segment.isascii() and segment.isdigit()) or int(segment) >= len(value):
        return None
    index = int(segment)
    return next((step for step in fields if _is_item(step, index, value[index])), None)


def _is_item(step: str, index: int, item: Any) -> bool:
    kind, _, name = step.partition(":")
    if kind == "i":
        return name == str(index)
    wanted = _parsed(name) if kind in ("k", "v") else None
    if kind == "k" and isinstance(wanted, dict) and isinstance(item, Mapping):
        return all(key in item and item[key] == value for key, value in wanted.items())
    return kind == "v" and wanted == item


@lru_cache(maxsize=8192)
def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def parse_time(text: Any) -> datetime | None:
    """A server's time in UTC, None where it is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) else None
    except ValueError:
        return None


def _covers(fields: Any, value: Any, segments: tuple[str, ...]) -> bool:
    """True where the path is in the set, has parts of it below, or lies below one of its leaves."""
    for segment in segments:
        if not isinstance(fields, Mapping):
            return False
        if not fields:
            return True
        step = step_for(fields, value, segment)
        if step is None:
            return False
        place = child_at(step, value)
        fields, value = fields[step], place[1] if place else None
    return isinstance(fields, Mapping)


def _leaves(fields: Any, value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if not isinstance(fields, Mapping) or len(path) > MAX_DEPTH:
        return
    if not [step for step in fields if step != "."]:
        yield path
        return
    for step, below in fields.items():
        place = child_at(step, value) if step != "." else None
        if place:
            yield from _leaves(below, place[1], (*path, place[0]))
