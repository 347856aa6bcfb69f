"""Maintenance windows from an iCalendar file (RFC 5545): each of its events is one, repeated ones each time.

A calendar comes from people and programs, and its rules can keep a reader busy for ever (one that never comes, one that
comes every second). So what is unusual is refused when it is read: rules finer than a day, and those by which a library
could search thousands of years. What is left is unrolled two months at a time, in some milliseconds.

Days and times without a zone are in the document's zone. An event ends by the clock on the wall: one from 22:00 to
06:00 does so on nights with a change of clocks too. One without length is none, and a cancelled one neither.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]

MOST_BYTES = 1024 * 1024
MOST_EVENTS = 1000
MOST_A_DAY = 50  # of all repeated events together
OLDEST = 2010
CHUNK = timedelta(days=62)
MOST_CHUNKS = 24  # four years ahead
KEPT = 4
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
MARGIN = timedelta(days=2)  # more than any two zones are apart

FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
WITH_DAILY = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTH", "BYHOUR", "BYMINUTE"})

BROKEN = (AttributeError, TypeError, OverflowError, LookupError)
"""What the libraries raise for mangled values, beside ValueError."""

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Calendar:
    """The events of a calendar as spans in UTC. `unrolled` remembers the last months."""

    query: Any
    zone: ZoneInfo
    unrolled: dict[int, tuple[Span, ...]] = field(default_factory=dict, compare=False, repr=False)

    def open_until(self, now: datetime) -> datetime | None:
        """The end of the last of the events that touch each other; after some, the least end."""
        end = self._end_of(now)
        for _ in range(MOST_CHUNKS):
            further = self._end_of(end) if end is not None else None
            if further is None:
                break
            end = further
        return end

    def opens_at(self, now: datetime) -> datetime | None:
        """The next beginning, None where there is none within four years."""
        first = (now - EPOCH) // CHUNK
        chunks = (self._chunk(first + number) for number in range(MOST_CHUNKS))
        return next((since for spans in chunks for since, _ in spans if since > now), None)

    def _end_of(self, now: datetime) -> datetime | None:
        """Of the events that are known without looking far ahead."""
        spans = self._chunk((now - EPOCH) // CHUNK)
        return next((until for since, until in spans if since <= now < until), None)

    def _chunk(self, number: int) -> tuple[Span, ...]:
        known = self.unrolled.get(number)
        if known is None:
            begins = EPOCH + number * CHUNK
            found = self.query.between(begins - MARGIN, begins + CHUNK + MARGIN)
            known = self.unrolled[number] = merged(_spans(found, self.zone))
            for old in list(self.unrolled)[:-KEPT]:
                del self.unrolled[old]
        return known


def read_calendar_text(content: bytes, zone: ZoneInfo) -> Calendar:
    """Read a calendar and look at its rules. Raises ValueError saying what of it is not taken."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"the calendar has more than {MOST_BYTES} bytes")
    try:
        return _read(content, zone)
    except BROKEN as error:
        raise ValueError(f"the calendar is none that can be read: {type(error).__name__}") from error


def _read(content: bytes, zone: ZoneInfo) -> Calendar:
    read = icalendar.Calendar.from_ical(content)
    events: list[Any] = list(read.walk("VEVENT"))
    if len(events) > MOST_EVENTS:
        raise ValueError(f"the calendar has {len(events)} events, at most {MOST_EVENTS} are taken")
    if sum(_a_day(event) for event in events) > MOST_A_DAY:
        raise ValueError(f"the calendar's repeated events may be more than {MOST_A_DAY} a day")
    calendar = Calendar(recurring_ical_events.of(read), zone)
    for event in events:
        begins = _moment(event["DTSTART"].dt, zone)
        if "DTEND" in event and _moment(event["DTEND"].dt, zone) < begins:
            raise ValueError(f"the event {_name(event)!r} ends before it begins")
        list(_spans(calendar.query.between(begins, begins + timedelta(days=1)), zone))
    return calendar


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """In order, those that touch or overlap made one; those without length dropped."""
    found: list[Span] = []
    for since, until in sorted(span for span in spans if span[0] < span[1]):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return tuple(found)


def _spans(events: Iterable[Any], zone: ZoneInfo) -> Iterator[Span]:
    for event in events:
        if str(event.get("STATUS", "")).upper() != "CANCELLED":
            yield _moment(event["DTSTART"].dt, zone), _moment(event["DTEND"].dt, zone)


def _moment(value: date, zone: ZoneInfo) -> datetime:
    when = value if isinstance(value, datetime) else datetime.combine(value, time())
    return (when if when.tzinfo else when.replace(tzinfo=zone)).astimezone(UTC)


def _a_day(event: Any) -> int:
    """How often a repeated event comes on one day at most. Raises ValueError for what is not taken."""
    name = _name(event)
    if "DTSTART" not in event:
        raise ValueError(f"the event {name!r} has no DTSTART")
    if event.get("EXRULE"):
        raise ValueError(f"the event {name!r} has an EXRULE, name its exceptions by EXDATE")
    rules = event.get("RRULE") or []
    rules = rules if isinstance(rules, list) else [rules]
    if rules and event["DTSTART"].dt.year < OLDEST:
        raise ValueError(f"the event {name!r} repeats since before {OLDEST}")
    return sum(_rule_a_day(rule, name) for rule in rules)


def _name(event: Any) -> str:
    return str(event.get("SUMMARY") or event.get("UID") or "without a name")[:80]


def _rule_a_day(rule: Any, name: str) -> int:
    frequency = str((rule.get("FREQ") or [""])[0]).upper()
    if frequency not in FREQUENCIES or rule.get("BYSECOND"):
        raise ValueError(f"the event {name!r} repeats {frequency or 'oddly'}, a day is the finest that is taken")
    if any(int(step) < 1 for step in rule.get("INTERVAL") or []):
        raise ValueError(f"the event {name!r} has an INTERVAL below 1")
    odd = sorted(set(map(str.upper, rule)) - WITH_DAILY) if frequency == "DAILY" else []
    if odd:
        raise ValueError(f"the event {name!r} repeats DAILY with {', '.join(odd)}, write it as MONTHLY or YEARLY")
    return max(1, len(rule.get("BYHOUR") or [])) * max(1, len(rule.get("BYMINUTE") or []))
