"""Watch the kinds that can be in trouble, and say what is: the effects around the pure looks and lives.

Sightings are cheap: an object in no trouble, which is nearly every one, ends in `interest` and is not remembered. The
others wait, as their troubles only, for the loop, which finds out what they are about, asks the board what is to be
said, and counts it as said once the broker has it. While the broker or the API server is away nothing piles up but the
objects that are in trouble.

A kind that the token may not list is said once, in the log and as a metric; the other kinds go on.
"""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from functools import partial

from aiokafka import AIOKafkaProducer

from schemas.alerts import AlertFired, AlertResolved
from schemas.events import parse_event
from schemas.topics import TopicName
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Resource
from services.kube.api.errors import ApiError
from services.kube.api.reflector import LISTS_AT_ONCE, Reflector, Sighting
from services.kube.objects import Object, ObjectKey
from services.runtime.allocator import give_back
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import KafkaError, outgoing, send_all
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.tasks import background, cancel
from services.watcher.alerts_told import Said
from services.watcher.trouble.found import Trouble
from services.watcher.trouble.kinds import ALERTS, WATCHED, Kind, feeding, troubles
from services.watcher.trouble.lives import ORIGIN, RETELL, Board, Where, place
from services.watcher.trouble.owners import Owners

TICK_S = 1.0
LOOK_S = 60.0
"""Between two looks at which kinds are served and may be listed."""
REMEMBERED = 2 * RETELL
"""How far back what was said is read: whatever is open was said again within that time."""


