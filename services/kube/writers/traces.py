"""Who has written between two looks at an object, from what managedFields says at each: 12 bytes an entry.

A removal leaves no trace of its own: the field is gone from whoever owned it, and the remover's entry is stamped only
where the same write also set something, or was an apply. So what can be told is whose entry is new or has another time.
Called by the watcher, which keeps the bytes for every object that it remembers.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Any

from services.kube.objects import Object, managed_fields
from services.kube.writers.ownership import Owner, owner_of
from services.kube.writers.trust import is_person

ENTRY = Struct("<qi")  # who, when: hashes that hold within one process
WHO = ("manager", "operation", "subresource", "apiVersion")
MOST = 255


def traces(obj: Object) -> bytes:
    """What managedFields says now, but for the status: nobody declares that."""
    return b"".join(ENTRY.pack(*mark) for mark, _ in _marks(obj))


def who_moved(obj: Object, before: bytes) -> Owner | None:
    """Who has written since `before`: the one whose entry is new or has another time.

    Of several the one that is a person's tool, if there is exactly one such. Otherwise None: it cannot be told.
    """
    moved = _owners(obj, before, were_there=False)
    if len(moved) == 1:
        return moved[0]
    people = [owner for owner in moved if is_person(owner.manager)]
    return people[0] if len(people) == 1 else None


def who_rested(obj: Object, before: bytes) -> tuple[Owner, ...]:
    """Whose entry has stood there since `before`: what they wrote was there already."""
    return tuple(_owners(obj, before, were_there=True))


def _owners(obj: Object, before: bytes, *, were_there: bool) -> list[Owner]:
    known: dict[int, int] = dict(ENTRY.iter_unpack(before))
    return [owner_of(entry) for (who, when), entry in _marks(obj) if (known.get(who) == when) is were_there]


def _marks(obj: Object) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """At most `MOST`; who reads them keeps their number in a byte."""
    for _, entry in zip(range(MOST), managed_fields(obj), strict=False):
        if entry.get("subresource") != "status":
            yield (_hash([entry.get(part) for part in WHO]), _hash([entry.get("time")]) & 0x7FFFFFFF), entry


def _hash(parts: list[Any]) -> int:
    """Of whatever stands there, odd as it may be."""
    try:
        return hash(tuple(parts))
    except TypeError:
        return hash(str(parts))
