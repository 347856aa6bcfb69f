"""`setpoint doctor`: each part reachable, rights present, services ready, and the record complete by offsets."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from schemas.topics import RECORDER_READS
from services.cli.checks import Check
from services.cli.doctor_services import named, services
from services.cli.options import EXISTING, cluster_options, kafka_option
from services.cli.printing import output_option, print_data
from services.kube.api.cluster import Cluster, open_cluster
from services.kube.declaration.declared import look_up
from services.local.running import Running, the_running
from services.recorder.migrations import all_migrations, pending, read_applied
from services.recorder.proof import Proof, prove, prove_rollups
from services.recorder.queries import unfinished_actions
from services.recorder.reader import open_reader
from services.recorder.rollups import ROLLUPS, Difference
from services.recorder.store import open_store
from services.runtime.errors import SetpointError, Temporary, UsageError
from services.runtime.kafka import KafkaError, admin, shared_partitions, started
from services.runtime.settings import Settings, load_settings
from services.runtime.topics import all_topics

READ, WRITE = ("get", "list", "watch"), ("create", "patch")
NEWEST = 1_000_000
GAPS_SHOWN = 10


@click.command(
    name="doctor",
    epilog="Example: setpoint doctor --kafka kafka:9092 --clickhouse http://reader@clickhouse:8123/setpoint",
    short_help="check every part: reachable, rights, lag, completeness of the record",
)
@cluster_options
@kafka_option
@click.option("--baselines", type=EXISTING, help="To check the rights that these need.")
@click.option("--clickhouse", metavar="URL", help="Default: SETPOINT_CLICKHOUSE, else the running 'up'.")
@click.option("--service", "addresses", multiple=True, metavar="URL", help="A service's health address. Repeatable.")
@click.option("--newest", type=click.IntRange(1), default=NEWEST, show_default=True, help="Records a partition.")
@click.option("--record", is_flag=True, help="Only prove the record: every offset, and the hourly numbers.")
@click.option("--days", type=click.IntRange(1), default=8, show_default=True, help="Whose hourly numbers are proved.")
@output_option
def command(newest: int, record: bool, days: int, output: str, addresses: tuple[str, ...], **given: Any) -> int:
    """Look at every part that was named, or at those of the 'setpoint up' that runs here. Changes nothing.

    --record reads the topics and compares them with ClickHouse, offset by offset, names every gap, and compares the
    hourly numbers with their rows.

    Exit code 1 when something is wrong, 3 when a part does not answer.
    """
    settings, asked = load_settings(**given), named(addresses)
    running = the_running(settings.cluster) if not (settings.kafka and settings.clickhouse) else None
    if running:
        settings, asked = settings.model_copy(update=_given(settings, running)), {**running.services(), **asked}
    if not (settings.kafka or settings.context or settings.clickhouse or asked):
        raise UsageError(
            "no part was named and no 'setpoint up' runs here", "Give --kafka, --context, --clickhouse or --service"
        )
    if record and not (settings.kafka and settings.clickhouse):
        raise UsageError("the record is proved against its topics", "Give --kafka and --clickhouse")
    checks = asyncio.run(_all(settings, asked, newest, timedelta(days=days), only_record=record))
    if output == "table":
        _show(Console(), checks)
    else:
        print_data([check._asdict() for check in checks], output)
    if any(check.away for check in checks):
        return 3
    return 0 if all(check.ok for check in checks) else 1


def _given(settings: Settings, running: Running) -> dict[str, Any]:
    return {
        "kafka": settings.kafka or running.kafka,
        "clickhouse": settings.clickhouse or running.clickhouse,
        "context": settings.context or running.context,
        "kubeconfig": settings.kubeconfig or (Path(running.kubeconfig) if running.kubeconfig else None),
        "cluster": settings.cluster or running.cluster,
    }


async def _all(
    settings: Settings, asked: Mapping[str, str], newest: int, since: timedelta, *, only_record: bool
) -> list[Check]:
    checks: list[Check] = []
    for part, wanted, look in (
        ("kafka", settings.kafka, _kafka(settings)),
        ("cluster", settings.context, _cluster(settings)),
        ("services", asked, services(asked)),
        ("clickhouse", settings.clickhouse, _clickhouse(settings)),
        ("record", settings.kafka and settings.clickhouse, _record(settings, newest)),
        ("roll-ups", settings.clickhouse, _rollups(settings, since)),
    ):
        if only_record and part not in ("record", "roll-ups"):
            continue
        if not wanted:
            checks.append(Check(part, "named", True, "not named, so not looked at"))
            continue
        try:
            checks += [check async for check in look]
        except (Temporary, KafkaError, OSError) as error:
            checks.append(Check(part, "reachable", False, str(error), "start it, or name the right one", away=True))
        except SetpointError as error:
            checks.append(Check(part, "usable", False, str(error)))
    return checks


async def _kafka(settings: Settings) -> AsyncIterator[Check]:
    async with started(admin(str(settings.kafka))) as client:
        yield Check("kafka", "reachable", True, str(settings.kafka))
        present = set(await client.list_topics())
        missing = [str(entry.name) for entry in all_topics() if entry.name not in present]
        yield Check("kafka", "topics", not missing, ", ".join(missing) or "all there", "setpoint topics --create")
        if not missing:
            count = await shared_partitions(client)
            yield Check("kafka", "partitions", True, f"{count} in every topic that is keyed by cluster")


async def _cluster(settings: Settings) -> AsyncIterator[Check]:
    cluster = await open_cluster(settings.kubeconfig, str(settings.context), settings.cluster)
    try:
        yield Check("cluster", "reachable", True, cluster.session.host)
        if settings.baselines:
            found = await look_up(cluster, settings.baselines)
            detail = "; ".join(found.problems) or f"{len(found.objects)} objects"
            yield Check("cluster", "baselines", not found.problems, detail, "correct what is named, or grant the right")
            kinds = {(key.group, key.kind) for key in found.objects}
            yield await _rights(cluster, kinds, READ, "observe", "grant get, list and watch on them")
            yield await _rights(cluster, kinds, WRITE, "fix", "grant create and patch on them, or only observe")
    finally:
        await cluster.close()


async def _rights(cluster: Cluster, kinds: set[tuple[str, str]], verbs: tuple[str, ...], what: str, fix: str) -> Check:
    lacking = []
    for group, kind in sorted(kinds):
        resource = cluster.catalogue.find(group, kind)
        if resource is None:
            lacking.append(f"{kind}: not served")
            continue
        lacking += [f"{verb} {resource.plural}" for verb in verbs if not await cluster.allowed(verb, resource)]
    return Check("cluster", f"rights to {what}", not lacking, ", ".join(lacking) or f"{len(kinds)} kinds", fix)


async def _clickhouse(settings: Settings) -> AsyncIterator[Check]:
    store = await open_store(str(settings.clickhouse), create=False)
    try:
        todo = pending(all_migrations(), await read_applied(store))
        detail = f"{len(todo)} migrations are not applied" if todo else "up to date"
        yield Check("clickhouse", "reachable", True, store.url.rpartition("@")[2])
        yield Check("clickhouse", "tables", not todo, detail, "setpoint migrate")
    finally:
        await store.close()


async def _record(settings: Settings, newest: int) -> AsyncIterator[Check]:
    group = f"{settings.group_prefix}-recorder"
    async with open_reader(str(settings.clickhouse)) as reader:
        proofs = await prove(str(settings.kafka), reader, group, newest)
        for topic in RECORDER_READS:
            yield _completeness(str(topic), [proof for proof in proofs if proof.topic == topic])
        left = await reader.rows(unfinished_actions())
        yield Check("record", "actions without an end", not left, f"{len(left)} under way", "look at setpoint timeline")


async def _rollups(settings: Settings, since: timedelta) -> AsyncIterator[Check]:
    store = await open_store(str(settings.clickhouse), create=False)
    try:
        found = await prove_rollups(store, since)
    finally:
        await store.close()
    for rollup in ROLLUPS:
        yield _agreement(rollup, [entry for entry in found if entry.rollup == rollup], since)


def _agreement(rollup: str, found: list[Difference], since: timedelta) -> Check:
    if not found:
        return Check("roll-ups", rollup, True, f"the last {since.days} days agree with their rows")
    hours = sorted({entry.hour for entry in found})
    first = found[0]
    detail = (
        f"{len(hours)} hours differ, first {hours[0]:%Y-%m-%dT%H:%MZ}: {first.topic}:{first.partition} counted "
        f"{first.counted}, has {first.rows}"
    )
    fix = f"setpoint migrate --rebuild-rollups --since {hours[0]:%Y-%m-%dT%H:%M:%SZ}"
    return Check("roll-ups", rollup, False, detail, fix)


def _completeness(topic: str, proofs: list[Proof]) -> Check:
    missing, doubled = sum(proof.missing for proof in proofs), sum(proof.doubled for proof in proofs)
    records, lag = sum(proof.records for proof in proofs), sum(proof.lag for proof in proofs)
    gaps = [f"{proof.partition}:{gap}" for proof in proofs for gap in proof.gaps]
    named = f" at {', '.join(gaps[:GAPS_SHOWN])}{' …' if len(gaps) > GAPS_SHOWN else ''}" if gaps else ""
    detail = f"{records} records, {missing} missing{named}, {doubled} doubled, lag {lag}"
    return Check(
        "record", topic, not missing and not doubled, detail, "look at the recorder's log and the dead letters"
    )


def _show(console: Console, checks: list[Check]) -> None:
    for check in checks:
        mark = "[green]✓[/]" if check.ok else "[red]✗[/]"
        console.print(f"{mark} {check.part:11}{check.what:26}", end="")
        console.print(check.detail, markup=False, highlight=False, soft_wrap=True)
        if not check.ok and check.fix:
            console.print(f"  → {check.fix}", markup=False, highlight=False, soft_wrap=True)
