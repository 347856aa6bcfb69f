"""Which dead letters may go back to where they came from, and why others may not: pure, over what was read of them.

Each goes back at most once: sending one back writes a mark beside it, in the same transaction. A letter that comes back
from there again is another letter, and says in a header which one it was before. What history has already, since only
another service could not read it, says that too, and is not recorded a second time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from aiokafka.structs import ConsumerRecord

from schemas.events import parse_event
from schemas.topics import RECORDED, TopicName
from services.recorder.intents import Place
from services.recorder.rows import rows_of
from services.recorder.samples import Seen, rows_of_block
from services.recorder.values import EPOCH, MICROSECOND, Unreadable
from services.runtime.deadletters import SIZE

BEFORE = "replayed-from"
"""Header of a record that was sent back: the place that its letter named, `topic:partition:offset`."""
HAD = "replayed-recorded"
"""Header of such a record whose event stands in ClickHouse already: it makes no row."""
Origin = tuple[str, int, int]
"""Topic, partition and offset of the record that could not be read."""


class Why(StrEnum):
    """Why a letter does not go back. Closed."""

    DONE = "already-replayed"
    TWICE = "same-record"  # several services could not read it: one letter speaks for all
    CUT = "cut"  # it was too large for a dead letter, and its end is gone
    NAMELESS = "no-origin"  # it does not say where it came from
    NO_TOPIC = "no-such-topic"
    STATE = "state-topic"  # only the newest of a key counts there: sent back, it would undo what was set since
    UNREADABLE = "still-unreadable"  # this version cannot read it either
    AGAIN = "failed-again"  # it was sent back before
    NOT_YET = "not-yet-recorded"  # the recorder has not come as far as the record itself
    LIMIT = "beyond-limit"


@dataclass(frozen=True)
class Letter:
    """A dead letter without its bytes. `trouble` is what this version has against it, None when it can read it."""

    offset: int
    origin: Origin | None
    error: str
    buried_at: datetime
    size: int
    cut: bool = False
    before: str | None = None
    trouble: str | None = None

    @property
    def came_from(self) -> str:
        """As people read it."""
        return ":".join(map(str, self.origin)) if self.origin else ""


@dataclass(frozen=True)
class Item:
    """A letter and what becomes of it: `why` is None for one that goes back. Its partition is None where the topic has
    not so many any more, and the key decides; `had` when its event is in ClickHouse already."""

    letter: Letter
    why: Why | None
    partition: int | None = None
    had: bool = False


@dataclass(frozen=True)
class Room:
    """What letters meet: the partitions of each topic, which topics keep the newest of a key only, what was sent back
    before, what ClickHouse has, and how far the recorder has come in each partition."""

    partitions: Mapping[str, int]
    compacted: Collection[str] = ()
    done: Collection[Origin] = ()
    recorded: Collection[Origin] = ()
    passed: Mapping[tuple[str, int], int] = field(default_factory=dict)


def plan(letters: Iterable[Letter], room: Room, limit: int, *, again: bool = False) -> list[Item]:
    """What becomes of each, the oldest first; at most `limit` go back, with `again` also those that did before."""
    items: list[Item] = []
    taken: set[Origin] = set()
    for letter in letters:
        why = _why_not(letter, room, taken, again) or (Why.LIMIT if len(taken) >= limit else None)
        if why is not None or letter.origin is None:
            items.append(Item(letter, why))
            continue
        taken.add(letter.origin)
        topic, partition, _ = letter.origin
        there = partition if partition < room.partitions[topic] else None
        items.append(Item(letter, None, there, letter.origin in room.recorded))
    return items


def _why_not(letter: Letter, room: Room, taken: Collection[Origin], again: bool) -> Why | None:
    if letter.origin is None:
        return Why.NAMELESS
    topic, partition, offset = letter.origin
    reasons = (
        (letter.origin in room.done, Why.DONE),
        (letter.origin in taken, Why.TWICE),
        (letter.cut, Why.CUT),
        (topic not in room.partitions, Why.NO_TOPIC),
        (topic in room.compacted, Why.STATE),
        (letter.trouble is not None, Why.UNREADABLE),
        (letter.before is not None and not again, Why.AGAIN),
        (topic in RECORDED and room.passed.get((topic, partition), 0) <= offset, Why.NOT_YET),
    )
    return next((why for holds, why in reasons if holds), None)


def letter_of(record: "ConsumerRecord[bytes, bytes]") -> Letter:
    """A record of the dead letters, looked at as its readers would look at it on its own topic."""
    told, origin = dict(record.headers), origin_of(record.headers)
    cut, before = SIZE in told, told.get(BEFORE)
    return Letter(
        offset=record.offset,
        origin=origin,
        error=told.get("error", b"").decode(errors="replace"),
        buried_at=EPOCH + max(record.timestamp, 0) * 1000 * MICROSECOND,
        size=len(record.value or b""),
        cut=cut,
        before=before.decode(errors="replace") if before is not None else None,
        trouble=_trouble(origin, record) if origin and not cut else None,
    )


def origin_of(headers: Sequence[tuple[str, bytes]]) -> Origin | None:
    """Where the headers say that the record stood, None when they do not."""
    told = dict(headers)
    topic, partition, offset = (
        told.get(f"original-{part}", b"").decode(errors="replace") for part in ("topic", "partition", "offset")
    )
    numbers = all(text.isascii() and text.isdigit() and len(text) < 19 for text in (partition, offset))
    return (topic, int(partition), int(offset)) if topic and numbers else None


def had_before(record: "ConsumerRecord[bytes, bytes]") -> bool:
    """Whether it was sent back only for others: its event is recorded, and makes no second row."""
    return any(name == HAD for name, _ in record.headers)


def sent_back(record: "ConsumerRecord[bytes, bytes]", item: Item) -> list[tuple[str, bytes]]:
    """The headers that a record had at first, and where it comes from now."""
    ours = ("error", BEFORE, HAD)
    kept = [pair for pair in record.headers if not pair[0].startswith("original-") and pair[0] not in ours]
    return [*kept, (BEFORE, item.letter.came_from.encode()), *([(HAD, b"1")] if item.had else [])]


def _trouble(origin: Origin, record: "ConsumerRecord[bytes, bytes]") -> str | None:
    """Never quotes the record: what validators say of a value may be a secret."""
    place = Place("", origin[0], origin[1])
    try:
        if origin[0] == TopicName.SAMPLES:
            rows_of_block(place, record, Seen())
            return None
        rows_of(place, record)
    except Unreadable as error:
        return str(error)
    try:
        parse_event(record.value or b"")
    except ValueError:
        return "not a valid event of its type"
    return None
