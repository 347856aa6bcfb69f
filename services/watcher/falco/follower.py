"""Follow one Falco pod's log through the API server, from its first line that matters to its last.

A stream that ends, breaks or is silent for too long is taken up again a little before the last line that was told, by
the node's own clock: the API server looks at whole seconds only. What is read twice is told once, by its event's id.
A line counts as read once the broker has its alert. When the container was started anew, what its predecessor wrote to
the end is read first. A line that was rotated away, or deleted with its pod, before it was read is lost.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas.alerts import AlertFired
from schemas.events import Event
from services.kube.api.errors import ApiError, Forbidden, Invalid, NotFound
from services.kube.api.reflector import AWAY
from services.kube.api.session import Session
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import KafkaError
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.watcher.falco.known import Known
from services.watcher.falco.lines import Line, Splitter, read, stamped

MARGIN = timedelta(seconds=2)
SILENCE_S = 120.0
"""A quiet log says nothing at all, so a broken line looks like one: look again from time to time."""
STEADY_S = 10.0
REFUSED_S = 60.0
HINT = "set json_output: true in falco.yaml"


@dataclass(frozen=True)
class Pod:
    """One Falco pod as it is now; `starts` counts how often its container was started again."""

    path: str
    uid: str
    container: str
    starts: int


@dataclass
class Desk:
    """What all followers share. `publish` returns once the broker has the events."""

    session: Session
    cluster: str
    publish: Callable[[Sequence[Event[AlertFired]]], Awaitable[None]]
    clock: Clock
    metrics: Metrics
    log: Log
    known: Known = field(default_factory=Known)
    refused: bool = False


class Follower:
    """`since` is from when on lines matter. `contact` is up to when, by our clock, the log was read; None before."""

    def __init__(self, pod: Pod, since: datetime, desk: Desk) -> None:
        self.pod, self.since, self.desk = pod, since, desk
        self.last = since
        self.contact: datetime | None = None
        self.read_starts = 0
        self.gone = self.warned = False
        self.log = desk.log.bind(pod=pod.path.rpartition("/")[2])

    async def run(self) -> None:
        """Until the pod is gone and its log was read to the end, or until cancelled."""
        backoff, clock = Backoff(first=0.5, most=10.0), self.desk.clock
        while True:
            began, wait = clock.monotonic(), 0.0
            try:
                await self._round()
            except NotFound:
                if self.gone:
                    return
            except Forbidden as error:
                self._refused(error)
                wait = REFUSED_S
            except (ApiError, *AWAY) as error:
                self.log.debug("a log is taken up again", error=str(error))
            if self.gone and clock.monotonic() - began < STEADY_S:
                return
            if clock.monotonic() - began > STEADY_S:
                backoff.reset()
            await clock.sleep(max(wait, backoff.next()))

    async def _round(self) -> None:
        starts = self.pod.starts
        if starts > self.read_starts:
            await self._previous()
            self.read_starts = starts
        since = max(self.since, self.last - MARGIN)
        await self._read({"follow": "true", "sinceTime": _seconds(since)})

    async def _previous(self) -> None:
        """What the container wrote before it was started again. Nobody knows how far that was read, so read all."""
        try:
            await self._read({"previous": "true", "sinceTime": _seconds(self.since)}, place=False)
        except Invalid as error:
            self.log.debug("there is no log of the container before this one", error=str(error))

    async def _read(self, params: dict[str, str], place: bool = True) -> None:
        splitter, clock = Splitter(), self.desk.clock
        asked = {"container": self.pod.container, "timestamps": "true", **params}
        async with self.desk.session.stream(self.pod.path + "/log", asked, silence=SILENCE_S, accept="*/*") as answer:
            self._allowed()
            if place:
                self.contact = clock.now()
            async for chunk in answer.content.iter_any():
                newest = await self._take(splitter.feed(chunk))
                self._count(Line.TOO_LONG, splitter.skipped())
                if place and newest is not None:
                    self.last = max(self.last, newest)
                if place:
                    self.contact = clock.now()

    async def _take(self, lines: list[bytes]) -> datetime | None:
        """Tell what is new in these lines; when the newest of them was written."""
        found: dict[str, Event[AlertFired]] = {}
        newest: datetime | None = None
        for line in map(stamped, lines):
            newest = max(filter(None, (newest, line.at)), default=None)
            made = read(line.text, self.desk.cluster, self.desk.clock.now())
            if isinstance(made, Line):
                self._count(made)
            elif made.id in self.desk.known or made.id in found:
                self._count(Line.REPEAT)
            else:
                found[made.id] = made
        if found:
            await self._publish(list(found.values()))
        for event_id in found:
            self.desk.known.add(event_id)
        self._count(Line.ALERT, len(found))
        return newest

    async def _publish(self, events: Sequence[Event[AlertFired]]) -> None:
        """For as long as it takes, and no further line is read: the pod may be gone before it could be read again."""
        backoff = Backoff(first=0.5, most=10.0)
        while True:
            try:
                return await self.desk.publish(events)
            except (Temporary, KafkaError) as error:
                self.desk.metrics.inc("loop_errors_total")
                self.log.info("alerts wait for the broker", alerts=len(events), error=str(error))
                await self.desk.clock.sleep(backoff.next())

    def _count(self, what: Line, number: int = 1) -> None:
        if what is Line.PLAIN_ALERT and not self.warned:
            self.warned = True
            self.log.warning("Falco writes its alerts as plain text, which cannot be read", fix=HINT)
        self.desk.metrics.inc("log_lines_total", number, result=what)

    def _refused(self, error: Forbidden) -> None:
        """Said once for all pods."""
        if not self.desk.refused:
            self.desk.refused = True
            self.desk.metrics.set("unseen_kinds", 1, kind="pods/log")
            self.log.warning("logs of Falco's pods may not be read", error=error.message)

    def _allowed(self) -> None:
        if self.desk.refused:
            self.desk.refused = False
            self.desk.metrics.set("unseen_kinds", 0, kind="pods/log")


def _seconds(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
