"""Maintenance windows: nothing inside a freeze, nothing outside of what is allowed, and an end that is the true one."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Reason, Verdict
from schemas.target import Target
from schemas.window import MaintenanceWindow
from services.reconciler.guards.base import Window
from services.reconciler.guards.maintenance import maintenance
from services.reconciler.policies.calendars import MOST_BYTES, merged, read_calendar_text
from services.reconciler.policies.windows import Compiled, check_cron, compile_windows
from services.runtime.errors import UsageError
from tests.guards_kit import asked, case
from tests.reconciler_kit import NOON, target_of

BERLIN = ZoneInfo("Europe/Berlin")
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Open:
    """A freeze that is open until a time."""

    until: datetime
    name: str = "frozen"
    freezes: bool = True
    reason: str = "release"

    def covers(self, target: Target) -> bool:
        return True

    def open_until(self, now: datetime) -> datetime | None:
        return self.until if now < self.until else None

    def opens_at(self, now: datetime) -> datetime | None:
        return None


def no_calendar(document: MaintenanceWindow) -> bytes:
    raise FileNotFoundError(f"no file {document.spec.calendar}")


def window(name: str = "w", calendar: bytes | None = None, **spec: Any) -> Window:
    document = {
        "apiVersion": "setpoint.dev/v1alpha1", "kind": "MaintenanceWindow", "metadata": {"name": name},
        "spec": spec if calendar is None else {"calendar": "x.ics", **spec},
    }  # fmt: skip
    read = no_calendar if calendar is None else lambda _: calendar
    return compile_windows([MaintenanceWindow.model_validate(document)], read)[0]


def fixed(since: datetime, until: datetime, **more: Any) -> Window:
    return window(**{"from": since, "until": until, **more})


def local(text: str, fold: int = 0) -> datetime:
    """A time in Berlin, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


NIGHT: dict[str, Any] = {"schedule": "0 22 * * *", "duration": "8h", "timeZone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("spec", "now", "until"),
    [
        pytest.param(NIGHT, local("2026-07-01T21:59:59"), None, id="before"),
        pytest.param(NIGHT, local("2026-07-01T22:00"), local("2026-07-02T06:00"), id="at its beginning"),
        pytest.param(NIGHT, local("2026-07-02T00:30"), local("2026-07-02T06:00"), id="after midnight"),
        pytest.param(NIGHT, local("2026-07-02T06:00"), None, id="at its end"),
        pytest.param(NIGHT, local("2026-03-29T04:00"), local("2026-03-29T07:00"), id="eight hours, one skipped"),
        pytest.param(NIGHT, local("2026-10-25T02:30", fold=1), local("2026-10-25T05:00"), id="eight hours, one twice"),
        pytest.param({**NIGHT, "schedule": "30 2 * * *", "duration": "20m"}, local("2026-03-29T03:10"),
                     local("2026-03-29T03:20"), id="a beginning that is skipped comes right after"),
        pytest.param({**NIGHT, "schedule": "30 2 * * *", "duration": "2h"}, local("2026-10-25T02:10", fold=1),
                     local("2026-10-25T03:30"), id="a beginning that comes twice is the first"),
        pytest.param({**NIGHT, "schedule": "30 2 * * *", "duration": "20m"}, local("2026-10-25T02:40", fold=1),
                     None, id="and only the first"),
        pytest.param({**NIGHT, "exceptDates": ["2026-07-01"]}, local("2026-07-02T00:30"), None, id="excepted"),
        pytest.param({**NIGHT, "exceptDates": ["2026-07-02"]}, local("2026-07-02T00:30"), local("2026-07-02T06:00"),
                     id="excepted is the day on which it begins"),
        pytest.param({"schedule": "0 0 1 1 *", "duration": "2w"}, datetime(2027, 1, 9, tzinfo=UTC),
                     datetime(2027, 1, 15, tzinfo=UTC), id="long and rare"),
        pytest.param({**NIGHT, "duration": "0s"}, local("2026-07-01T22:00"), None, id="without length"),
    ],
)  # fmt: skip
def test_a_schedule_is_open_in_its_own_time_zone(spec: dict[str, Any], now: datetime, until: datetime | None) -> None:
    """Also over midnight and in the nights in which clocks change."""
    assert window(**spec).open_until(now) == until


def test_a_window_that_never_ends_is_asked_again_after_a_while() -> None:
    """Its end is that of the last span that was looked at: far away, and found quickly."""
    end = window(schedule="*/5 * * * *", duration="5m").open_until(NOON)
    assert end is not None
    assert NOON + 5 * DAY < end < NOON + 10 * DAY


