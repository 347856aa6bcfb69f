"""`setpoint topics`: the topics that the services speak over, from the one list."""

import asyncio
from typing import Any

import click

from services.cli.options import kafka_option
from services.cli.printing import output_option, print_rows
from services.runtime.kafka import ensure_topics
from services.runtime.settings import load_settings
from services.runtime.topics import all_topics, partition_count

COLUMNS = {
    "name": "TOPIC", "key": "KEYED BY", "partitions": "PARTITIONS", "kept": "KEPT", "producers": "PRODUCERS",
    "consumers": "CONSUMERS", "events": "EVENTS",
}  # fmt: skip


@click.command(
    name="topics",
    epilog="Example: setpoint topics --create --kafka localhost:9092",
    short_help="list the Kafka topics, or create the missing ones",
)
@click.option("--create", is_flag=True, help="Create those that the broker lacks. Existing ones are never changed.")
@kafka_option
@output_option
def command(create: bool, kafka: str | None, output: str) -> None:
    """List every topic with its partitions, retention and who writes and reads it."""
    settings = load_settings(kafka=kafka)
    if create:
        created = asyncio.run(ensure_topics(settings))
        click.echo(f"created: {', '.join(created)}" if created else "all topics are there", err=True)
    print_rows([_row(entry, settings.partitions) for entry in all_topics()], output, COLUMNS)


def _row(entry: Any, shared: int) -> dict[str, Any]:
    return {
        "name": str(entry.name),
        "key": "cluster" if entry.shared else "",
        "partitions": partition_count(entry, shared),
        "kept": "compacted" if entry.compacted else f"{int(entry.retention.total_seconds()) // 86400}d",
        "producers": list(entry.producers),
        "consumers": list(entry.consumers),
        "events": list(entry.events),
        "config": entry.config(),
    }
