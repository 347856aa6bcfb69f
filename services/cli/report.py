"""`setpoint report`: the dashboards without Grafana, on the terminal or as one HTML file."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from services.cli.history import Ago, clickhouse_option, clickhouse_url
from services.cli.printing import PIPE_WIDTH
from services.cli.progress import counting
from services.cli.reportview import show
from services.local.report_page.asking import Look, Page, ask
from services.local.report_page.page import render
from services.recorder.dashboards.all import DASHBOARDS
from services.recorder.dashboards.model import Dashboard
from services.recorder.reader import open_reader
from services.runtime.errors import UsageError

PREFIX = "setpoint-"
NAMES = tuple(dashboard.uid.removeprefix(PREFIX) for dashboard in DASHBOARDS)


@click.command(
    name="report",
    epilog="Example: setpoint report --since 7d --html report.html",
    short_help="the dashboards without Grafana: on the terminal, or as one HTML file",
)
@click.option("--since", type=Ago(), default="24h", show_default=True, help="How far back, or from when on.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write one page that needs no network.")
@click.option("--dashboard", "named", type=click.Choice(NAMES), multiple=True, help="This one only; may be repeated.")
@click.option("--cluster", multiple=True, help="Of this cluster only; may be repeated.")
@click.option("--namespace", multiple=True, help="In this namespace only; may be repeated.")
@clickhouse_option
def command(
    since: datetime,
    html: Path | None,
    named: tuple[str, ...],
    cluster: tuple[str, ...],
    namespace: tuple[str, ...],
    clickhouse: str | None,
) -> int:
    """Show what the Grafana dashboards show, by the same SQL.

    The HTML file has everything in it: it opens without a network, on a phone, in light and dark. A running 'setpoint
    up' serves the same page live.

    Exit code 3 when a panel could not be read; it says why in its place.
    """
    until = datetime.now(UTC)
    if since >= until:
        raise UsageError("--since is not in the past", "Write a duration such as 24h, or a time that is over")
    look = Look(since, until, _chosen(cluster=cluster, namespace=namespace))
    page = asyncio.run(_read(clickhouse_url(clickhouse), _dashboards(named), look))
    if html is not None:
        html.write_text(render(page), encoding="utf-8")
        click.echo(f"{html}: {len(page.answers)} panels, {html.stat().st_size // 1024} KiB")
    else:
        show(_console(), page)
    failed = [answer.panel.title for answer in page.answers if answer.problem]
    if failed:
        click.echo(f"setpoint: could not be read: {', '.join(failed)}", err=True)
    return 3 if failed else 0


def _chosen(**given: Sequence[str]) -> Mapping[str, Sequence[str]]:
    return {name: values for name, values in given.items() if values}


def _dashboards(named: Sequence[str]) -> list[Dashboard]:
    return [one for one in DASHBOARDS if not named or one.uid.removeprefix(PREFIX) in named]


async def _read(url: str, dashboards: Sequence[Dashboard], look: Look) -> Page:
    total = sum(len(dashboard.panels) for dashboard in dashboards)
    with counting("panels", total) as tell:
        async with open_reader(url) as reader:
            return await ask(reader, dashboards, look, look.until, tell)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=PIPE_WIDTH, no_color=True, highlight=False)
