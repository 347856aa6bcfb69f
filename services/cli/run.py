"""`setpoint run SERVICE`: one service as a process of its own, as in production."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import click

from services.cli.options import cluster_options, files_options, gateway_options, kafka_option, log_options
from services.kube.api.cluster import open_cluster
from services.kube.declaration.sources import declared_source, rule_source
from services.local.launch import (
    ON_A_CLUSTER,
    SERVICES,
    Surroundings,
    keep_running,
    new_health,
    patiently,
    until_stopped,
)  # fmt: skip
from services.local.signals import stop_event
from services.reconciler.policies.checking import wrongs
from services.runtime.clock import SystemClock
from services.runtime.collector import collect_seldom
from services.runtime.health import Health, serve_health
from services.runtime.instance import this_instance
from services.runtime.kafka import ensure_topics
from services.runtime.logging import configure_logging, get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings, load_settings
from services.runtime.tasks import run_until

NEEDS = {"recorder": "clickhouse", "gateway": "gateway_secrets"}


@click.command(
    name="run",
    epilog="Example: setpoint run recorder --kafka kafka:9092 --clickhouse http://writer@clickhouse:8123/setpoint",
    short_help="run one service, as in production",
)
@click.argument("service", type=click.Choice(SERVICES))
@cluster_options
@files_options
@kafka_option
@click.option("--clickhouse", metavar="URL", help="For the recorder. Default: SETPOINT_CLICKHOUSE.")
@click.option("--http-port", type=click.IntRange(0, 65535), help="For /live, /ready and /metrics; 0: a free one.")
@gateway_options
@click.option("--create-topics", is_flag=True, help="Create missing topics first.")
@log_options
def command(service: str, create_topics: bool, **given: Any) -> None:
    """Run SERVICE until SIGTERM: watcher, reconciler, recorder or gateway.

    Every option is also an environment variable SETPOINT_<OPTION>.
    """
    settings = load_settings(**given)
    configure_logging(settings.log_level, settings.log_format)
    collect_seldom()
    asyncio.run(_run(service, settings, create_topics))


async def _run(service: str, settings: Settings, create_topics: bool) -> None:
    settings.need("kafka", "--kafka")
    wanted = "context" if service in ON_A_CLUSTER else NEEDS[service]
    settings.need(wanted, "--" + wanted.replace("_", "-"))
    stop, clock = stop_event(), SystemClock()
    health, metrics = new_health(service, clock), Metrics(service, this_instance())
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve_health(health, metrics, settings.http_host, settings.http_port))
        if port is not None:
            get_log(service).info("health is served", host=settings.http_host, port=port)
        around = Surroundings(settings, clock, stop)
        await until_stopped(stop, _serve(stack, service, around, create_topics, health, metrics))


async def _serve(
    stack: AsyncExitStack, service: str, around: Surroundings, create_topics: bool, health: Health, metrics: Metrics
) -> None:
    """Wait for the parts that are away, also at the start, since they may all be started at once."""
    settings, clock = around.settings, around.clock
    if create_topics:
        await patiently(lambda: ensure_topics(settings), service, clock, health)
    if service in ON_A_CLUSTER:
        declared, rules = declared_source(settings), rule_source(settings, wrongs)
        place = settings.kubeconfig, str(settings.context), settings.cluster
        cluster = await patiently(lambda: open_cluster(*place), service, clock, health)
        stack.push_async_callback(cluster.close)
        around = replace(around, cluster=cluster, declared=declared, rules=rules)
    service_runs = keep_running(service, around, health, metrics)
    if service == "reconciler" and around.declared and around.cluster:  # a watcher follows them by itself
        declared, cluster = around.declared, around.cluster
        looking = declared.keep_looking(cluster, clock, get_log(service))
        await run_until(around.stop, service_runs, declared.keep_fresh(cluster, clock), looking)
    else:
        await service_runs
