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
SHORT = 8
"""Letters of an id that people read."""


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
    """Show changes, drifts, alerts, decisions, approvals and actions of one object.

    Where it was acted on because of an alert about something else, such as one of its pods, that alert is there too.

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
    by = ", ".join(row["people"]) or row["manager"] or ", ".join(row["managers"])
    if row["users"]:
        by = f"{by} ({', '.join(row['users'])})".lstrip()
    return {"time": row["event_time"], "what": what, "detail": detail, "by": by, "subject": row["subject"]}


STATES = {"missing": "object is missing", "unwanted": "object should not be there", "unjudged": "no verdict"}


def _other(row: Row) -> tuple[str, str]:
    return row["event_type"], row["message"]


def _detected(row: Row) -> tuple[str, str]:
    what = "drift updated" if row["sequence"] else "drift detected"
    detail = STATES.get(row["state"]) or ", ".join(row["paths"])
    source = row["baseline"] + (f" at {row['revision'][:12]}" if row["revision"] else "")
    why = f", {row['reason']}: {row['message']}" if row["reason"] else ""
    return what, f"{detail} (baseline {source}, {row['engine']}{why})"


def _cleared(row: Row) -> tuple[str, str]:
    seconds = (row["event_time"] - row["onset"]).total_seconds()
    return "drift cleared", f"{row['reason']} after {seconds:.3g} s"


def _attributed(row: Row) -> tuple[str, str]:
    paths = [path or "the whole object" for path in row["paths"]]
    return "drift attributed", f"{', '.join(paths)} (by audit, after its end)"


def _change(row: Row) -> tuple[str, str]:
    return row["state"], ", ".join(row["paths"])


def _fired(row: Row) -> tuple[str, str]:
    return f"alert {row['severity']}", f"{row['alert']}: {row['words']}".rstrip(": ")


def _resolved(row: Row) -> tuple[str, str]:
    seconds = (row["event_time"] - row["onset"]).total_seconds()
    return "alert resolved", f"{row['alert']} after {seconds:.3g} s"


def _decision(row: Row) -> tuple[str, str]:
    message = f": {row['message']}" if row["message"] else ""
    detail = f"{row['reason']} (policy {row['policy'] or 'none'}, {row['mode']}{_what(row)}){message}"
    return f"decision {row['verdict']}", detail


def _what(row: Row) -> str:
    """The action and its object, where events of its time name them."""
    on = f" on {row['acted_on']}" if row["acted_on"] else ""
    return f", {row['action']}{on}" if row["action"] else ""


def _asked(row: Row) -> tuple[str, str]:
    return "approval asked", f"{row['action']} by policy {row['policy']}, question {row['approval_id'][:SHORT]}"


def _answered(row: Row) -> tuple[str, str]:
    return "approval answered", f"{row['words']}, question {row['approval_id'][:SHORT]}"


def _refused(row: Row) -> tuple[str, str]:
    return "answer refused", f"{row['words']}, question {row['approval_id'][:SHORT]}"


def _closed(row: Row) -> tuple[str, str]:
    note = f": {row['words']}" if row["words"] else ""
    return f"approval {row['outcome']}", f"question {row['approval_id'][:SHORT]}{note}"


def _started(row: Row) -> tuple[str, str]:
    takes_back = f", takes back {row['undoes'][:SHORT]}" if row["undoes"] else ""
    return "action started", f"attempt {row['sequence']} of policy {row['policy']}{_what(row)}{takes_back}"


def _finished(row: Row) -> tuple[str, str]:
    times = f"plan {row['plan_ms']:.0f} ms, apply {row['apply_ms']:.0f} ms, verify {row['verify_ms']:.0f} ms"
    message = f": {row['message']}" if row["message"] else ""
    resumed = ", resumed" if row["resumed"] else ""
    return f"action {row['outcome']}", f"{row['reason']} ({times}{_what(row)}{resumed}){message}"


def _kept(row: Row) -> tuple[str, str]:
    return "evidence kept", row["words"]


def _told(row: Row) -> tuple[str, str]:
    return "people told", row["message"]


DESCRIBE: dict[str, Callable[[Row], tuple[str, str]]] = {
    "drift.detected": _detected,
    "drift.cleared": _cleared,
    "drift.attributed": _attributed,
    "change.observed": _change,
    "decision.made": _decision,
    "action.started": _started,
    "action.finished": _finished,
    "alert.fired": _fired,
    "alert.resolved": _resolved,
    "approval.requested": _asked,
    "approval.answered": _answered,
    "approval.refused": _refused,
    "approval.closed": _closed,
    "evidence.kept": _kept,
    "people.told": _told,
}


async def _read(url: str, pattern: TargetPattern, since: datetime, limit: int) -> list[Row]:
    async with open_reader(url) as reader:
        return await reader.rows(timeline(pattern, since, limit))
