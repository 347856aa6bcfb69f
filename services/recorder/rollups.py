"""Hourly numbers that agree with the rows they were counted from, and counting them again where they do not.

An engine fills its roll-ups with every insert. They can be wrong all the same: rows of before a roll-up was made were
never counted, and an engine that dies within an insert may keep its rows and not their numbers. So they are compared,
and what differs is deleted and counted again: hour by hour, and for one partition only where its recorder does it,
since that one alone writes there. Rows past their time are left alone: their numbers are all that is left of them.
The SELECT that fills a roll-up stands in the engine, in its materialised view; what is counted again is counted by it.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.recorder.intents import Place, Span
from services.recorder.retention import kept_days
from services.recorder.store import Store
from services.runtime.clock import Sleep
from services.runtime.errors import Permanent, Temporary

ROLLUPS = ("events_hourly", "delay_hourly", "durations_hourly")
FILLING = "{}_filling"
SOURCE = re.compile(r"\bFROM (?:`?\w+`?\.)?events\b")
HOUR = "toStartOfHour(toDateTime(event_time, 'UTC'))"
PARTS = "month, hour, broker, topic, kafka_partition"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROUNDS = 10
SETTLE_S = 1.0
"""How long an insert that is still on its way gets until its numbers must be there."""


@dataclass(frozen=True)
class Cut:
    """What is compared or counted again: hours of the events' time, and one partition. None means all of them.

    `since` and `until` are whole hours, `until` not included. `kept_since` is the first day whose rows are surely all
    there still.
    """

    kept_since: datetime
    since: datetime | None = None
    until: datetime | None = None
    hours: tuple[datetime, ...] | None = None
    place: Place | None = None
    month: datetime | None = None


@dataclass(frozen=True)
class Difference:
    """One partition's hour in which a roll-up has other numbers than its rows have."""

    rollup: str
    hour: datetime
    place: Place
    counted: int
    rows: int

    @property
    def topic(self) -> str:
        """Its partition's topic."""
        return self.place.topic

    @property
    def partition(self) -> int:
        """Its partition's number in the topic."""
        return self.place.partition


async def differences(store: Store, rollup: str, cut: Cut) -> list[Difference]:
    """Where the roll-up is wrong, in order; nothing where it is right. Changes nothing."""
    filling = await _filling(store, rollup)
    values = _values(cut)
    rows = await store.query(
        f"SELECT hour, broker, topic, kafka_partition, toUInt64(sum(there)), toUInt64(sum(here)) FROM ("
        f"SELECT {PARTS}, sum(events) AS here, 0 AS there FROM ({_counted(filling, cut)}) GROUP BY {PARTS} "
        f"UNION ALL SELECT {PARTS}, 0 AS here, sum(events) AS there FROM {rollup} WHERE {_of_rollup(cut)} "
        f"GROUP BY {PARTS}) GROUP BY {PARTS} HAVING sum(here) != sum(there) ORDER BY {PARTS}",
        values,
    )
    return [
        Difference(rollup, hour.replace(tzinfo=UTC), Place(broker, topic, partition), counted, here)
        for hour, broker, topic, partition, counted, here in rows
    ]


async def recount(store: Store, rollup: str, cut: Cut) -> None:
    """Delete the cut's numbers and count them again. Who is interrupted in between leaves less, never more."""
    filling, values = await _filling(store, rollup), _values(cut)
    await store.command(f"DELETE FROM {rollup} WHERE {_of_rollup(cut)}", values)
    columns = ", ".join(name for name, *_ in await store.query(f"DESCRIBE TABLE {rollup}"))
    await store.command(
        f"INSERT INTO {rollup} ({columns}) SELECT {columns} FROM ({_counted(filling, cut)}) "
        "SETTINGS insert_deduplicate = 0",
        values,
    )


async def settle(store: Store, rollup: str, cut: Cut, *, anyway: bool = False, sleep: Sleep = asyncio.sleep) -> int:
    """Count again what differs (with `anyway`, the whole cut first) until nothing does; how often that took.

    What differs gets a moment first: its numbers may be on their way. Raises Temporary where it never agrees.
    """
    if anyway:
        await recount(store, rollup, cut)
    times = int(anyway)
    for _ in range(ROUNDS):
        if not await differences(store, rollup, cut):
            return times
        await sleep(SETTLE_S)
        wrong = await differences(store, rollup, cut)
        if wrong:
            hours = tuple(sorted({entry.hour for entry in wrong}))
            await recount(store, rollup, Cut(cut.kept_since, hours=hours, place=cut.place, month=cut.month))
            times += 1
    raise Temporary(f"{rollup} does not come to agree with its rows; do others write just these hours?")


