"""What `approve` and `deny` share: find the question, show it, send the answer, and wait for what becomes of it.

Over the broker, who may write its topic may answer under any name: its ACLs are what authenticates there. Over the
gateway a person's own token does.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import aiohttp
import click

from schemas.approvals import (
    AnswerKind,
    ApprovalAnswered,
    ApprovalClosed,
    ApprovalEnd,
    ApprovalRefused,
    ApprovalRequested,
)
from schemas.base import rfc3339
from schemas.events import Event, make_event, stable_id
from schemas.topics import TopicName
from services.cli.controlling import SOURCE, caller
from services.cli.options import kafka_option
from services.cli.questions import Question, Questions, ending, find, printable, read_some, reading
from services.local.running import the_running
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Temporary, UsageError
from services.runtime.kafka import make_producer, outgoing, send_all, started
from services.runtime.settings import load_settings

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
TOKEN = "SETPOINT_APPROVER_TOKEN"
GRACE = timedelta(seconds=30)
"""How long after its end a question's closing is waited for."""
HTTP_S = 30.0
ID_LETTERS = 32
WANTED = {AnswerKind.APPROVE: ApprovalEnd.APPROVED, AnswerKind.DENY: ApprovalEnd.DENIED}


@dataclass(frozen=True)
class Wish:
    """What the command was called with. `bootstrap` is None where only the gateway is known."""

    id: str
    answer: AnswerKind
    note: str
    by: str
    yes: bool
    wait: bool
    cluster: str | None
    bootstrap: str | None
    gateway: str | None


def answer_options(command: CommandT) -> CommandT:
    """All that `approve` and `deny` take."""
    for option in (
        kafka_option,
        click.option("--gateway", metavar="URL", help=f"Answer over HTTP, proved by the token in {TOKEN}."),
        click.option("--cluster", help="Only questions of this cluster. Needed where --gateway has no --kafka beside."),
        click.option("--as", "by", metavar="USER", help="Whose answer it is. Default: the machine's user."),
        click.option("--note", default="", help="For those who wonder later."),
        click.option("--wait", is_flag=True, help="Wait for what becomes of it; exit code 1 where it did not count."),
        click.option("--yes", is_flag=True, help="Do not ask whether I am sure."),
        click.argument("id"),
    ):
        command = option(command)
    return command


def wish_of(answer: AnswerKind, given: dict[str, Any]) -> Wish:
    """From the options, the environment and a running `up`. Raises UsageError for what cannot go together."""
    bootstrap = broker(given["kafka"], given["cluster"], needed=given["gateway"] is None)
    if given["gateway"] and not os.environ.get(TOKEN):
        raise UsageError(f"{TOKEN} is not set", "Put your own token for the gateway there")
    if given["gateway"] and given["by"]:
        raise UsageError("--as and --gateway exclude each other", "Over the gateway you are who the token belongs to")
    if given["wait"] and bootstrap is None:
        raise UsageError(
            "what becomes of an answer stands on the broker", "Give --kafka HOST:PORT, or leave --wait out"
        )
    return Wish(
        given["id"], answer, given["note"], given["by"] or caller(), given["yes"], given["wait"], given["cluster"],
        bootstrap, given["gateway"],
    )  # fmt: skip


def broker(kafka: str | None, cluster: str | None, *, needed: bool) -> str | None:
    """Where the broker is. Raises UsageError where nobody says it and it is needed."""
    settings = load_settings(kafka=kafka)
    if settings.kafka:
        return settings.kafka
    running = the_running(cluster)
    if running is None and needed:
        raise UsageError("no broker was named and no 'setpoint up' runs here", "Give --kafka HOST:PORT")
    return running.kafka if running else None


async def answer(wish: Wish, clock: Clock) -> int:
    """Do it; the exit code. Raises UsageError, Temporary, Permanent."""
    if wish.bootstrap is None:
        return await _blindly(wish)
    async with reading(wish.bootstrap) as (consumer, questions):
        question = find(questions.of(wish.cluster), wish.id, clock.now())
        click.echo(shown(question))
        confirm(wish)
        if wish.gateway:
            await post(wish, question.id, question.asked.target.cluster)
        else:
            await write(wish, question, clock.now())
        if not wish.wait:
            click.echo(f"{wish.answer}: sent; whether it counts is decided by the reconciler")
            return 0
        return await wait(consumer, questions, question, wish, clock)


