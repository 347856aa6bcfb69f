"""Which questions people are asked, read from the topic that they stand on: nothing but the broker is needed for it.

What a question says comes from alerts and live objects, so from others: control characters are taken out of it before
it reaches a terminal.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.approvals import ApprovalClosed, ApprovalRefused, ApprovalRequested
from schemas.events import Event, parse_event
from schemas.topics import TopicName
from services.runtime.errors import UsageError
from services.runtime.kafka import make_consumer, started

SHORT, LEAST = 8, 4
"""Letters of an id that people read, and the fewest that they may give."""
FETCH_MS = 200


@dataclass(frozen=True)
class Question:
    """One question, and what became of it. `event` is the one that asked."""

    event: Event[ApprovalRequested]
    closed: ApprovalClosed | None = None
    refused: tuple[ApprovalRefused, ...] = ()

    @property
    def asked(self) -> ApprovalRequested:
        """What was asked."""
        return self.event.data

    @property
    def id(self) -> str:
        """In full."""
        return self.asked.approval_id

    def open(self, now: datetime) -> bool:
        """Whether an answer can still count."""
        return self.closed is None and now < self.asked.ends_at

    def __str__(self) -> str:
        return f"{self.id[:SHORT]} ({printable(self.asked.action)} for {printable(self.asked.target.subject)})"


@dataclass
class Questions:
    """All that the topic holds, by id, in the order in which they were asked."""

    by_id: dict[str, Question] = field(default_factory=dict)

    def take(self, value: bytes | None) -> Event[Any] | None:
        """One record; its event, None for what cannot be read, which whoever consumes the topic buries."""
        try:
            event: Event[Any] | None = parse_event(value or b"")
        except ValueError:
            return None
        data = event.data if event else None
        if event and isinstance(data, ApprovalRequested):
            self.by_id.setdefault(data.approval_id, Question(event))
        elif isinstance(data, ApprovalClosed | ApprovalRefused) and (known := self.by_id.get(data.approval_id)):
            self.by_id[known.id] = _with(known, data)
        return event

    def of(self, cluster: str | None = None) -> list[Question]:
        """Those of a cluster, or all."""
        return [one for one in self.by_id.values() if cluster in (None, one.asked.target.cluster)]


def _with(question: Question, data: ApprovalClosed | ApprovalRefused) -> Question:
    if isinstance(data, ApprovalClosed):
        return replace(question, closed=question.closed or data)
    return replace(question, refused=(*question.refused, data))


def find(questions: Sequence[Question], prefix: str, now: datetime) -> Question:
    """The one open question whose id begins so. Raises UsageError where there is none or more than one, and says which
    are open."""
    if len(prefix) < LEAST:
        raise UsageError(f"{prefix!r} is too short for a question's id", f"Give at least {LEAST} letters of it")
    found = [one for one in questions if one.id.startswith(prefix)]
    live = [one for one in found if one.open(now)]
    if len(live) == 1:
        return live[0]
    if live:
        raise UsageError(f"{len(live)} questions begin with {prefix!r}: {_list(live)}", "Give more of the id")
    fix = _open_ones([one for one in questions if one.open(now)])
    if not found:
        raise UsageError(f"no question begins with {prefix!r}", fix)
    raise UsageError(f"question {found[-1]} is over: {ending(found[-1])}", fix)


def ending(question: Question) -> str:
    """How it ended, in words."""
    closed = question.closed
    if closed is None:
        return f"nobody answered until {question.asked.ends_at:%Y-%m-%d %H:%M:%S} UTC, which means no"
    by = f" by {printable(', '.join(closed.by))}" if closed.by else ""
    note = f": {printable(closed.note)}" if closed.note else ""
    return f"{closed.outcome}{by} at {closed.at:%Y-%m-%d %H:%M:%S} UTC{note}"


def _open_ones(questions: Sequence[Question]) -> str:
    return f"Open are {_list(questions)}" if questions else "None is open now"


def _list(questions: Iterable[Question]) -> str:
    return ", ".join(str(question) for question in questions)


def printable(text: str) -> str:
    """Without anything that moves a cursor or hides what stands before it; lines stay lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text)


@asynccontextmanager
async def reading(bootstrap: str) -> AsyncIterator[tuple[AIOKafkaConsumer, Questions]]:
    """The topic read to its end as of now, and the consumer that stands there. Raises Temporary where the broker is
    away."""
    questions = Questions()
    async with started(
        make_consumer(bootstrap, TopicName.APPROVALS, client_id="setpoint-cli", fetch_max_wait_ms=FETCH_MS)
    ) as consumer:
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(consumer.assignment())
        while not await _at_end(consumer, ends):
            await read_some(consumer, questions)
        yield consumer, questions


async def read_some(consumer: AIOKafkaConsumer, questions: Questions) -> list[Event[Any]]:
    """What has come since, or within a moment."""
    found = []
    for records in (await consumer.getmany(timeout_ms=FETCH_MS)).values():
        found += [event for record in records if (event := questions.take(record.value))]
    return found


async def _at_end(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for place, end in ends.items():
        if await consumer.position(place) < end:
            return False
    return True