async def fill(
    store: Store,
    rollups: Sequence[str] = ROLLUPS,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    anyway: bool = False,
) -> int:
    """Make roll-ups agree with all rows of a time, month by month; how many counts that took."""
    oldest = await kept_since(store)
    months = await store.query(
        "SELECT DISTINCT toDateTime(toStartOfMonth(kafka_time), 'UTC') AS month FROM events "
        "WHERE kafka_time >= {kept_since:DateTime('UTC')} ORDER BY month",
        {"kept_since": _text(oldest)},
    )
    times = 0
    for (month,) in months:
        for rollup in rollups:
            cut = Cut(oldest, since=since, until=until, month=month.replace(tzinfo=UTC))
            times += await settle(store, rollup, cut, anyway=anyway)
    return times


async def agree(store: Store, place: Place, span: Span, sleep: Sleep) -> int:
    """Make every roll-up agree with a partition in the hours that a span of it touched; how many counts that took.

    For the partition's recorder alone: nobody else may insert into it meanwhile.
    """
    rows = await store.query(
        f"SELECT DISTINCT {HOUR} AS hour FROM events WHERE broker = {{broker:String}} AND topic = {{topic:String}} "
        "AND kafka_partition = {partition:UInt16} AND kafka_offset BETWEEN {first:UInt64} AND {last:UInt64}",
        {"first": span.first, "last": span.last, **_placed(place)},
    )
    if not rows:
        return 0
    hours = tuple(sorted(hour.replace(tzinfo=UTC) for (hour,) in rows))
    cut = Cut(await kept_since(store), hours=hours, place=place)
    return sum([await settle(store, rollup, cut, sleep=sleep) for rollup in ROLLUPS])


async def kept_since(store: Store) -> datetime:
    """The first month that the engine has surely not begun to drop, of the rows or of their numbers."""
    ((now,),) = await store.query("SELECT now('UTC')")
    found = [await kept_days(store, table) for table in ("events", *ROLLUPS)]
    days = min((days for days in found if days is not None), default=None)
    if days is None:
        return EPOCH
    oldest = now.replace(tzinfo=UTC) - timedelta(days=days)
    return datetime(oldest.year + oldest.month // 12, oldest.month % 12 + 1, 1, tzinfo=UTC)


async def _filling(store: Store, rollup: str) -> str:
    """The SELECT that fills a roll-up, as the engine has it."""
    rows = await store.query(
        "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
        {"name": FILLING.format(rollup)},
    )
    if not rows:
        raise Permanent(f"ClickHouse has no {FILLING.format(rollup)}", "Run 'setpoint migrate'")
    return str(rows[0][0])


def _counted(filling: str, cut: Cut) -> str:
    """The roll-up's rows as the cut's own rows make them."""
    return SOURCE.sub(f"FROM (SELECT * FROM events WHERE {_of_events(cut)}) AS events", filling, count=1)


def _of_events(cut: Cut) -> str:
    month = "kafka_time >= {month:DateTime('UTC')} AND kafka_time < {next_month:DateTime('UTC')}" if cut.month else ""
    return _all("kafka_time >= {kept_since:DateTime('UTC')}", month, *_hours(cut, HOUR), *_where(cut))


def _of_rollup(cut: Cut) -> str:
    month = "month = toDate({month:DateTime('UTC')})" if cut.month else ""
    return _all("month >= toDate({kept_since:DateTime('UTC')})", month, *_hours(cut, "hour"), *_where(cut))


def _hours(cut: Cut, hour: str) -> Iterator[str]:
    if cut.since is not None:
        yield f"{hour} >= {{since:DateTime('UTC')}}"
    if cut.until is not None:
        yield f"{hour} < {{until:DateTime('UTC')}}"
    if cut.hours is not None:
        yield f"{hour} IN ({{hours:Array(DateTime('UTC'))}})"


def _where(cut: Cut) -> Iterator[str]:
    if cut.place is not None:
        yield "broker = {broker:String} AND topic = {topic:String} AND kafka_partition = {partition:UInt16}"


def _all(*conditions: str) -> str:
    return " AND ".join(condition for condition in conditions if condition)


def _values(cut: Cut) -> dict[str, Any]:
    values: dict[str, Any] = {"kept_since": _text(cut.kept_since)}
    values |= {name: _text(time) for name in ("since", "until", "month") if (time := getattr(cut, name)) is not None}
    if cut.month is not None:
        values["next_month"] = _text((cut.month + timedelta(days=32)).replace(day=1))
    if cut.hours is not None:
        values["hours"] = [_text(hour) for hour in cut.hours]
    return values | (_placed(cut.place) if cut.place is not None else {})


def _placed(place: Place) -> dict[str, Any]:
    return {"broker": place.broker, "topic": place.topic, "partition": place.partition}


def _text(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
