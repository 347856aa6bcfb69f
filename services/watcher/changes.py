"""What changed between two states of an object, and which field manager did it. Paths only, never values."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from schemas.events import ChangeObserved, Event, make_event, stable_id
from schemas.target import Target
from services.kube.objects import Object
from services.kube.pointer import to_pointer
from services.kube.writers.ownership import Owner, author

SOURCE = "setpoint/watcher"
MOST_PATHS = 100
LEAF = object()


def change_event(
    target: Target, before: Object | None, after: Object | None, live: Object | None, writer: Owner | None,
    version: str, now: datetime,
) -> Event[ChangeObserved] | None:  # fmt: skip
    """The event for a step from `before` to `after` (projections, None for absent); None where they are equal.

    Who did it is who owns the changed fields now; where nobody does, as of a removal, `writer`.
    """
    if before == after:
        return None
    paths = tuple(changed_paths(before, after)) if before is not None and after is not None else ()
    authors = (author(live, path) for path in paths[:MOST_PATHS]) if live else ()
    owner = next((found for found in authors if found), writer)
    operation = "created" if before is None else "deleted" if after is None else "updated"
    data = ChangeObserved(
        target=target, operation=operation, resource_version=version, paths=paths[:MOST_PATHS],
        manager=owner.manager if owner else None, time=now,
    )  # fmt: skip
    identity = stable_id(target.subject, target.uid, version, operation)
    return make_event(data, id=identity, source=SOURCE, subject=target.subject, time=now, correlationid=identity)


def changed_paths(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Pointers of the smallest parts that differ; a list whose length changed is one part."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            one, other = before.get(name, LEAF), after.get(name, LEAF)
            if one != other:
                yield from changed_paths(one, other, (*path, name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            if one != other:
                yield from changed_paths(one, other, (*path, str(index)))
    elif before != after:
        yield to_pointer(path)
