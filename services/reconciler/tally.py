"""What policies have tried in one cluster, over all rows: the memory of limits that are not one target's alone.

The book keeps one and changes it as attempts begin and end; it is built anew from the rows when a partition is loaded,
so it needs no place of its own in the ledger. Rows live for as long as any policy's window may count them.

Guards ask it for every decision, so each question has a list of its own, in the order of time: the answer lies at the
list's end. A row whose attempts did not change costs one comparison; one that did, a bisection for each that changed.
"""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from operator import attrgetter

from schemas.events import Mode, Outcome, Reason
from schemas.ledger import Attempt, TargetState
from schemas.policy import ON_DRIFT
from schemas.target import CLUSTER_SCOPED

NAMESPACE = 3  # which part of a subject it is
began = attrgetter("at")


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt, by any policy. `outcome` is None while it is under way."""

    at: datetime
    policy: str
    action: str
    subject: str
    outcome: Outcome | None = None
    reason: Reason | None = None
    attempt: Attempt | None = field(default=None, compare=False, repr=False)

    @property
    def namespace(self) -> str:
        """Of what was acted on; "" for cluster-scoped objects."""
        part = self.subject.split("/")[NAMESPACE]
        return "" if part == CLUSTER_SCOPED else part

    @property
    def answers_alert(self) -> bool:
        """Whether it was about an alert or a schedule, and not about drift."""
        return self.action not in ON_DRIFT


class Tally:
    """Read it in guards; only the book changes it."""

    def __init__(self, rows: Iterable[TargetState] = ()) -> None:
        self.attempts_of: dict[str, tuple[Attempt, ...]] = {}
        self.by_row: dict[str, tuple[Entry, ...]] = {}
        self.by_subject: dict[tuple[str, str], dict[str, int]] = {}  # policy and subject → how many by which row
        self.all: list[Entry] = []
        self.on_alerts: list[Entry] = []
        self.by_action: dict[str, list[Entry]] = defaultdict(list)
        self.ended: dict[str, list[Entry]] = defaultdict(list)  # by action, too
        self.by_policy: dict[tuple[str, str, str | None], list[Entry]] = defaultdict(list)
        self.busy: dict[str, set[str]] = {}  # what is acted on → the rows that act
        self.busy_by_row: dict[str, tuple[str, ...]] = {}
        for row in rows:
            self.put(row)

    def put(self, row: TargetState) -> None:
        """Take over a row as it is now."""
        own = row.target.subject
        if self.attempts_of.get(own, ()) is not row.attempts:
            self._replace(own, tuple(entries_of(row)))
            if row.attempts:
                self.attempts_of[own] = row.attempts
        self._occupy(own, tuple(flights_of(row)))

    def forget(self, own: str) -> None:
        """Take a row out."""
        self._replace(own, ())
        self._occupy(own, ())

    def on(self, policy: str, subject: str, own: TargetState) -> tuple[Attempt, ...]:
        """A policy's attempts on one object, oldest first; those of the row `own` as it says itself."""
        mine = own.target.subject
        found = [
            attempt for attempt in own.attempts if attempt.policy == policy and (attempt.subject or mine) == subject
        ]
        for row in self.by_subject.get((policy, subject), ()):
            if row != mine:
                entries = (entry for entry in self.by_row[row] if entry.policy == policy and entry.subject == subject)
                found += [entry.attempt for entry in entries if entry.attempt]
        return tuple(sorted(found, key=began))

    def busy_elsewhere(self, subject: str, own: TargetState) -> bool:
        """Whether another row has an action under way on an object."""
        rows = self.busy.get(subject, ())
        return any(row != own.target.subject for row in rows)

    def since(self, at: datetime) -> Iterator[Entry]:
        """Every attempt in the cluster that began later than `at`, oldest first."""
        return (self.all[index] for index in range(bisect_right(self.all, at, key=began), len(self.all)))

    def of_policy(self, policy: str, action: str, namespace: str | None = None) -> Sequence[Entry]:
        """A policy's attempts with one action, oldest first: of the cluster, or of one namespace of it."""
        return self.by_policy.get((policy, action, namespace), ())

    def of_action(self, action: str) -> Sequence[Entry]:
        """All policies' attempts with one action, oldest first."""
        return self.by_action.get(action, ())

    def ended_of(self, action: str) -> Sequence[Entry]:
        """Those of them that have ended, by the time at which they began. A storm may have begun thousands by then."""
        return self.ended.get(action, ())

    def _replace(self, own: str, after: tuple[Entry, ...]) -> None:
        """Take over a row's attempts. What is the same as before is left where it is."""
        before = self.by_row.pop(own, ())
        self.attempts_of.pop(own, None)
        kept = sum(1 for _ in takewhile(_same, zip(before, after, strict=False)))
        gone, new = before[kept:], after[kept:]
        for entry in _less(gone, new):
            self._drop(own, entry)
        for entry in _less(new, gone):
            self._add(own, entry)
        if after:
            self.by_row[own] = after

    def _add(self, own: str, entry: Entry) -> None:
        for entries in self._lists(entry):
            if entries and entry.at < entries[-1].at:
                insort(entries, entry, key=began)
            else:
                entries.append(entry)
        rows = self.by_subject.setdefault((entry.policy, entry.subject), {})
        rows[own] = rows.get(own, 0) + 1

    def _drop(self, own: str, entry: Entry) -> None:
        for entries in self._lists(entry):
            del entries[_place(entries, entry)]
        self._tidy(entry)
        rows = self.by_subject[(entry.policy, entry.subject)]
        rows[own] -= 1
        if not rows[own]:
            del rows[own]
        if not rows:
            del self.by_subject[(entry.policy, entry.subject)]

    def _lists(self, entry: Entry) -> list[list[Entry]]:
        """Every list that an attempt belongs to."""
        found = [self.all, self.by_action[entry.action], *(self.by_policy[key] for key in _keys(entry))]
        if entry.outcome is not None:
            found.append(self.ended[entry.action])
        if entry.answers_alert:
            found.append(self.on_alerts)
        return found

    def _tidy(self, entry: Entry) -> None:
        """Keep no empty list of what is no more."""
        for by_action in (self.by_action, self.ended):
            if not by_action[entry.action]:
                del by_action[entry.action]
        for key in _keys(entry):
            if not self.by_policy[key]:
                del self.by_policy[key]

    def _occupy(self, own: str, subjects: tuple[str, ...]) -> None:
        before = self.busy_by_row.pop(own, ())
        for subject in before:
            rows = self.busy.get(subject, set())
            rows.discard(own)
            if not rows:
                self.busy.pop(subject, None)
        for subject in subjects:
            self.busy.setdefault(subject, set()).add(own)
        if subjects:
            self.busy_by_row[own] = subjects


