"""Maintenance windows as the guards ask them: read once from their documents, then a lookup is a comparison.

Spans are half-open, [from, until), in UTC; those that touch are one. A schedule begins in its own time zone: a time
that a change of clocks skips begins right after it, one that comes twice begins the first time. Its duration is elapsed
time, so a window of eight hours lasts eight hours in such a night too.

Calendars come from people and are a way to be kept busy for ever: their size, the number of their events and how often
these repeat are bounded when they are read, and they are unrolled some months at a time. Each window remembers the
last stretches that it was asked about; that never changes an answer.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from schemas.policy import fits
from schemas.target import Target
from schemas.window import MaintenanceWindow, Where, WindowSpec
from services.reconciler.guards.base import Window
from services.reconciler.policies.calendars import read_calendar_text
from services.runtime.errors import UsageError

MOST_LINKED = 2000  # beginnings of a schedule that touch each other; beyond, the end that is named is the least
REMEMBERED = 8
LOOK_AGAIN = timedelta(days=1)  # for how long a window that is not open counts as known
CLOCKS = timedelta(hours=3)  # more than a change of clocks can move a beginning

ReadCalendar = Callable[[MaintenanceWindow], bytes]
"""The bytes of the .ics file that a document names, which lies beside it. Raises OSError where it cannot be read."""


class Times(Protocol):
    """When a window is open."""

    def open_until(self, now: datetime) -> datetime | None:
        """The end of the span that `now` lies in."""

    def opens_at(self, now: datetime) -> datetime | None:
        """The beginning of the first span after `now`."""


@dataclass(frozen=True)
class Once:
    """From one time until another."""

    since: datetime
    until: datetime

    def open_until(self, now: datetime) -> datetime | None:
        """Its end, while inside."""
        return self.until if self.since <= now < self.until else None

    def opens_at(self, now: datetime) -> datetime | None:
        """Its beginning, before it."""
        return self.since if now < self.since < self.until else None


@dataclass(frozen=True)
class Scheduled:
    """Begins by a cron expression in a time zone, and lasts for a time."""

    cron: str
    duration: timedelta
    zone: ZoneInfo
    except_dates: frozenset[date]

    def open_until(self, now: datetime) -> datetime | None:
        """The end of the last of the spans that touch each other."""
        began = self._began(now)
        if began is None:
            return None
        end = began + self.duration
        for _, begins in zip(range(MOST_LINKED), self.beginnings(began), strict=False):
            if begins > end:
                break
            end = max(end, begins + self.duration)
        return end

    def opens_at(self, now: datetime) -> datetime | None:
        """The next beginning, None where there is none within decades."""
        return next(self.beginnings(now), None) if self.duration > timedelta(0) else None

    def beginnings(self, after: datetime) -> Iterator[datetime]:
        """Those later than `after`, in UTC."""
        for begins in CronSim(self.cron, (after - CLOCKS).astimezone(self.zone)):
            if begins.date() not in self.except_dates and begins > after:
                yield begins.astimezone(UTC)

    def _began(self, now: datetime) -> datetime | None:
        """The last beginning whose span `now` lies in."""
        earliest = now - self.duration
        for begins in CronSim(self.cron, (now + CLOCKS).astimezone(self.zone), reverse=True):
            if begins <= earliest - CLOCKS:
                break
            if earliest < begins <= now and begins.date() not in self.except_dates:
                return begins.astimezone(UTC)
        return None


@dataclass(frozen=True)
class _Known:
    """What was found out: from `since` until `until` the window is open, or is not, and when that changes."""

    since: datetime
    until: datetime
    is_open: bool
    changes_at: datetime | None


@dataclass
class _Memory:
    """The last things that were found out."""

    known: tuple[_Known, ...] = ()

    def at(self, now: datetime) -> _Known | None:
        return next((one for one in self.known if one.since <= now < one.until), None)

    def keep(self, found: _Known) -> _Known:
        self.known = (found, *self.known[: REMEMBERED - 1])
        return found


@dataclass(frozen=True)
class Compiled:
    """A window, ready to be asked. See `services.reconciler.guards.base.Window`."""

    name: str
    freezes: bool
    reason: str
    where: Where
    times: Times
    memory: _Memory = field(default_factory=_Memory, compare=False, repr=False)

    def covers(self, target: Target) -> bool:
        """Whether it is about this target. A Namespace belongs to itself."""
        namespace = target.name if target.kind == "Namespace" and not target.group else target.namespace
        return (not self.where.cluster or fits(target.cluster, self.where.cluster)) and (
            not self.where.namespace or fits(namespace, self.where.namespace)
        )

    def open_until(self, now: datetime) -> datetime | None:
        """When the span that `now` lies in ends; None where `now` lies in none."""
        found = self.memory.at(now) or self._look(now)
        return found.changes_at if found.is_open else None

    def opens_at(self, now: datetime) -> datetime | None:
        """When the next span begins; None where there is no other."""
        found = self.memory.at(now) or self._look(now)
        return self.times.opens_at(found.until) if found.is_open else found.changes_at

    def _look(self, now: datetime) -> _Known:
        closes = self.times.open_until(now)
        if closes is not None:
            return self.memory.keep(_Known(now, closes, True, closes))
        opens = self.times.opens_at(now)
        return self.memory.keep(_Known(now, min(opens or now + LOOK_AGAIN, now + LOOK_AGAIN), False, opens))


def compile_windows(documents: Iterable[MaintenanceWindow], read_calendar: ReadCalendar) -> tuple[Window, ...]:
    """The windows that the documents describe. Raises UsageError naming the document, the field and what is wrong."""
    return tuple(_compiled(document, read_calendar) for document in documents)


def _compiled(document: MaintenanceWindow, read_calendar: ReadCalendar) -> Compiled:
    spec = document.spec
    try:
        times = _times(document, spec, read_calendar)
    except (ValueError, OSError) as error:
        where = "schedule" if spec.schedule is not None else "calendar"
        fix = "Write five fields such as '0 22 * * 5'" if spec.schedule is not None else "Export the calendar anew"
        raise UsageError(f"MaintenanceWindow {document.name!r}: spec.{where}: {error}", fix) from error
    return Compiled(document.name, spec.effect == "freeze", spec.reason, spec.where, times)


def _times(document: MaintenanceWindow, spec: WindowSpec, read_calendar: ReadCalendar) -> Times:
    zone = ZoneInfo(spec.time_zone)
    if spec.calendar is not None:
        return read_calendar_text(read_calendar(document), zone)
    if spec.schedule is None:
        assert spec.since is not None
        assert spec.until is not None
        return Once(spec.since, spec.until)
    assert spec.duration is not None
    check_cron(spec.schedule)
    return Scheduled(spec.schedule, spec.duration, zone, frozenset(spec.except_dates))


def check_cron(schedule: str) -> None:
    """Raises ValueError where it is no five-field cron expression."""
    if len(schedule.split()) != 5:
        raise ValueError(f"a schedule has five fields, not {len(schedule.split())}: {schedule!r}")
    try:
        CronSim(schedule, datetime.combine(date(2026, 1, 1), time(), UTC))
    except CronSimError as error:
        raise ValueError(f"{error}: {schedule!r}") from error
