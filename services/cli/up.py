"""`setpoint up`: every service in one process, against the cluster that was named."""

import asyncio
import os
import secrets
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from services.cli.options import cluster_options, files_options, gateway_options, kafka_option
from services.cli.progress import shown_progress
from services.local.platform import Platform, platform
from services.local.prepare import prepare_kafka
from services.local.report_page.serve import serve_report
from services.local.running import Running, announced
from services.local.signals import stop_event
from services.recorder.dashboards.all import DASHBOARDS
from services.runtime.clock import SystemClock
from services.runtime.collector import collect_seldom
from services.runtime.logging import configure_logging
from services.runtime.settings import Settings, load_settings


@click.command(
    name="up",
    epilog="Example: setpoint up --context staging --baselines ./platform --policies ./policies",
    short_help="run every service on this machine against the cluster you name",
)
@cluster_options
@files_options
@kafka_option
@click.option("--clickhouse", metavar="URL", help="A server's URL. Default: the embedded engine, in --data.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where a broker and an engine of our own keep their data.",
)
@gateway_options
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
def command(data: Path | None, **given: Any) -> int:
    """Watch, decide, act and record until Ctrl-C.

    Only the cluster that --context names is touched, and without policies it is only observed. Without --baselines its
    Helm releases and what kubectl applied are compared, whatever policies say only to observe. A broker and an engine
    that are not named are started on this machine's loopback; their data is kept from one run to the next. With
    --gateway-secrets other systems can send to the gateway.
    """
    settings = load_settings(**given)
    settings.need("context", "--context NAME")
    collect_seldom()
    return asyncio.run(_up(settings, (data or default_folder(settings)).absolute()))


def default_folder(settings: Settings) -> Path:
    """`${XDG_STATE_HOME:-~/.local/state}/setpoint/<cluster>`."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "setpoint" / str(settings.cluster or settings.context).replace("/", "_")


async def _up(settings: Settings, folder: Path) -> int:
    notes = Console(stderr=True)
    stop = stop_event()
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    log = folder / "logs" / "setpoint.log"
    kafka = None
    if settings.kafka is None:
        with shown_progress(notes) as progress:
            kafka = await prepare_kafka(progress)
    if "mask_key" not in settings.model_fields_set:
        settings = settings.model_copy(update={"mask_key": kept_key(folder / "mask.key")})
    configure_logging(settings.log_level, settings.log_format, log)
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(platform(settings, folder, kafka))
        stack.enter_context(announced(_announcement(running, folder)))
        report = await stack.enter_async_context(serve_report(running.clickhouse, DASHBOARDS, SystemClock()))
        _say(notes, running, log, report)
        waiting = [asyncio.create_task(stop.wait()), asyncio.create_task(running.failed.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if running.reason:
            raise running.reason
    return 0


def kept_key(path: Path) -> str:
    """The key of the hashes that stand for Secrets: made once, kept beside the data, readable by its owner only."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


def _announcement(running: Platform, folder: Path) -> Running:
    settings = running.settings
    return Running(
        pid=os.getpid(), cluster=running.cluster.name, context=str(settings.context),
        kubeconfig=str(settings.kubeconfig) if settings.kubeconfig else None, kafka=running.kafka,
        clickhouse=running.clickhouse, folder=str(folder), partitions=settings.partitions,
        ports=running.ports,
    )  # fmt: skip


def _say(notes: Console, running: Platform, log: Path, report: str) -> None:
    mode = "by your policies" if running.settings.policies else "observe only: no policies were given"
    rows = [
        ("cluster", f"{running.cluster.name} at {running.cluster.session.host} ({mode})"),
        ("broker", running.kafka),
        ("history", running.clickhouse),
        ("report", f"{report} (live, in a browser)"),
        *([("gateway", running.settings.gateway_listen)] if running.settings.gateway_secrets else []),
        ("log", str(log)),
        *((name, f"http://127.0.0.1:{port}/ready") for name, port in running.ports.items()),
    ]
    for name, value in rows:
        notes.print(f"{name:11}{value}", highlight=False, soft_wrap=True)
    notes.print("Look with 'setpoint drift' and 'setpoint timeline'. Ctrl-C ends it.", highlight=False)
