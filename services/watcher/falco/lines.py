"""What comes out of a Falco pod's log: bytes to lines, lines to alerts. Pure.

With `timestamps=true` each line begins with the time at which the node wrote it. An alert is one line of JSON
(`json_output: true`); what else Falco says, of its start and of itself, is counted and left.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import orjson

from schemas.alerts import AlertFired
from schemas.events import Event
from services.runtime.alerts.falco import PREFIX, NoAlert, Passed, falco_alert
from services.runtime.alerts.loose import moment

ORIGIN = "setpoint/watcher/falco"
"""What its events name as their source."""
LONGEST = 64 * 1024


class Line(StrEnum):
    """What a line was, as the metric says it."""

    ALERT = "alert"
    REPEAT = "repeat"
    INTERNAL = "internal"
    OTHER = "other"
    PLAIN_ALERT = "plain-alert"
    TOO_LONG = "too-long"


class Stamped(NamedTuple):
    """A line and when the node wrote it; None where that cannot be read."""

    at: datetime | None
    text: bytes


class Splitter:
    """Lines out of a stream of bytes. One that is longer than `longest` is never held: it is counted and skipped."""

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest = longest
        self.rest = b""
        self.skipping = False
        self.too_long = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete with this chunk."""
        first, *others = chunk.split(b"\n")
        self._add(first)
        complete: list[bytes] = []
        for part in others:
            complete.append(b"" if self.skipping else self.rest)
            self.rest, self.skipping = b"", False
            self._add(part)
        return [line for line in complete if line]

    def skipped(self) -> int:
        """How many were too long since this was last asked."""
        number, self.too_long = self.too_long, 0
        return number

    def _add(self, part: bytes) -> None:
        if not self.skipping and len(self.rest) + len(part) > self.longest:
            self.skipping, self.rest = True, b""
            self.too_long += 1
        elif not self.skipping:
            self.rest += part


def stamped(line: bytes) -> Stamped:
    """Apart what `timestamps=true` put together."""
    head, blank, text = line.partition(b" ")
    at = moment(head.decode("ascii", "replace")) if blank else None
    return Stamped(at, text if at is not None else line)


def read(text: bytes, cluster: str, now: datetime) -> Event[AlertFired] | Line:
    """An alert of Falco's, or what the line is instead. Never raises, whatever a log holds."""
    if not text.startswith(b"{"):
        plain = PREFIX.match(text[:200].decode("utf-8", "replace"))
        return Line.PLAIN_ALERT if plain else Line.OTHER
    try:
        said = orjson.loads(text)
        made = falco_alert(said, origin=ORIGIN, sender=cluster, cluster=lambda _: cluster, now=now)
    except (orjson.JSONDecodeError, NoAlert):
        return Line.OTHER
    return Line.INTERNAL if isinstance(made, Passed) else made