def beginnings(hour: int, minute: int, days: range) -> list[datetime]:
    """Daily beginnings in Berlin, reckoned without cron: what a change of clocks skips comes right after it."""
    found = []
    for day in days:
        when = datetime.combine(date(2026, 1, 1) + timedelta(days=day), time(hour, minute))
        begins = when.replace(tzinfo=BERLIN).astimezone(UTC)
        while begins.astimezone(BERLIN).replace(tzinfo=None) != when:
            when += MINUTE
            begins = when.replace(tzinfo=BERLIN).astimezone(UTC)
        found.append(begins)
    return found


@given(
    hour=st.integers(0, 23), minute=st.sampled_from([0, 30, 59]), hours=st.integers(0, 50),
    around=st.sampled_from([datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), NOON]),
    offset=st.integers(-48 * 60, 48 * 60),
)  # fmt: skip
def test_a_schedule_agrees_with_the_calendar_on_the_wall(
    hour: int, minute: int, hours: int, around: datetime, offset: int
) -> None:
    """Whether it is open, until when, and when it opens next, at any time near a change of clocks."""
    now, length = around + offset * MINUTE, timedelta(hours=hours)
    day = (around.date() - date(2026, 1, 1)).days
    spans = merged((begins, begins + length) for begins in beginnings(hour, minute, range(day - 8, day + 40)))
    found = window(schedule=f"{minute} {hour} * * *", duration=f"{hours}h", timeZone="Europe/Berlin")
    inside = [until for since, until in spans if since <= now < until]
    if inside and inside[0] > around + 20 * DAY:
        assert found.open_until(now) is not None
        return
    assert found.open_until(now) == (inside[0] if inside else None)
    assert found.opens_at(now) == next((since for since, _ in spans if since > now), None)


ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//tests//EN
{events}
END:VCALENDAR
"""


def ics(*events: str) -> bytes:
    parts = []
    for number, lines in enumerate(events):
        parts += ["BEGIN:VEVENT", f"UID:{number}", *lines.split("|"), "END:VEVENT"]
    return ICS.format(events="\n".join(parts)).replace("\n", "\r\n").encode()


NIGHTLY = "DTSTART;TZID=Europe/Berlin:20260101T220000|DTEND;TZID=Europe/Berlin:20260102T060000|RRULE:FREQ=DAILY"
FRIDAYS = "DTSTART:20260102T180000Z|DURATION:PT2H|RRULE:FREQ=WEEKLY;BYDAY=FR"


@pytest.mark.parametrize(
    ("event", "now", "until"),
    [
        pytest.param(NIGHTLY, local("2026-03-29T04:00"), local("2026-03-29T06:00"), id="ends by the clock on the wall"),
        pytest.param(NIGHTLY, local("2026-07-01T12:00"), None, id="between two"),
        pytest.param(NIGHTLY + "|EXDATE;TZID=Europe/Berlin:20260701T220000", local("2026-07-02T01:00"), None,
                     id="an exception"),
        pytest.param(FRIDAYS, datetime(2031, 1, 3, 19, tzinfo=UTC), datetime(2031, 1, 3, 20, tzinfo=UTC),
                     id="years later"),
        pytest.param("DTSTART;VALUE=DATE:20260401", local("2026-04-01T23:59"), local("2026-04-02T00:00"),
                     id="a day in the document's zone"),
        pytest.param("DTSTART:20260401T100000|DURATION:PT1H", local("2026-04-01T10:30"), local("2026-04-01T11:00"),
                     id="a time without a zone is in the document's"),
        pytest.param("DTSTART:20260401T100000Z", datetime(2026, 4, 1, 10, tzinfo=UTC), None, id="without length"),
        pytest.param("DTSTART:20260401T100000Z|DURATION:PT1H|STATUS:CANCELLED",
                     datetime(2026, 4, 1, 10, tzinfo=UTC), None, id="cancelled"),
        pytest.param("DTSTART:20260101T000000Z|DTEND:20270101T000000Z", datetime(2026, 6, 1, tzinfo=UTC),
                     datetime(2027, 1, 1, tzinfo=UTC), id="longer than is unrolled at a time"),
    ],
)  # fmt: skip
def test_a_calendars_events_are_windows(event: str, now: datetime, until: datetime | None) -> None:
    """Each of them, as often as it comes."""
    assert window(calendar=ics(event), timeZone="Europe/Berlin").open_until(now) == until


def test_many_single_events_are_no_burden() -> None:
    """A calendar of some years' releases is taken."""
    events = [f"DTSTART:20{year}{month:02}15T100000Z|DURATION:PT1H" for year in range(20, 50) for month in range(1, 13)]
    assert window(calendar=ics(*events)).opens_at(NOON) == datetime(2026, 12, 15, 10, tzinfo=UTC)


