"""What people have laid down, as it was read: policies, maintenance windows with their calendars, groups of people.

Whoever reads files makes it, and the reconciler makes a rulebook of it; equal documents are equal here, so that a file
that was only touched changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.policy import Policy
from schemas.window import MaintenanceWindow


@dataclass(frozen=True)
class Written:
    """All documents. `policies` and `windows` are in the order of their names, which is the policies' precedence."""

    policies: tuple[Policy, ...] = ()
    windows: tuple[MaintenanceWindow, ...] = ()
    calendars: Mapping[str, bytes] = field(default_factory=dict)
    """The .ics file of each window that has one, by the window's name."""
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Members by the group's name."""


class Wrong(NamedTuple):
    """What is wrong at one field of a document, and what would be right."""

    path: tuple[str | int, ...]
    message: str
    fix: str = ""


Judge = Callable[[Policy | MaintenanceWindow, Written], Iterable[Wrong]]
"""Says what of a document cannot work, beyond its form; it is given all documents, since they name each other."""
