"""`setpoint timeline TARGET`: everything that happened to one object, in order."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from schemas.target import Target
from services.cli.history import Ago, clickhouse_option, clickhouse_url
from services.cli.printing import output_option, print_rows
from services.recorder.queries import TargetPattern, timeline
from services.recorder.reader import open_reader
from services.runtime.errors import UsageError

Row = dict[str, Any]
COLUMNS = {"time": "TIME", "what": "WHAT", "detail": "DETAIL", "by": "BY", "subject": "OBJECT"}


@click.command(
    name="timeline",
    epilog="Example: setpoint timeline deployment/payments/api --since 24h",
    short_help="everything that happened to one object, in order",
)
@click.argument("target")
@click.option("--since", type=Ago(), default="7d", show_default=True, help="How far back, or from when on.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True, help="The newest so many.")
@clickhouse_option
@output_option
def command(target: str, since: datetime, limit: int, clickhouse: str | None, output: str) -> int:
    """Show changes, drifts, decisions and actions of one object.

    TARGET is kind/namespace/name (deployment/payments/api), kind/name for an object without a namespace, or the full
    form that events carry: cluster/group/kind/namespace/name.
    """
    pattern = parse_target(target)
    rows = asyncio.run(_read(clickhouse_url(clickhouse), pattern, since, limit))
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
    """A row as people read it: time, what, detail, by whom."""
    event = row["event_type"].rpartition(".v")[0]
    what, detail = DESCRIBE.get(event, _other)(row)
    by = row["manager"] or ", ".join(row["managers"])
    return {"time": row["event_time"], "what": what, "detail": detail, "by": by, "subject": row["subject"]}


def _other(row: Row) -> tuple[str, str]:
    return row["event_type"], row["message"]


def _detected(row: Row) -> tuple[str, str]:
    what = "drift updated" if row["sequence"] else "drift detected"
    detail = "object is missing" if row["state"] == "missing" else ", ".join(row["paths"])
    return what, f"{detail} (baseline {row['baseline']}, {row['engine']})"


def _cleared(row: Row) -> tuple[str, str]:
    seconds = (row["event_time"] - row["onset"]).total_seconds()
    return "drift cleared", f"{row['reason']} after {seconds:.3g} s"


def _change(row: Row) -> tuple[str, str]:
    return row["state"], ", ".join(row["paths"])


def _decision(row: Row) -> tuple[str, str]:
    message = f": {row['message']}" if row["message"] else ""
    return f"decision {row['verdict']}", f"{row['reason']} (policy {row['policy'] or 'none'}, {row['mode']}){message}"


def _started(row: Row) -> tuple[str, str]:
    return "action started", f"attempt {row['sequence']} of policy {row['policy']}"


def _finished(row: Row) -> tuple[str, str]:
    times = f"plan {row['plan_ms']:.0f} ms, apply {row['apply_ms']:.0f} ms, verify {row['verify_ms']:.0f} ms"
    message = f": {row['message']}" if row["message"] else ""
    resumed = ", resumed" if row["resumed"] else ""
    return f"action {row['outcome']}", f"{row['reason']} ({times}{resumed}){message}"


DESCRIBE: dict[str, Callable[[Row], tuple[str, str]]] = {
    "drift.detected": _detected,
    "drift.cleared": _cleared,
    "change.observed": _change,
    "decision.made": _decision,
    "action.started": _started,
    "action.finished": _finished,
}


async def _read(url: str, pattern: TargetPattern, since: datetime, limit: int) -> list[Row]:
    async with open_reader(url) as reader:
        return await reader.rows(timeline(pattern, since, limit))
