"""The database as this version and its settings want it: migrations, and how long rows are kept.

`setpoint migrate` and the recorder's start bring it there. With `SETPOINT_MIGRATE=refuse` the recorder does not, for
who gives it no right to create tables: it says what to run instead.
"""

from dataclasses import dataclass
from datetime import timedelta

from services.recorder import retention
from services.recorder.migrations import Migration, all_migrations, migrate, pending, read_applied, refuse_older
from services.recorder.rendering import Layout
from services.recorder.store import Store
from services.runtime.settings import Settings


@dataclass(frozen=True)
class Wanted:
    """What the settings say of it. `kept` has only what was set."""

    layout: Layout
    kept: dict[str, timedelta]


@dataclass(frozen=True)
class Steps:
    """What is, or was, to be done, in this order."""

    migrations: tuple[Migration, ...]
    changes: tuple[retention.Change, ...]

    def __bool__(self) -> bool:
        return bool(self.migrations or self.changes)


def wanted_of(settings: Settings) -> Wanted:
    """Raises UsageError for a name or a time that cannot be meant."""
    kept = {name: time for name in retention.KEPT if (time := getattr(settings, f"retention_{name}")) is not None}
    retention.checked(kept)
    return Wanted(Layout(settings.clickhouse_cluster, settings.clickhouse_replicated), kept)


async def plan(store: Store, wanted: Wanted) -> Steps:
    """What would be done; changes nothing. Raises Permanent for a database that is newer than this version."""
    todo = pending(all_migrations(), await read_applied(store))
    return Steps(todo, await retention.changes(store, wanted.kept))


async def bring_up(store: Store, wanted: Wanted) -> Steps:
    """Do it, and return what was done. Raises Permanent as `plan` does, Temporary when ClickHouse is away."""
    applied = await migrate(store, layout=wanted.layout)
    changes = await retention.changes(store, wanted.kept)
    await retention.apply(store, changes, wanted.layout)
    return Steps(applied, changes)


async def insist(store: Store) -> None:
    """Raise Permanent for a database that is older or newer than this version, and change nothing."""
    refuse_older(pending(all_migrations(), await read_applied(store)))
