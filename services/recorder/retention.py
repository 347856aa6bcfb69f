"""How long rows are kept: read from the engine, and changed there when a setting says otherwise.

The engine drops whole partitions (`ttl_only_drop_parts`), which are months of history and days of metrics, so nothing
finer can be asked for. A setting that is not given changes nothing: what the migrations say, or somebody set by hand.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from services.recorder.rendering import Layout, render
from services.recorder.store import Store
from services.recorder.tables import Table
from services.runtime.errors import UsageError

MONTH, DAY = timedelta(days=31), timedelta(days=1)
TTL = re.compile(r"\bTTL .+? \+ toIntervalDay\((\d+)\)")
DEFINITION = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"


class Ttl(NamedTuple):
    """A table, the time that its rows are dropped by, and how many days it keeps them longer than was asked for."""

    table: str
    by: str
    more: int = 0


class Kept(NamedTuple):
    """What one setting, `retention_<name>`, is about."""

    partition: timedelta
    tables: tuple[Ttl, ...]


KEPT: Mapping[str, Kept] = {
    "events": Kept(MONTH, (Ttl("events", "toDateTime(kafka_time)"),)),
    "rollups": Kept(MONTH, tuple(Ttl(name, "month") for name in ("events_hourly", "delay_hourly", "durations_hourly"))),
    "metrics": Kept(DAY, (Ttl("metrics", "toDateTime(kafka_time)"),)),
    "samples": Kept(
        MONTH, (Ttl("samples", "toDateTime(time)"), Ttl("histograms", "toDateTime(time)"), Ttl("series", "month", 40))
    ),
}
"""What is kept for a time of its own is one more entry, and one more setting of its name. A series is kept longer than
its samples, since it stands on the first day of their month."""


@dataclass(frozen=True)
class Change:
    """A table that is to keep its rows longer or shorter; days."""

    table: str
    by: str
    before: int | None
    after: int

    @property
    def sql(self) -> str:
        """The statement that does it."""
        return f"ALTER TABLE {self.table} MODIFY TTL {self.by} + INTERVAL {self.after} DAY"

    def __str__(self) -> str:
        before = "for ever" if self.before is None else f"{self.before} days"
        return f"{self.table} keeps its rows {self.after} days, not {before}"


def checked(wanted: Mapping[str, timedelta]) -> dict[str, int]:
    """Days by name, of what was set. Raises UsageError for what partitions are too coarse for."""
    days = {}
    for name, time in wanted.items():
        partition = KEPT[name].partition
        if time < partition or time % DAY:
            least = "a month" if partition == MONTH else "a day"
            raise UsageError(
                f"SETPOINT_RETENTION_{name.upper()} is finer than what is dropped at once, which is {least}",
                f"Set it to whole days, at least {partition.days}d",
            )
        days[name] = time.days
    return days


async def changes(store: Store, wanted: Mapping[str, timedelta]) -> tuple[Change, ...]:
    """What is to change; changes nothing. Tables that are not there yet count as kept for ever."""
    found = []
    for name, days in checked(wanted).items():
        for table, by, more in KEPT[name].tables:
            before = await kept_days(store, table)
            if before != days + more:
                found.append(Change(table, by, before, days + more))
    return tuple(found)


async def apply(store: Store, found: tuple[Change, ...], layout: Layout) -> None:
    """Make these changes. Raises Temporary when ClickHouse is away."""
    for change in found:
        await store.command(render(change.sql, layout))


async def kept_days(store: Store, table: str) -> int | None:
    """How long a table keeps its rows as of now; None for ever, or for no such table."""
    for (definition,) in await store.query(DEFINITION, {"name": table}):
        match = TTL.search(definition)
        return int(match[1]) if match else None
    return None


async def as_kept(store: Store, table: Table) -> Table:
    """The table with the retention that the engine has now, where it is one whose rows tell their age."""
    days = await kept_days(store, table.name) if table.kept_days is not None else None
    return table if days is None else table.kept(days)