class Troubles:
    """Of one cluster. `run` it as a task, after what `restore` was given."""

    def __init__(
        self, cluster: Cluster, producer: AIOKafkaProducer, *, clock: Clock, metrics: Metrics, log: Log
    ) -> None:
        self.cluster, self.producer = cluster, producer
        self.clock, self.metrics, self.log = clock, metrics, log
        self.board, self.owners = Board(cluster.name), Owners(cluster)
        self.waiting: dict[Where, tuple[Trouble, ...]] = {}
        self.tasks: dict[Kind, asyncio.Task[None]] = {}
        self.reflectors: dict[Kind, Reflector] = {}
        self.refused: set[Kind] = set()
        self.settled: set[Kind] = set()  # of which a complete list was dealt with
        self.looked = False
        self.counted: Counter[str] | None = None  # what the gauges say
        self.turns = asyncio.Semaphore(LISTS_AT_ONCE)

    def restore(self, said: Said) -> None:
        """Take over what a watcher said before, in its order."""
        if said.origin != ORIGIN:
            return
        try:
            event = parse_event(said.value)
        except ValueError:
            return  # whoever consumes it puts it to the dead letters
        if event is not None and isinstance(event.data, AlertFired | AlertResolved):
            self.board.restore(event.data, event.time)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with background(self._keep_looking()) as looking:
                await asyncio.gather(*looking, self._keep_telling())
        finally:
            await cancel(*self.tasks.values())

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self._look()
                self.looked = True
            except ApiError as error:
                self.log.info("rights cannot be looked up and are tried again", error=str(error))
            await self.clock.sleep(LOOK_S if self.looked else TICK_S)

    async def _look(self) -> None:
        """Watch what is served and may be listed, and stop watching what no longer is."""
        for kind in WATCHED:
            resource = self.cluster.catalogue.find(kind.group, kind.kind)
            allowed = resource is not None and await self.cluster.allowed("list", resource)
            if resource is None:
                self._forget(kind, keep=set())
            else:
                self._note(kind, allowed)
            if allowed and resource is not None and kind not in self.tasks:
                self._start(kind, resource)
            elif not allowed and kind in self.tasks:
                self.settled.discard(kind)
                del self.reflectors[kind]
                await cancel(self.tasks.pop(kind))

    def _start(self, kind: Kind, resource: Resource) -> None:
        reflector = self.reflectors[kind] = Reflector(
            self.cluster.session, resource, partial(self._sight, kind), clock=self.clock, metrics=self.metrics,
            log=self.log, query=dict(kind.query), turns=self.turns, interest=partial(self._interest, kind),
            on_listed=lambda: self._listed(kind, reflector.known),
        )  # fmt: skip
        self.tasks[kind] = asyncio.create_task(reflector.run())

    def _listed(self, kind: Kind, known: set[ObjectKey]) -> None:
        self._forget(kind, keep=known)
        give_back()

    def _forget(self, kind: Kind, keep: set[ObjectKey]) -> None:
        """After a complete list: what an earlier watch of this kind found, and is not there any more, is over."""
        for where in self.board.found:
            if where[0] == kind and where[1] not in keep:
                self.waiting[where] = ()

    def _note(self, kind: Kind, allowed: bool) -> None:
        """Say once that a kind is out of sight, and once that it no longer is."""
        self.metrics.set("unseen_kinds", 0 if allowed else 1, kind=kind.kind)
        if not allowed and kind not in self.refused:
            self.refused.add(kind)
            names = sorted(name for name in ALERTS if kind in feeding(name))
            self.log.warning("a kind may not be listed, so its troubles are not seen", kind=kind.kind, alerts=names)
        elif allowed and kind in self.refused:
            self.refused.discard(kind)
            self.log.info("a kind may be listed again", kind=kind.kind)

    def _interest(self, kind: Kind, key: ObjectKey, obj: Object) -> ObjectKey | None:
        where = (kind, key)
        return key if self._asked(kind, obj) or where in self.board.found or where in self.waiting else None

    def _sight(self, kind: Kind, sighting: Sighting) -> None:
        self.waiting[kind, sighting.key] = self._asked(kind, sighting.obj) if sighting.obj is not None else ()

    def _asked(self, kind: Kind, obj: Object) -> tuple[Trouble, ...]:
        typed = obj if "kind" in obj else {**obj, "kind": kind.kind, "apiVersion": self._api_version(kind)}
        try:
            return troubles(WATCHED[kind], typed, self.clock.now())
        except Exception as error:  # noqa: BLE001 - an odd object must not end the watch of its kind
            self.log.warning("an object could not be looked at", kind=kind.kind, error=repr(error))
            return ()

    def _api_version(self, kind: Kind) -> str:
        return self.cluster.resource(kind.group, kind.kind).api_version

    async def _keep_telling(self) -> None:
        backoff = Backoff(first=TICK_S)
        while True:
            try:
                await self._place()
                await self._tell()
                backoff.reset()
                await self.clock.sleep(TICK_S)
            except (ApiError, Temporary, KafkaError) as error:
                self.metrics.inc("loop_errors_total")
                self.log.info("troubles will be told later", error=str(error))
                await self.clock.sleep(backoff.next())

    async def _place(self) -> None:
        """Find out what the troubles are about; what changes meanwhile comes back."""
        listed = {kind for kind, reflector in self.reflectors.items() if reflector.synced.is_set()}
        for where, found in list(self.waiting.items()):
            kind = where[0].kind
            placed = [place(await self.owners.target(one.about), one, kind) for one in found]
            if self.waiting.get(where) is found:
                del self.waiting[where]
            self.board.put(where, placed, self.clock.now())
        self.settled |= listed & self.reflectors.keys()

    async def _tell(self) -> None:
        for event in self.board.due(self.clock.now(), self._complete):
            await send_all(self.producer, [outgoing(TopicName.ALERTS, event, self.cluster.name)])
            self.board.said(event)
            word = "fired" if isinstance(event.data, AlertFired) else "resolved"
            self.metrics.inc("alert_events_total", source="trouble", event=word)
            self.log.info(f"alert {word}", alert=event.data.name, target=event.subject, alert_id=event.data.alert_id)
        self._count()

    def _count(self) -> None:
        """Asked every tick, and hardly ever news."""
        counts = Counter(alert.name for alert in self.board.open())
        if counts != self.counted:
            self.counted = counts
            for name in ALERTS:
                self.metrics.set("open_troubles", counts[name], alert=name)

    def _complete(self, name: str, seen_in: str) -> bool:
        """Every kind that may tell this alert was listed; one that may not be listed counts only where it told it."""
        return self.looked and all(self._seen(kind, seen_in) for kind in feeding(name))

    def _seen(self, kind: Kind, seen_in: str) -> bool:
        reflector = self.reflectors.get(kind)
        if reflector is not None and reflector.refused is None:
            return kind in self.settled
        refused = reflector is not None or kind in self.refused  # else it is not served, so there is nothing of it
        return not refused or kind.kind != seen_in


def remembered_since(now: datetime) -> datetime:
    """From when on what was said must be known."""
    return now - REMEMBERED - timedelta(hours=1)
