"""What people have laid down, made ready for decisions: policies with their index, maintenance windows, groups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from schemas.policy import Policy
from schemas.window import MaintenanceWindow
from services.reconciler.guards.base import Window
from services.reconciler.policies.choosing import PolicyIndex
from services.reconciler.policies.windows import compile_windows
from services.runtime.clock import Clock
from services.runtime.errors import UsageError
from services.runtime.logging import Log

LOOK_S = 0.5


class Rules(Protocol):
    """The documents, as they were read: `services.runtime.rules.Written`, in files and in tests alike."""

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All of them."""

    @property
    def windows(self) -> tuple[MaintenanceWindow, ...]:
        """All of them."""

    @property
    def calendars(self) -> Mapping[str, bytes]:
        """The .ics file of each window that has one, by the window's name."""

    @property
    def groups(self) -> Mapping[str, frozenset[str]]:
        """Members by the group's name."""


@dataclass(frozen=True)
class Rulebook:
    """One state of the documents."""

    policies: tuple[Policy, ...] = ()
    windows: tuple[Window, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)
    index: PolicyIndex = field(default_factory=lambda: PolicyIndex(()))


def rulebook_of(rules: Rules) -> Rulebook:
    """Made once for a state of the documents. Raises UsageError for a calendar that cannot be read."""
    windows = compile_windows(rules.windows, lambda window: rules.calendars[window.name])
    return Rulebook(rules.policies, windows, rules.groups, PolicyIndex(rules.policies))


class Rulebooks:
    """The rulebook of what `source` says now; the very same object while the documents are the same.

    It is asked for several times a batch, and looking at files takes time, so `source` is asked at most every LOOK_S.
    """

    def __init__(self, source: Callable[[], Rules], clock: Clock, log: Log) -> None:
        self.source, self.clock, self.log = source, clock, log
        self.seen = source()
        self.looked = clock.monotonic()
        self.made = rulebook_of(self.seen)

    def __call__(self) -> Rulebook:
        """The one of now; the last good one while something of it cannot be used."""
        if self.clock.monotonic() - self.looked >= LOOK_S:
            rules, self.looked = self.source(), self.clock.monotonic()
            if rules is not self.seen:
                same, self.seen = rules == self.seen, rules
                if not same:
                    self._remake(rules)
        return self.made

    def _remake(self, rules: Rules) -> None:
        try:
            self.made = rulebook_of(rules)
        except UsageError as error:
            self.log.warning("the policies of before stay in force", error=str(error))
