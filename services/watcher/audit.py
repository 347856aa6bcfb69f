"""Join a drift with the API server's audit: which user was behind it. Pure functions, and a bounded memory.

managedFields proves a tool and a second; audit tells the user, the tool and the moment of each request, some seconds
late. Where both name one tool at one time the user is known. Where managedFields proves nobody, as for a removed field
or a scale to zero, the user is known if exactly one user wrote to the object between two looks at it. A user is never
guessed: two that fit are none. `operation` is managedFields' word alone: a difference without one is not proven.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from schemas.events import AuditObserved, DriftDetected, DriftState, FieldChange, FindingReason
from services.kube.objects import Object, ObjectKey, metadata_of
from services.kube.writers.ownership import Owner, parse_time
from services.kube.writers.trust import OURS

KEPT_S = 300.0
FRESH = timedelta(seconds=KEPT_S - 60)  # all that was heard of a moment is still remembered then
MOST, MOST_ENDED = 50_000, 5_000
SLACK = timedelta(seconds=2)  # what the watcher's clock and the API server's may differ
WRITES, DELETES = frozenset({"create", "update", "patch"}), frozenset({"delete", "deletecollection"})
WHOLE = ""  # the pointer of the whole object
NOBODY = {"user": None, "manager": None, "operation": None, "since": None}
Spot = tuple[str, str]  # path and kind of a difference
GONE: Spot = (WHOLE, "removed")


class Window(NamedTuple):
    """Between two looks at an object, by the watcher's clock. `rested` are the managers whose entries were there at the
    first look already: their writes lie before it, whatever the clocks say."""

    low: datetime
    high: datetime
    rested: tuple[Owner, ...] = ()


@dataclass(frozen=True)
class Hearsay:
    """What is known besides managedFields: the object's audit of the last minutes, the window since the last look, and
    for each difference of an open drift that nobody is proven for the window in which it was noticed; the absence of
    the whole object is one of them."""

    heard: tuple[AuditObserved, ...] = ()
    window: Window | None = None
    windows: Mapping[Spot, Window] = field(default_factory=dict)


NOTHING = Hearsay()


def named(
    fields: Iterable[FieldChange], hearsay: Hearsay, before: DriftDetected | None, now: datetime
) -> tuple[FieldChange, ...]:
    """The differences with what is known of each: from the open drift where it is the same one, and from audit."""
    known = {(change.path, change.kind): change for change in before.fields} if before else {}
    return tuple(_named(change, known.get((change.path, change.kind)), hearsay, now) for change in fields)


def _named(change: FieldChange, known: FieldChange | None, hearsay: Hearsay, now: datetime) -> FieldChange:
    window = hearsay.window
    if known and _same_difference(change, known):
        change, window = known, hearsay.windows.get((change.path, change.kind))
    moment = change.since if proven(change) else window.high if window else None
    if change.path == WHOLE or moment is None or now - moment > FRESH:
        return change
    # Judged anew at each look, since the write that leaves two to choose from may be heard of last.
    bare = change.model_copy(update={"user": None} if proven(change) else NOBODY)
    fits = _fits(bare, hearsay.heard, window)
    if not fits:
        return change
    entry = _of_one_user(fits)
    if entry is None or (change.manager and change.manager not in {one.manager for one in fits}):
        return bare
    return _signed(change, entry)


def proven(change: FieldChange) -> bool:
    """True where managedFields alone says who it was. For a removal it only says who else wrote at that time."""
    return bool(change.operation) and change.kind != "removed"


def _same_difference(change: FieldChange, known: FieldChange) -> bool:
    """True where a later look proves nothing else than the earlier one: it may only have forgotten who it was.

    Who wrote after a field was gone has not removed it, so a removal keeps what was known when it was noticed.
    """
    nothing_new = change.manager is None or change.kind == "removed"
    same_author = nothing_new or (change.manager, change.since) == (known.manager, known.since)
    return same_author and (change.desired, change.live) == (known.desired, known.live)


def _fits(change: FieldChange, heard: Sequence[AuditObserved], window: Window | None) -> list[AuditObserved]:
    """The writes that may have made a difference, by its tool and second, or by when it was noticed."""
    writes = [entry for entry in heard if entry.verb in WRITES]
    if change.manager and change.since:
        return [entry for entry in writes if _stamped(entry, change.manager, change.since)]
    if change.manager or not window:
        return []
    return [entry for entry in _not_before(writes, window) if entry.manager not in OURS and _within(entry, window)]


def _not_before(writes: list[AuditObserved], window: Window) -> list[AuditObserved]:
    """Without those that the first look had seen. Of two that may be one of these, neither is left out."""
    seen: list[AuditObserved] = []
    for owner in window.rested:
        found = [entry for entry in writes if owner.time and _stamped(entry, owner.manager, owner.time)]
        seen += found if len(found) == 1 else []
    return [entry for entry in writes if entry not in seen]


def _stamped(entry: AuditObserved, manager: str, time: datetime) -> bool:
    """True where managedFields' manager and second are this request's."""
    return entry.manager == manager and _second(entry.received) <= time <= entry.time


def deletion(
    state: DriftState | None, reason: FindingReason | None, live: Object | None, hearsay: Hearsay,
    before: DriftDetected | None, now: datetime,
) -> tuple[FieldChange, ...]:  # fmt: skip
    """Who deleted a whole object that is missing or on its way out, as one difference; none where audit does not tell.

    A deletion that is under way is dated by the object itself; one that is over lies between the last look at which the
    object was there and the one that missed it, or around the latter where the former is not known any more.
    """
    going = state is DriftState.UNJUDGED and reason is FindingReason.TERMINATING
    if state is not DriftState.MISSING and not going:
        return ()
    known = tuple(change for change in before.fields if change.path == WHOLE) if before else ()
    if known:
        return known
    deletes = [entry for entry in hearsay.heard if entry.verb in DELETES]
    if going:
        fits = [entry for entry in deletes if live and _asked_for(entry, live)]
    else:
        fits = [entry for entry in deletes if _within(entry, _gone_in(hearsay, before, now))]
    entry = _of_one_user(fits)
    return (_signed(FieldChange(path=WHOLE, kind="removed"), entry),) if entry else ()


def _gone_in(hearsay: Hearsay, before: DriftDetected | None, now: datetime) -> Window:
    """When an object that is missing went."""
    if before is None or before.state is not DriftState.MISSING:
        return hearsay.window or Window(now, now)
    return hearsay.windows.get(GONE) or Window(before.detected_at, before.detected_at)


def news(drift: DriftDetected, hearsay: Hearsay, now: datetime) -> bool:
    """True where audit that came late may name somebody in an open drift, or no longer does."""
    if drift.state is DriftState.MISSING or drift.reason is FindingReason.TERMINATING:
        deletes = any(entry.verb in DELETES for entry in hearsay.heard)
        return deletes and not any(change.path == WHOLE for change in drift.fields)
    return named(drift.fields, hearsay, drift, now) != drift.fields


def _asked_for(entry: AuditObserved, live: Object) -> bool:
    """True where this request made the object terminating: deletionTimestamp is its time and the grace period."""
    metadata = metadata_of(live)
    end, grace = parse_time(metadata.get("deletionTimestamp")), metadata.get("deletionGracePeriodSeconds") or 0
    if end is None or not isinstance(grace, int):
        return False
    return _second(entry.received) <= end - timedelta(seconds=grace) <= entry.time


def _signed(change: FieldChange, entry: AuditObserved) -> FieldChange:
    known = {"manager": change.manager or entry.manager, "since": change.since or entry.time}
    return change.model_copy(update={"user": user_of(entry), **known})


def user_of(entry: AuditObserved) -> str:
    """`alice`, or `alice (through proxy)` where the proxy's user acted as her."""
    return f"{entry.acting_as} (through {entry.user})" if entry.acting_as else entry.user