def test_events_that_follow_each_other_are_one_window_over_many_months() -> None:
    """Whatever is unrolled at a time, the end is that of the last one."""
    months = [f"DTSTART:2026{month:02}01T000000Z|DTEND:2026{month + 1:02}01T000000Z" for month in range(1, 12)]
    found = window(calendar=ics(*months))
    assert found.open_until(datetime(2026, 1, 5, tzinfo=UTC)) == datetime(2026, 12, 1, tzinfo=UTC)
    assert found.open_until(datetime(2026, 12, 1, tzinfo=UTC)) is None


def test_the_next_event_may_be_years_away() -> None:
    """And there may be none."""
    found = window(calendar=ics("DTSTART:20290601T000000Z|DURATION:PT1H"))
    assert found.opens_at(NOON) == datetime(2029, 6, 1, tzinfo=UTC)
    assert found.opens_at(datetime(2029, 6, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"no calendar", "", id="not a calendar"),
        pytest.param(b"X" * (MOST_BYTES + 1), "bytes", id="too long"),
        pytest.param(ics(*["DTSTART:20260401T100000Z"] * 1001), "1001 events", id="too many events"),
        pytest.param(ics(*[NIGHTLY] * 51), "a day", id="too many a day"),
        pytest.param(ics("DTSTART:20260101T000000Z|RRULE:FREQ=SECONDLY"), "SECONDLY", id="every second"),
        pytest.param(ics("DTSTART:20260101T000000Z|RRULE:FREQ=HOURLY"), "HOURLY", id="every hour"),
        pytest.param(ics("DTSTART:20260101T000000Z|RRULE:FREQ=DAILY;BYHOUR=" + ",".join(map(str, range(24)))
                         + ";BYMINUTE=" + ",".join(map(str, range(60)))), "a day", id="every minute by lists"),
        pytest.param(ics("DTSTART:20260101T000000Z|RRULE:FREQ=DAILY;BYSECOND=1,2"), "day", id="seconds by lists"),
        pytest.param(ics("DTSTART:20260101T000000Z|RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "BYMONTHDAY",
                     id="a day that never comes"),
        pytest.param(ics("DTSTART:20260101T000000Z|RRULE:FREQ=DAILY;BYSETPOS=9"), "BYSETPOS", id="nor this one"),
        pytest.param(ics("DTSTART:20260101T000000Z|RRULE:FREQ=DAILY;INTERVAL=0"), "INTERVAL", id="no step"),
        pytest.param(ics("DTSTART:00010101T000000Z|RRULE:FREQ=DAILY"), "2010", id="since ever"),
        pytest.param(ics("SUMMARY:never"), "DTSTART", id="without a beginning"),
        pytest.param(ics("DTSTART:20260102T000000Z|DTEND:20260101T000000Z"), "before", id="ends before it begins"),
        pytest.param(ics("DTSTART:20260101T000000Z|RRULE:FREQ=OFTEN"), "", id="an odd rule"),
        pytest.param(ics("DTSTART:20260101T000000Z|DTEND:20260101T010000Z|EXRULE:FREQ=DAILY"), "EXRULE", id="EXRULE"),
    ],
)  # fmt: skip
def test_a_calendar_that_would_keep_us_busy_is_refused(content: bytes, said: str) -> None:
    """When it is read, with what of it is wrong; never in the middle of a decision."""
    assert window(calendar=ics(NIGHTLY))
    with pytest.raises(UsageError, match=f"'w'.*{said}"):
        window(calendar=content)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param({"schedule": "61 * * * *", "duration": "1h"}, "schedule", id="no such minute"),
        pytest.param({"schedule": "* * * * * *", "duration": "1h"}, "five fields", id="seconds"),
        pytest.param({"schedule": "0 0 31 2 *", "duration": "1h"}, "schedule", id="a day that never comes"),
        pytest.param({"calendar": "gone.ics"}, "gone.ics", id="no such file"),
    ],
)
def test_what_cannot_be_read_names_the_window(spec: Any, said: str) -> None:
    """And what would be right."""
    with pytest.raises(UsageError, match=f"'w'.*{said}"):
        window(**spec)


