"""`setpoint drift`: what is not as declared now, and with --all what was."""

import asyncio
from typing import Any

import click

from services.cli.history import clickhouse_option, clickhouse_url
from services.cli.printing import output_option, print_rows
from services.recorder.queries import drifts
from services.recorder.reader import open_reader

COLUMNS = {
    "kind": "KIND",
    "namespace": "NAMESPACE",
    "name": "NAME",
    "state": "STATE",
    "fields": "FIELDS",
    "managers": "BY",
    "users": "USER",
    "reason": "REASON",
    "onset": "SINCE",
    "baseline": "BASELINE",
}
ENDED = {"cleared_at": "UNTIL", "cleared_by": "ENDED BY"}


@click.command(
    name="drift",
    epilog="Example: setpoint drift --namespace payments --output json",
    short_help="list open drifts",
)
@click.option("--all", "closed", is_flag=True, help="Also drifts that are over.")
@click.option("--cluster", help="Of this cluster only.")
@click.option("--namespace", help="In this namespace only; '' for cluster-scoped objects.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="The newest so many.")
@clickhouse_option
@output_option
def command(
    closed: bool, cluster: str | None, namespace: str | None, limit: int, clickhouse: str | None, output: str
) -> int:
    """List drifts that are open now, as the record has them.

    Exit code 1 when one is open, 0 when none is.
    """
    rows = asyncio.run(
        _read(clickhouse_url(clickhouse), closed=closed, cluster=cluster, namespace=namespace, limit=limit)
    )
    if output == "table":  # a deletion stands at the path of the whole object
        rows = [{**row, "fields": [path or "(the object)" for path in row["fields"]]} for row in rows]
    print_rows(rows, output, COLUMNS | (ENDED if closed else {}), empty="no drift")
    return int(any(row["cleared_at"] is None for row in rows))


async def _read(url: str, **which: Any) -> list[dict[str, Any]]:
    async with open_reader(url) as reader:
        return await reader.rows(drifts(**which))