def _of_one_user(fits: list[AuditObserved]) -> AuditObserved | None:
    newest = max(fits, key=lambda entry: entry.time, default=None)
    return newest if len({user_of(entry) for entry in fits}) == 1 else None


def _within(entry: AuditObserved, window: Window) -> bool:
    return window.low - SLACK <= entry.time and entry.received <= window.high + SLACK


def _second(time: datetime) -> datetime:
    """managedFields and deletionTimestamp keep whole seconds."""
    return time.replace(microsecond=0)


class Ended(NamedTuple):
    """A drift that is over, and when its differences were noticed; `at` is monotonic."""

    drift: DriftDetected
    windows: Mapping[Spot, Window]
    at: float


def learned(ended: Ended, hearsay: Hearsay, now: datetime) -> tuple[FieldChange, ...]:
    """The differences of a drift that is over, with whom late audit has named; the same ones where it named nobody."""
    drift = ended.drift
    told = Hearsay(hearsay.heard, None, ended.windows)
    fields = named(drift.fields, told, drift, now)
    if any(change.path == WHOLE for change in fields):
        return fields
    return (*deletion(drift.state, drift.reason, None, told, drift, now), *fields)


class Audit:
    """The last minutes of one cluster's audit, by object: at most `MOST` entries, for `KEPT_S` seconds."""

    def __init__(self, most: int = MOST, kept_s: float = KEPT_S) -> None:
        self.most, self.kept_s = most, kept_s
        self.heard: dict[ObjectKey, deque[AuditObserved]] = {}
        self.order: deque[tuple[float, ObjectKey]] = deque()
        self.windows: dict[ObjectKey, dict[Spot, Window]] = {}
        self.ended: dict[ObjectKey, Ended] = {}
        self.is_sent = False  # without audit nothing of what is over is kept

    def add(self, key: ObjectKey, entry: AuditObserved, now: float) -> None:
        """Keep an entry; a key without a name stands for all objects of its kind there. `now` is monotonic."""
        self.forget_old(now)
        self.is_sent = True
        self.heard.setdefault(key, deque()).append(entry)
        self.order.append((now, key))

    def forget_old(self, now: float) -> None:
        """Let go of what is too old or too much."""
        while self.order and (now - self.order[0][0] > self.kept_s or len(self.order) >= self.most):
            _, key = self.order.popleft()
            entries = self.heard[key]
            entries.popleft()
            if not entries:
                del self.heard[key]
        while self.ended:
            first = next(iter(self.ended))
            if now - self.ended[first].at <= self.kept_s and len(self.ended) <= MOST_ENDED:
                break
            del self.ended[first]

    def of(self, key: ObjectKey, window: Window | None) -> Hearsay:
        """What is known of an object."""
        heard = (*self.heard.get(key, ()), *self.heard.get(key._replace(name=""), ()))
        return Hearsay(heard, window, self.windows.get(key, {}))

    def noticed(
        self, key: ObjectKey, before: DriftDetected | None, after: DriftDetected | None, window: Window | None,
        now: float,
    ) -> None:  # fmt: skip
        """Remember when each difference was noticed that nobody is proven for: its audit may come later.

        A drift that is over is remembered as well, since its correction may have been faster.
        """
        known = {(change.path, change.kind): change for change in before.fields} if before else {}
        old = self.windows.pop(key, {})
        kept: dict[Spot, Window] = {}
        for change in after.fields if after else ():
            spot = change.path, change.kind
            same = spot in known and _same_difference(change, known[spot])
            found = old.get(spot) if same else window
            if found and not proven(change) and change.path != WHOLE:
                kept[spot] = found
        went = _went(before, after, old, window)
        if went:
            kept[GONE] = went
        if kept:
            self.windows[key] = kept
        if before and after is None and self.is_sent:
            self.ended.pop(key, None)
            self.ended[key] = Ended(before, old, now)
            self.forget_old(now)


def _went(
    before: DriftDetected | None, after: DriftDetected | None, old: Mapping[Spot, Window], window: Window | None
) -> Window | None:
    """The window in which an object went; None for one that is there, or whose last look is not known."""
    if after is None or after.state is not DriftState.MISSING:
        return None
    return old.get(GONE) if before and before.state is DriftState.MISSING else window