def test_a_decision_reads_no_calendar() -> None:
    """However often it is asked, events are unrolled once for some months."""
    calendar = read_calendar_text(ics(NIGHTLY), BERLIN)
    unrolled: list[Any] = []

    class Query:
        def between(self, *span: Any) -> Any:
            unrolled.append(span)
            return calendar.query.between(*span)

    counted = type(calendar)(Query(), BERLIN)
    for minute in range(24 * 60):
        counted.open_until(NOON + minute * MINUTE)
    assert len(unrolled) == 1


def test_a_schedule_is_reckoned_once_a_span() -> None:
    """And says the same as if it were reckoned each time."""
    plain = window(**NIGHT)
    assert isinstance(plain, Compiled)
    times = plain.times
    asked_for: list[datetime] = []

    class Times:
        def open_until(self, now: datetime) -> datetime | None:
            asked_for.append(now)
            return times.open_until(now)

        def opens_at(self, now: datetime) -> datetime | None:
            return times.opens_at(now)

    found = Compiled("w", True, "", plain.where, Times())
    for minute in range(48 * 60):
        now = NOON + minute * MINUTE
        assert (found.open_until(now), found.opens_at(now)) == (times.open_until(now), times.opens_at(now))
    assert len(asked_for) < 10


SHOP = Target(cluster="c1", group="", kind="Namespace", namespace="", name="shop")

moments = st.integers(0, 60).map(lambda minutes: NOON + minutes * MINUTE)
spans = st.tuples(moments, moments).filter(lambda span: span[0] < span[1])
sets = st.lists(st.tuples(spans, st.sampled_from(["freeze", "allow"])), max_size=6)


@given(sets)
def test_nothing_is_done_in_a_freeze_or_outside_of_what_is_allowed(given_windows: list[tuple[Span, str]]) -> None:
    """At every minute; and the end that is named is the first moment at which something may be done."""
    windows = tuple(fixed(since, until, effect=effect, name=effect) for (since, until), effect in given_windows)
    freezes = [span for span, effect in given_windows if effect == "freeze"]
    allows = [span for span, effect in given_windows if effect == "allow"]

    def may(now: datetime) -> bool:
        frozen = any(since <= now < until for since, until in freezes)
        return not frozen and (not allows or any(since <= now < until for since, until in allows))

    for minute in range(-1, 62):
        now = NOON + minute * MINUTE
        denial = maintenance(asked(now=now, windows=windows))
        assert (denial is None) is may(now)
        if denial is not None:
            later = (NOON + more * MINUTE for more in range(minute + 1, 70))
            assert denial.until == next((when for when in later if may(when)), None)
            assert (denial.reason, denial.verdict) == (Reason.MAINTENANCE, Verdict.WAIT)


@pytest.mark.parametrize(
    ("where", "target", "covered"),
    [
        pytest.param({}, target_of(), True, id="everywhere"),
        pytest.param({"cluster": ["c*"]}, target_of(), True, id="its cluster"),
        pytest.param({"cluster": ["prod-*"]}, target_of(), False, id="other clusters"),
        pytest.param({"namespace": ["sh*", "pay"]}, target_of(), True, id="its namespace"),
        pytest.param({"namespace": ["pay"]}, target_of(), False, id="another namespace"),
        pytest.param({"cluster": ["c1"], "namespace": ["pay"]}, target_of(), False, id="only one of both"),
        pytest.param({"namespace": ["shop"]}, SHOP, True, id="the namespace itself"),
        pytest.param({"namespace": ["shop"]}, SHOP.model_copy(update={"kind": "Node"}), False, id="a node is in none"),
    ],
)  # fmt: skip
def test_a_window_holds_where_it_says(where: dict[str, list[str]], target: Target, covered: bool) -> None:
    """An absent list means everywhere; and the words name the window and its reason."""
    found = fixed(NOON, NOON + HOUR, where=where, name="eve", reason="no deploys")
    denial = maintenance(asked(of=case(target), windows=(found,)))
    assert bool(denial) is covered
    assert denial is None or ("'eve'" in denial.message and "no deploys" in denial.message)


def test_people_are_told_in_a_freeze_too() -> None:
    """What touches nothing is no maintenance's matter."""
    found = fixed(NOON, NOON + HOUR)
    assert maintenance(asked(windows=(found,), action="notify")) is None
    assert maintenance(asked(windows=(found,), action="restart")) is not None


def test_a_cron_expression_has_five_fields() -> None:
    """What other schedules are checked with too."""
    check_cron("*/5 3 * * MON-FRI")
    with pytest.raises(ValueError, match="five fields"):
        check_cron("@daily")
