"""The controls in force on one partition, as the compacted control topic leaves them, and whom a change concerns."""

from collections.abc import Iterable

from schemas.events import ControlRemoved, ControlSet, Event, Scope
from schemas.target import Target


class Controls:
    """By record key. A removal and a tombstone both end a control; only a removal is a person's word."""

    def __init__(self) -> None:
        self.by_key: dict[bytes, ControlSet] = {}

    def put(self, key: bytes, event: Event[ControlSet | ControlRemoved] | None) -> tuple[Scope | None, bool]:
        """Take one record in. Returns the scope whose targets are to be decided again, and whether a person resumed."""
        before = self.by_key.pop(key, None)
        if event is None:
            return (before.scope if before else None), False
        if isinstance(event.data, ControlSet):
            self.by_key[key] = event.data
            return event.data.scope, False
        return event.data.scope, True

    def all(self) -> tuple[ControlSet, ...]:
        """Every control that is set; some may have ended by their own `until`."""
        return tuple(self.by_key.values())


def covered(targets: Iterable[Target], scope: Scope) -> list[str]:
    """The subjects that a scope covers."""
    return [target.subject for target in targets if scope.covers(target)]
