"""`setpoint approvals`: what people are asked now, and with --all what they were."""

import asyncio
from datetime import datetime
from typing import Any

import click

from services.cli.approving import broker
from services.cli.options import kafka_option
from services.cli.printing import output_option, print_rows
from services.cli.questions import SHORT, Question, printable, reading
from services.runtime.clock import SystemClock

COLUMNS = {
    "id": "ID",
    "target": "TARGET",
    "policy": "POLICY",
    "action": "ACTION",
    "why": "WHY",
    "asked_at": "ASKED",
    "ends_at": "ENDS",
    "by": "BY",
}
ENDED = {"outcome": "OUTCOME", "answered_by": "ANSWERED BY"}


@click.command(
    name="approvals",
    epilog="Example: setpoint approvals --cluster prod-eu --output json",
    short_help="list the questions that people are asked",
)
@click.option("--all", "closed", is_flag=True, help="Also questions that are over; the topic keeps them for 7 days.")
@click.option("--cluster", help="Of this cluster only.")
@kafka_option
@output_option
def command(closed: bool, cluster: str | None, kafka: str | None, output: str) -> int:
    """List the questions that wait for an answer, from the broker alone. Their end means no.

    Exit code 1 when one is open, 0 when none is.
    """
    now = SystemClock().now()
    questions = asyncio.run(_read(str(broker(kafka, cluster, needed=True)), cluster))
    rows = [row(question, now) for question in questions if closed or question.open(now)]
    if output == "table":
        rows = [{**one, "id": one["id"][:SHORT], "by": one["by"] or "any known user"} for one in rows]
    print_rows(rows, output, COLUMNS | (ENDED if closed else {}), empty="nothing is asked")
    return int(any(question.open(now) for question in questions))


def row(question: Question, now: datetime) -> dict[str, Any]:
    """A question as a row; the table has some of it, the other forms all."""
    asked, closed = question.asked, question.closed
    over = "" if question.open(now) else "expired"
    return {
        "id": question.id,
        "cluster": asked.target.cluster,
        "target": printable(asked.target.subject),
        "policy": asked.policy,
        "action": asked.action,
        "why": printable(asked.why),
        "plan": printable(asked.plan),
        "asked_at": asked.asked_at,
        "ends_at": asked.ends_at,
        "by": list(asked.by),
        "needed": asked.count,
        "outcome": str(closed.outcome) if closed else over,
        "answered_by": list(closed.by) if closed else [],
        "refused": [f"{refused.by}: {refused.why}" for refused in question.refused],
    }


async def _read(bootstrap: str, cluster: str | None) -> list[Question]:
    async with reading(bootstrap) as (_, questions):
        return questions.of(cluster)
