"""`setpoint replay`: dead letters back to where they came from, once what could not read them is corrected."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from services.cli.history import Ago, clickhouse_option, clickhouse_url
from services.cli.options import kafka_option
from services.cli.printing import output_option, print_rows
from services.local.running import the_running
from services.recorder.letters import Item, Why
from services.recorder.reader import open_reader
from services.recorder.sendback import Chosen, look, send_back
from services.runtime.errors import Temporary, UsageError
from services.runtime.kafka import KafkaError
from services.runtime.settings import load_settings

COLUMNS = {
    "letter": "LETTER", "from": "FROM", "buried_at": "BURIED", "bytes": "BYTES", "error": "ERROR", "state": "STATE",
}  # fmt: skip
WORDS = {
    Why.DONE: "sent back before",
    Why.TWICE: "another letter is about the same record",
    Why.CUT: "its end is gone: it was too large to be kept",
    Why.NAMELESS: "does not say where it came from",
    Why.NO_TOPIC: "its topic is not there",
    Why.STATE: "only the newest counts on that topic: set it anew",
    Why.UNREADABLE: "this version cannot read it either",
    Why.AGAIN: "failed again after it was sent back: --again",
    Why.NOT_YET: "the recorder has not come that far",
    Why.LIMIT: "beyond --limit",
}


@click.command(
    name="replay",
    epilog="Example: setpoint replay --topic setpoint-drift --since 24h --yes",
    short_help="send dead letters back to where they came from",
)
@click.option("--topic", help="Only letters from this topic.")
@click.option("--since", type=Ago(), help="Only letters buried since then.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="So many at most, oldest first.")
@click.option("--again", is_flag=True, help="Also those that failed again after they were sent back.")
@click.option("--yes", is_flag=True, help="Send them. Without it, nothing is changed.")
@click.option("--all", "every", is_flag=True, help="Also list those that were sent back before.")
@kafka_option
@clickhouse_option
@output_option
def command(
    topic: str | None, since: datetime | None, limit: int, again: bool, yes: bool, every: bool,
    kafka: str | None, clickhouse: str | None, output: str,
) -> int:  # fmt: skip
    """Show which dead letters would go back, and with --yes send them.

    They go with their original bytes and key to their original topic and partition, each at most once. What this
    version cannot read either stays. An event that ClickHouse has already is not recorded a second time.

    Exit code 1 when something would go back and --yes was not given.
    """
    settings = load_settings(kafka=kafka)
    chosen = Chosen(f"{settings.group_prefix}-recorder", limit, topic, since, again)
    items = asyncio.run(_run(_bootstrap(settings.kafka), clickhouse_url(clickhouse), chosen, send=yes))
    shown = [item for item in items if every or item.why is not Why.DONE]
    print_rows([row(item, sent=yes) for item in shown], output, COLUMNS, empty="no dead letters to send back")
    click.echo(summary(items, sent=yes), err=True)
    return int(not yes and any(item.why is None for item in items))


def row(item: Item, *, sent: bool) -> dict[str, Any]:
    """A letter as a line."""
    letter = item.letter
    goes = ("sent back" if sent else "goes back") + (", recorded already" if item.had else "")
    state = goes if item.why is None else WORDS[item.why]
    if item.why is Why.UNREADABLE:
        state += f": {letter.trouble}"
    return {
        "letter": letter.offset, "from": letter.came_from, "buried_at": letter.buried_at, "bytes": letter.size,
        "error": letter.error, "state": state, "why": item.why,
    }  # fmt: skip


def summary(items: Sequence[Item], *, sent: bool) -> str:
    """All of them in one line."""
    counts = Counter(item.why for item in items)
    going = counts.pop(None, 0)
    others = ", ".join(f"{many} {why}" for why, many in sorted(counts.items(), key=str))
    told = f"{going} sent back" if sent else f"{going} would go back" + (", with --yes" if going else "")
    return told + (f"; {others}" if others else "")


def _bootstrap(given: str | None) -> str:
    running = None if given else the_running(None)
    if given is None and running is None:
        raise UsageError("no broker was named and no 'setpoint up' runs here", "Give --kafka HOST:PORT")
    return given or (running.kafka if running else "")


async def _run(bootstrap: str, url: str, chosen: Chosen, *, send: bool) -> list[Item]:
    try:
        async with open_reader(url) as reader:
            return await (send_back if send else look)(bootstrap, reader, chosen)
    except (KafkaError, OSError) as error:
        raise Temporary(f"the broker does not answer: {error}") from error
