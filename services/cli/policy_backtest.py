"""`setpoint policy backtest`: what policies would have made of the recorded past."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.progress import track

from schemas.events import parse_event
from schemas.target import Target
from services.cli.history import Ago, clickhouse_option, clickhouse_url
from services.cli.policy_rules import policies_option, rules_at
from services.cli.printing import output_option, print_data, print_rows
from services.reconciler.actions.notify import plain
from services.reconciler.policies.backtest import Line, Report, Trigger
from services.reconciler.policies.backtest import backtest as play
from services.reconciler.policies.rehearsal import Supposed
from services.reconciler.policies.supposing import target_of
from services.recorder.reader import open_reader
from services.recorder.triggers import acted_on, triggers
from services.runtime.settings import Settings

COLUMNS = {
    "policy": "POLICY", "mode": "MODE", "says": "WOULD", "reason": "BECAUSE", "count": "TIMES", "first": "FIRST",
    "last": "LAST", "targets": "TARGETS",
}  # fmt: skip
MOST = 1_000_000
Row = Mapping[str, Any]


@click.command(
    name="backtest", epilog="Example: setpoint policy backtest --since 7d --policies ./policies",
    short_help="what policies would have done",
)  # fmt: skip
@click.option("--since", type=Ago(), default="7d", show_default=True, help="How far back, or from when on.")
@click.option("--until", type=Ago(), default="0s", show_default="now", help="Until when.")
@policies_option
@click.option("--cluster", help="Only this one. Default: all that are recorded.")
@click.option("--helped", is_flag=True, help="Suppose that what is done ends the alert it was done for.")
@click.option("--approved", is_flag=True, help="Suppose that people say yes. Default: nobody answers.")
@click.option("--limit", type=click.IntRange(1, MOST), default=200_000, show_default=True, help="The oldest so many.")
@clickhouse_option
@output_option
def backtest(
    since: datetime, until: datetime, policies: Path | None, cluster: str | None, helped: bool, approved: bool,
    limit: int, clickhouse: str | None, output: str,
) -> int:  # fmt: skip
    """Play recorded drifts, alerts, pauses and hours through POLICIES as if all of them enforced.

    Decisions and limits are the reconciler's own; the cluster is not asked, and every action is supposed to work.
    Alerts end when they ended, whatever would have been done about them. Nothing is written anywhere.
    """
    rules, settings = rules_at(policies)
    rows, subjects = asyncio.run(read_past(clickhouse_url(clickhouse), since, until, cluster, limit))
    played, unread = read_triggers(rows, subjects)
    supposed = Supposed(helped, approved, settings.environment)
    notes = Console(stderr=True)
    shown = track(played, "playing", console=notes, transient=True, disable=not notes.is_terminal)
    report = play(
        rules, shown, since=since, until=until, bounds=bounds_of(settings), supposed=supposed
    )  # fmt: skip
    _print(report, unread, output)
    if len(rows) == limit:
        click.echo(f"Only the oldest {limit} were played: name a later --since, or a higher --limit.", err=True)
    return 0


def bounds_of(settings: Settings) -> dict[str, Any]:
    """What a reconciler with these settings may touch, its cluster aside."""
    return {
        "protected": frozenset(settings.protected_namespaces), "storm_max": settings.storm_max,
        "storm_within": settings.storm_within,
    }  # fmt: skip


def read_triggers(rows: Sequence[Row], subjects: Mapping[str, Sequence[str]]) -> tuple[list[Trigger], int]:
    """Recorded rows as triggers, and how many of them nobody can read any more."""
    found, unread = [], 0
    for row in rows:
        try:
            event = parse_event(row["payload"].encode())
        except ValidationError:
            event = None
        if event is None:
            unread += 1
            continue
        known = subjects.get(getattr(event.data, "alert_id", ""), ())
        found.append(Trigger(row["event_time"], row["cluster"], event, tuple(_targets(known))))
    return found, unread


def _targets(subjects: Sequence[str]) -> list[Target]:
    return [target_of(subject) for subject in sorted(subjects)]


def _print(report: Report, unread: int, output: str) -> None:
    if output != "table":
        print_data({**asdict(report), "unread": unread}, output)
        return
    print_rows([_row(line) for line in report.lines], output, COLUMNS, empty="there are no policies")
    notes = [
        f"{report.triggers} triggers were played",
        *([f"{report.assumed} alerts' workloads were assumed from their pods' names"] if report.assumed else []),
        *([f"{unread} records could not be read"] if unread else []),
    ]
    click.echo("; ".join(notes))


def _row(line: Line) -> dict[str, Any]:
    more = f" and {line.distinct - len(line.targets)} more" if line.distinct > len(line.targets) else ""
    actions = ", ".join(sorted(line.actions))
    says = f"{line.verdict}: {actions}" if actions and line.verdict else str(line.verdict or "never asked")
    return {
        "policy": line.policy or "(none)", "mode": line.mode, "says": says, "reason": line.reason,
        "count": line.count, "first": line.first, "last": line.last, "targets": plain(", ".join(line.targets)) + more,
    }  # fmt: skip


async def read_past(
    url: str, since: datetime, until: datetime, cluster: str | None, limit: int
) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Recorded triggers in order, and by alert what was acted on. Raises Temporary where ClickHouse is away."""
    async with open_reader(url) as reader:
        rows = await reader.rows(triggers(since, until, cluster, limit))
        subjects = await reader.rows(acted_on(since))
    return rows, {row["alert_id"]: row["subjects"] for row in subjects}
