"""What ClickHouse holds, read from a folder that no process has open any more.

One process can open one folder in its life, so reading is a process of its own:
python -m tests.chaos.history FOLDER     prints every row of every table and view as JSON
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.recorder.store import open_store

VIEWS = ("events", "metrics", "completeness", "decisions", "actions", "drift_intervals", "time_to_correct", "changes")
Row = dict[str, Any]


@dataclass(frozen=True)
class History:
    """Rows by table or view. `text` is all of it as it was printed."""

    tables: dict[str, list[Row]]
    text: str

    def __getitem__(self, name: str) -> list[Row]:
        return self.tables[name]


async def read_history(folder: Path) -> History:
    """Raises AssertionError with the process' own words where it cannot be read."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(folder), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    text = output.decode()
    return History(json.loads(text), text)


async def _print(folder: str) -> None:
    store = await open_store(f"chdb://{folder}")
    found = {}
    for name in VIEWS:
        described = await store.query(f"DESCRIBE TABLE {name}")
        columns = [str(column) for column, _, default, *_ in described if default != "EPHEMERAL"]
        rows = await store.query(f"SELECT {', '.join(columns)} FROM {name}")
        found[name] = [dict(zip(columns, row, strict=True)) for row in rows]
    await store.close()
    print(json.dumps(found, default=_text))


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    asyncio.run(_print(sys.argv[1]))
