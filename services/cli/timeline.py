"""`setpoint timeline TARGET`: everything that happened to one object, in order."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import click

from schemas.target import Target
from services.cli.history import Ago, clickhouse_option, clickhouse_url
from services.cli.printing import output_option, print_rows
from services.recorder.queries import TargetPattern, timeline
from services.recorder.reader import open_reader
from services.runtime.errors import UsageError

Row = dict[str, Any]
NO_END = datetime(2261, 1, 1, tzinfo=UTC)
COLUMNS = {"time": "TIME", "what": "WHAT", "detail": "DETAIL", "by": "BY", "subject": "OBJECT"}


@click.command(
    name="timeline",
    epilog="Example: setpoint timeline deployment/payments/api --since 24h",
    short_help="everything that happened to one object, in order",
)
@click.argument("target")
@click.option("--since", type=Ago(), default="7d", show_default=True, help="How far back, or from when on.")
@click.option("--until", type=Ago(), help="Until when. Default: no end.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True, help="The newest so many.")
@clickhouse_option
@output_option
def command(
    target: str, since: datetime, until: datetime | None, limit: int, clickhouse: str | None, output: str
) -> int:
    """Show changes, drifts, alerts, decisions, approvals and actions of one object.

    Where it was acted on because of an alert about something else, such as one of its pods, that alert is there too.

    TARGET is kind/namespace/name (deployment/payments/api), kind/name for an object without a namespace, or the full
    form that events carry: cluster/group/kind/namespace/name.
    """
    pattern = parse_target(target)
    rows = asyncio.run(_read(clickhouse_url(clickhouse), pattern, since, until or NO_END, limit))
    entries = [entry(row) for row in rows]
    several = len({row["subject"] for row in rows}) > 1
    columns = COLUMNS if several else {name: title for name, title in COLUMNS.items() if name != "subject"}
    print_rows(entries if output == "table" else rows, output, columns, empty="nothing recorded of it")
    return 0


def parse_target(text: str) -> TargetPattern:
    """Read a target from the command line. Raises UsageError with the forms there are."""
    parts = text.split("/")
    if len(parts) == 5 and all(parts):
        target = Target.from_subject(text)
        return TargetPattern(target.kind, target.namespace, target.name, target.cluster, target.group)
    if len(parts) in (2, 3) and all(parts):
        return TargetPattern(parts[0], parts[1] if len(parts) == 3 else "", parts[-1])
    forms = "kind/namespace/name, kind/name or cluster/group/kind/namespace/name"
    raise UsageError(f"no target: {text!r}", f"Write {forms}")


def entry(row: Row) -> Row:
    """A row as people read it: time, what, detail, by whom; the words are the view's."""
    told = {"time": row["event_time"], "what": row["what"], "detail": row["detail"]}
    return {**told, "by": row["who"], "subject": row["subject"]}


async def _read(url: str, pattern: TargetPattern, since: datetime, until: datetime, limit: int) -> list[Row]:
    async with open_reader(url) as reader:
        return await reader.rows(timeline(pattern, since, until, limit))
