"""What records that others wrote say: each is read by a source as if it had been sent to it, or is a dead letter.

Such a record needs neither a key nor headers. Those that it has are given to the source as HTTP's would be; those of a
CloudEvent in binary mode are called `ce_…` on Kafka, and are not percent-encoded there.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from aiokafka.structs import ConsumerRecord

from services.gateway.source import Inbound, Reading, Sender, Source, Unreadable
from services.runtime.deadletters import DeadLetter, dead_letter
from services.runtime.errors import Permanent
from services.runtime.kafka import Outgoing, outgoing

UNREADABLE_IN_A_ROW = 100
MOST_HEADERS = 100
TOMBSTONE = "tombstone"
CLOUD = re.compile(r"ce_([a-z0-9]+)")

Record = ConsumerRecord  # of bytes; aiokafka's own is generic without need


@dataclass
class Taken:
    """What some records of one partition came to."""

    events: list[Outgoing] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


@dataclass
class Reader:
    """Reads one partition, and counts the records in a row that it could not read. `defect` is told of our own bugs."""

    source: Source
    sender: Sender
    defect: Callable[[Exception], None]
    unreadable: int = 0

    def take(self, records: "Iterable[Record[bytes, bytes]]", now: datetime) -> Taken:
        """Everything in them. Raises Permanent where too many cannot be read: that is another topic than was meant."""
        taken = Taken()
        for record in records:
            found = self._one(record, now)
            if isinstance(found, DeadLetter):
                taken.dead.append(found)
            else:
                taken.events += [outgoing(made.topic, made.event, made.key) for made in found.made]
                taken.passed_over += found.passed_over
        return taken

    def _one(self, record: "Record[bytes, bytes]", now: datetime) -> Reading | DeadLetter:
        if record.value is None:
            return Reading(passed_over=Counter({TOMBSTONE: 1}))
        try:
            found = self._read(record, record.value, now)
        except Unreadable as error:
            return self._bury(record, str(error))
        self.unreadable = 0
        return found

    def _read(self, record: "Record[bytes, bytes]", value: bytes, now: datetime) -> Reading:
        if len(value) > self.source.max_bytes:
            raise Unreadable(f"more than {self.source.max_bytes} bytes")
        try:
            return self.source.read(Inbound(value, headers_of(record.headers), self.sender, now))
        except Unreadable:
            raise
        except Exception as error:
            self.defect(error)
            raise Unreadable(f"a defect of Setpoint's own: {type(error).__name__}") from error

    def _bury(self, record: "Record[bytes, bytes]", error: str) -> DeadLetter:
        self.unreadable += 1
        if self.unreadable > UNREADABLE_IN_A_ROW:
            raise Permanent(
                f"{self.unreadable} records in a row are nothing that {self.source.name} sends: {error}",
                "Name the source that fits the topic; a gateway that can read them goes on here",
            )
        return dead_letter(record, error)


def headers_of(given: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """By lower-case name; the last of a name that comes twice. Nothing here proves anything."""
    found: dict[str, str] = {}
    for name, value in list(given)[:MOST_HEADERS]:
        lower, text = name.lower(), (value or b"").decode("utf-8", "replace")
        cloud = CLOUD.fullmatch(lower)
        found[f"ce-{cloud[1]}" if cloud else lower] = quote(text, safe="/:+ ") if cloud else text
    return found