def entries_of(row: TargetState) -> Iterator[Entry]:
    """A row's attempts."""
    own = row.target.subject
    for one in row.attempts:
        yield Entry(one.at, one.policy, one.action, one.subject or own, one.outcome, one.reason, one)


def flights_of(row: TargetState) -> Iterator[str]:
    """What a row has actions under way on; plans touch nothing."""
    if row.in_flight:
        yield row.target.subject
    for case in row.cases:
        if case.flight and case.flight.subject and case.flight.mode is Mode.ENFORCE:
            yield case.flight.subject.subject


def _less(some: Sequence[Entry], others: Sequence[Entry]) -> Iterable[Entry]:
    """Those of the one that are not among the others, as often as they are more."""
    return (Counter(some) - Counter(others)).elements() if some and others else some


def _same(pair: tuple[Entry, Entry]) -> bool:
    return pair[0] == pair[1]


def _keys(entry: Entry) -> tuple[tuple[str, str, str | None], tuple[str, str, str | None]]:
    return (entry.policy, entry.action, None), (entry.policy, entry.action, entry.namespace)


def _place(entries: list[Entry], entry: Entry) -> int:
    """Where an attempt, or one that is the same in everything, stands."""
    return entries.index(entry, bisect_left(entries, entry.at, key=began))


EMPTY = Tally()