def shown(question: Question) -> str:
    """The question as people must see it before they answer."""
    asked = question.asked
    lines = {
        "question": question.id, "target": asked.target.subject, "policy": asked.policy, "action": asked.action,
        "why": asked.why, "asked": rfc3339(asked.asked_at), "ends": rfc3339(asked.ends_at),
        "may answer": ", ".join(asked.by) or "any known user", "needed": f"{asked.count} yes",
    }  # fmt: skip
    head = "\n".join(f"{name + ':':<12}{printable(value)}" for name, value in lines.items() if value)
    return f"{head}\nplan:\n" + "\n".join(f"  {line}" for line in printable(asked.plan).split("\n"))


def confirm(wish: Wish) -> None:
    """Ask on a terminal; raises UsageError where there is none to ask on, click.Abort for a no."""
    if wish.yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here whether that is meant", "Give --yes")
    click.confirm(f"{wish.answer} this?", abort=True)


async def write(wish: Wish, question: Question, now: datetime) -> None:
    """Put the answer on the topic. The same answer of the same user is the same event."""
    event = answered(question.event, wish, now)
    async with started(make_producer(str(wish.bootstrap), client_id="setpoint-cli")) as producer:
        await send_all(producer, [outgoing(TopicName.APPROVALS, event, event.data.cluster)])


def answered(asked: Event[ApprovalRequested], wish: Wish, now: datetime) -> Event[ApprovalAnswered]:
    """The answer to a question."""
    question = asked.data
    data = ApprovalAnswered(
        approval_id=question.approval_id, cluster=question.target.cluster, answer=wish.answer, by=wish.by, via="cli",
        at=now, note=wish.note,
    )  # fmt: skip
    return make_event(
        data, id=stable_id(question.approval_id, wish.by, wish.answer), source=SOURCE, subject=asked.subject, time=now,
        correlationid=asked.correlationid, causationid=asked.id,
    )  # fmt: skip


async def post(wish: Wish, approval_id: str, cluster: str) -> None:
    """Hand the answer to the gateway. Raises Temporary where it is away, Permanent where it refuses."""
    url = f"{str(wish.gateway).rstrip('/')}/v1/approvals/{approval_id}"
    body = {"cluster": cluster, "answer": str(wish.answer), "note": wish.note}
    headers = {"Authorization": f"Bearer {os.environ[TOKEN]}"}
    limit = aiohttp.ClientTimeout(total=HTTP_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.post(url, json=body, headers=headers, allow_redirects=False) as reply,
        ):
            status, said = reply.status, printable((await reply.text())[:300])
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Temporary(f"the gateway does not answer: {error}") from error
    if status == 401:
        raise Permanent("the gateway does not know the token", f"Check {TOKEN}")
    if status >= 500:
        raise Temporary(f"the gateway cannot take it now: {status} {said}")
    if status != 202:
        raise Permanent(f"the gateway refuses it: {status} {said}")


async def _blindly(wish: Wish) -> int:
    """Without a broker the question cannot be looked up: it must be named in full, and nothing of it can be shown."""
    if wish.cluster is None or len(wish.id) != ID_LETTERS:
        raise UsageError("without the broker a question cannot be looked up", "Give its whole id and --cluster NAME")
    click.echo("the plan cannot be shown without --kafka", err=True)
    confirm(wish)
    await post(wish, wish.id, wish.cluster)
    click.echo(f"{wish.answer}: sent; whether it counts is decided by the reconciler")
    return 0


async def wait(consumer: Any, questions: Questions, question: Question, wish: Wish, clock: Clock) -> int:
    """What becomes of the answer, printed; 0 where the question ends as wished.

    Raises Temporary where nothing is heard until after the question's end.
    """
    via = "http" if wish.gateway else "cli"
    while clock.now() < question.asked.ends_at + GRACE:
        for event in await read_some(consumer, questions):
            if getattr(event.data, "approval_id", None) != question.id:
                continue
            if isinstance(event.data, ApprovalClosed):
                click.echo(ending(questions.by_id[question.id]))
                return int(event.data.outcome != WANTED[wish.answer])
            if isinstance(event.data, ApprovalRefused) and _mine(event.data, wish, via):
                click.echo(f"it did not count: {event.data.why}")
                return 1
    raise Temporary("nothing was heard of it until after its end; does a reconciler run?")


def _mine(refused: ApprovalRefused, wish: Wish, via: str) -> bool:
    """Whether it is about this answer; the gateway alone knows under which name it took it."""
    return refused.via == via and (wish.gateway is not None or refused.by == wish.by)
