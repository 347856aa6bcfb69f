"""The schema's own history: numbered SQL files, each applied once, in order, and never changed afterwards.

A file is `NNNN_name.sql`; statements in it are separated by a line `-- statement`. `schema_migrations` in the database
says what was applied, with the checksum of each file. Every statement may run twice (IF NOT EXISTS, OR REPLACE), so an
interrupted file is simply run again, and two processes that migrate at once do no harm. A statement that is nothing but
`-- fill NAME …` counts rows that are there already into these roll-ups.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from services.recorder.rendering import ONE_SERVER, Layout, render
from services.recorder.rollups import fill
from services.recorder.store import Store
from services.recorder.tables import Table
from services.runtime.errors import Permanent

FILE = re.compile(r"(\d{4})_(\w+)\.sql")
SEPARATOR = re.compile(r"^-- statement\s*$", re.MULTILINE)
FILL = re.compile(r"-- fill ([\w ]+)")
HISTORY = Table("schema_migrations", ("version", "name", "checksum"), ("UInt32", "String", "String"), ("version",))
HISTORY_DDL = """
CREATE TABLE IF NOT EXISTS schema_migrations
(version UInt32, name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'))
ENGINE = ReplacingMergeTree
ORDER BY version
"""


@dataclass(frozen=True)
class Migration:
    """One file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the text, so that a changed file is noticed."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def statements(self) -> tuple[str, ...]:
        """In order; comments stay, ClickHouse keeps none of them."""
        return tuple(part.strip() for part in SEPARATOR.split(self.text) if part.strip())


@dataclass(frozen=True)
class Applied:
    """One row of the history."""

    version: int
    name: str
    checksum: str


def all_migrations() -> tuple[Migration, ...]:
    """Those of this version, in order."""
    found = []
    for entry in files("services.recorder").joinpath("migrations").iterdir():
        match = FILE.fullmatch(entry.name)
        if match:
            found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda migration: migration.version))


def pending(known: Sequence[Migration], applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """What is still to do. Raises Permanent for a newer schema than this version's, and for a file that was changed
    after it was applied."""
    by_version = {migration.version: migration for migration in known}
    for entry in applied:
        ours = by_version.get(entry.version)
        if ours is None:
            raise Permanent(
                f"the database has migration {entry.version:04d}_{entry.name}, which this version does not know",
                "Run the version that applied it, or a newer one",
            )
        if ours.checksum != entry.checksum:
            raise Permanent(
                f"migration {entry.version:04d}_{entry.name} was changed after it was applied",
                "Restore the file, and put the change into a new migration",
            )
    done = {entry.version for entry in applied}
    return tuple(migration for migration in known if migration.version not in done)


async def read_applied(store: Store) -> tuple[Applied, ...]:
    """What the database says of itself; nothing for an empty one. Changes nothing."""
    mine = "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = {name:String}"
    if not await store.query(mine, {"name": HISTORY.name}):
        return ()
    rows = await store.query("SELECT version, name, checksum FROM schema_migrations FINAL ORDER BY version")
    return tuple(Applied(*row) for row in rows)


async def migrate(
    store: Store, known: Sequence[Migration] | None = None, layout: Layout = ONE_SERVER
) -> tuple[Migration, ...]:
    """Apply what is pending and return it. Raises Permanent as `pending` does, Temporary when ClickHouse is away."""
    todo = pending(known or all_migrations(), await read_applied(store))
    if todo:
        await store.command(render(HISTORY_DDL, layout))
    for migration in todo:
        for statement in migration.statements:
            await _run(store, statement, layout)
        row = (migration.version, migration.name, migration.checksum)
        await store.insert(HISTORY, [row], f"migration:{migration.version}:{migration.checksum}")
    return todo


def refuse_older(todo: Sequence[Migration]) -> None:
    """Raise Permanent where the schema is older than this version, for who may not change it."""
    if todo:
        raise Permanent(
            f"the database's schema is older than this version: {len(todo)} migrations are not applied, the first is "
            f"{todo[0].version:04d}_{todo[0].name}",
            "Run 'setpoint migrate' as a user that may create tables",
        )


async def _run(store: Store, statement: str, layout: Layout) -> None:
    filling = FILL.fullmatch(statement)
    if filling:
        await fill(store, filling[1].split())
    else:
        await store.command(render(statement, layout))
