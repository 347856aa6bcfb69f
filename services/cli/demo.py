"""`setpoint demo`: the main loop on a throwaway cluster, played and checked."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

import click
from rich.console import Console

from services.cli.progress import shown_progress
from services.kube.api.cluster import open_cluster
from services.local.alarms import Door, make_door
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.demo import play_all
from services.local.display import DataDisplay, Display, TextDisplay
from services.local.example import examples_folder, install
from services.local.folders import RunFolder, cache_root, run_folder
from services.local.platform import Platform, platform
from services.local.prepare import Parts, prepare_everything
from services.local.running import Running, announced
from services.local.signals import stopped
from services.local.stage import Stage
from services.runtime.clock import SystemClock
from services.runtime.logging import configure_logging
from services.runtime.settings import Settings, load_settings

CLUSTER = "demo"
CONTEXT = "setpoint-local"


@click.command(
    name="demo",
    epilog="Example: setpoint demo --output json > demo.json",
    short_help="show the main loop on a throwaway cluster",
)
@click.option("--keep", is_flag=True, help="Leave everything running until Ctrl-C, and say where.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(keep: bool, output: str) -> int:
    """Play drift and alerts on a real but throwaway control plane and broker, and watch Setpoint answer them.

    Nothing outside this machine's loopback is touched. The first run builds Kubernetes from source, which takes some
    ten minutes on two cores. Exit code 1 when a scene ends otherwise than it states.
    """
    return asyncio.run(_demo(keep, output))


async def _demo(keep: bool, output: str) -> int:
    began = time.monotonic()
    console, notes = Console(), Console(stderr=True)
    display: Display = DataDisplay(console) if output == "json" else TextDisplay(console)
    with shown_progress(notes) as progress:
        parts = await prepare_everything(progress)
    with run_folder(cache_root()) as folder:
        configure_logging("info", "json", folder.logs / "setpoint.log")
        try:
            good = await _on_parts(parts, folder, display, keep, notes, began)
        except BaseException:
            folder.keep("the demo failed")
            notes.print(f"The logs are kept in {folder.logs}", highlight=False, soft_wrap=True)
            raise
        if not good:
            folder.keep("a scene ended otherwise than it states")
            notes.print(f"The logs are kept in {folder.logs}", highlight=False, soft_wrap=True)
    return 0 if good else 1


async def _on_parts(
    parts: Parts, folder: RunFolder, display: Display, keep: bool, notes: Console, began: float
) -> bool:
    async with AsyncExitStack() as stack:
        broker = LocalBroker(folder.path, parts.kafka.jars, parts.kafka.java)
        plane = LocalControlPlane(folder.path, parts.control_plane.binaries, parts.control_plane.stages)
        stack.push_async_callback(_stop, broker, plane)
        await asyncio.gather(broker.start(), plane.start())
        door = make_door(CLUSTER, folder.path / "gateway-secrets")
        settings = _settings(broker, plane, door)
        await _install(settings)
        running = await stack.enter_async_context(platform(settings, folder.path, None))
        await running.until_ready()
        stage = _stage(running, plane, parts.control_plane.kubectl, door)
        stack.enter_context(announced(_announcement(running, plane, folder.path)))
        good = await play_all(stage, display, since=began, kept=keep)
        if keep:
            notes.print("Everything goes on running. Ctrl-C ends it.", highlight=False)
            await stopped()
        return good


def _settings(broker: LocalBroker, plane: LocalControlPlane, door: Door) -> Settings:
    examples = examples_folder()
    return load_settings(
        kafka=broker.bootstrap, kubeconfig=plane.kubeconfig, context=CONTEXT, cluster=CLUSTER,
        baselines=examples / "baselines.yaml", policies=examples / "policies", mask_key="setpoint-demo-only",
        gateway_secrets=door.folder, gateway_listen=door.listen,
    )  # fmt: skip


async def _install(settings: Settings) -> None:
    cluster = await open_cluster(settings.kubeconfig, CONTEXT, CLUSTER)
    try:
        for folder in ("platform", "bookstore"):
            await install(cluster, examples_folder() / folder, SystemClock())
    finally:
        await cluster.close()


def _stage(running: Platform, plane: LocalControlPlane, kubectl: Path, door: Door) -> Stage:
    return Stage(
        cluster=CLUSTER, kubeconfig=plane.kubeconfig, api_url=plane.url, admin_token=plane.admin_token,
        ca_file=plane.ca_file, kafka=running.kafka, clickhouse=running.clickhouse, kubectl=kubectl,
        door=door,
    )  # fmt: skip


def _announcement(running: Platform, plane: LocalControlPlane, folder: Path) -> Running:
    import os

    return Running(
        pid=os.getpid(), cluster=CLUSTER, context=CONTEXT, kubeconfig=str(plane.kubeconfig), kafka=running.kafka,
        clickhouse=running.clickhouse, folder=str(folder), partitions=running.settings.partitions,
        ports=running.ports,
    )  # fmt: skip


async def _stop(broker: LocalBroker, plane: LocalControlPlane) -> None:
    await asyncio.gather(broker.stop(), plane.stop())
