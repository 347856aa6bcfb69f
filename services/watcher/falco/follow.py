"""Follow the logs of all Falco pods of a cluster, and tell their alerts: none lost, none told twice, over any restart.

Nothing is lost: `Mark` keeps on the broker up to when every log was read, and after a start each is read again from a
little before that, since the nodes' clocks are not ours. Nothing is told twice: an alert's id is its own, the same as
the gateway gives it where Falco sends it as well, and the ids that the topic holds since then are read back first. Who
was away for more than `FURTHEST` begins there; the very first start begins some minutes ago.

Whoever can make pods that carry the label in the namespace that is followed can speak as Falco. So one namespace is
followed, unless the settings say otherwise.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from aiokafka import AIOKafkaProducer

from schemas.alerts import AlertFired
from schemas.events import Event
from schemas.topics import TopicName
from services.kube.api.cluster import Cluster
from services.kube.api.errors import ApiError
from services.kube.api.reflector import Reflector, Sighting
from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve as at
from services.runtime.alerts.falco import MAKER
from services.runtime.alerts.loose import text
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import KafkaError, outgoing, send_all
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.runtime.tasks import all_of, cancel
from services.watcher.alerts_told import read_alerts
from services.watcher.falco.follower import Desk, Follower, Pod
from services.watcher.falco.mark import Mark, open_mark

SKEW = timedelta(minutes=5)
"""By how much a node's clock and ours may differ."""
FIRST = timedelta(minutes=5)
FURTHEST = timedelta(days=1)
MARK_S = 30.0
LOOK_S = 60.0
CONTAINER = "falco"


class Falco:
    """The followers of one cluster. `since` is from when on alerts count."""

    def __init__(self, settings: Settings, cluster: Cluster, desk: Desk, since: datetime) -> None:
        self.cluster, self.desk, self.since = cluster, desk, since
        self.namespace = settings.falco_namespace
        self.resource = cluster.resource("", "Pod")
        self.followers: dict[str, Follower] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.by_path: dict[str, str] = {}
        self.reflector = Reflector(
            cluster.session, self.resource, self._sight, clock=desk.clock, metrics=desk.metrics, log=desk.log,
            namespace=self.namespace, query={"labelSelector": settings.falco_selector},
        )  # fmt: skip

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._until_allowed()
            await self.reflector.run()
        finally:
            await cancel(*self.tasks.values())

    def read_up_to(self) -> datetime:
        """Up to when all logs were read; as long as the pods are not known that is where it began."""
        if not self.reflector.synced.is_set():
            return self.since
        contacts = (one.contact or one.since for one in self.followers.values())
        return min(contacts, default=self.desk.clock.now())

    async def _until_allowed(self) -> None:
        """Falco's pods must be listed; where they may not be, that is said once."""
        told = False
        while True:
            with suppress(ApiError):
                allowed = await self.cluster.allowed("list", self.resource, self.namespace)
                self.desk.metrics.set("unseen_kinds", 0 if allowed else 1, kind="pods of Falco")
                if allowed:
                    return
                if not told:
                    told = True
                    self.desk.log.warning("Falco's pods may not be listed", namespace=self.namespace)
            await self.desk.clock.sleep(LOOK_S)

    def _sight(self, sighting: Sighting) -> None:
        path = self.resource.path(sighting.key.namespace, sighting.key.name)
        uid = text(metadata_of(sighting.obj), "uid") if sighting.obj is not None else ""
        before = self.followers.get(self.by_path.get(path, ""))
        if before is not None and before.pod.uid != uid:
            before.gone = True
        pod = pod_of(path, sighting.obj) if sighting.obj is not None else None
        if pod is None:
            return
        self.by_path[path] = uid
        if uid in self.followers:
            self.followers[uid].pod, self.followers[uid].gone = pod, False
        else:
            self._start(pod)

    def _start(self, pod: Pod) -> None:
        since = max(self.since, self.desk.clock.now() - FURTHEST)
        follower = self.followers[pod.uid] = Follower(pod, since, self.desk)
        task = self.tasks[pod.uid] = asyncio.create_task(follower.run())
        task.add_done_callback(lambda task: self._ended(pod, task))
        self._gauge()

    def _ended(self, pod: Pod, task: "asyncio.Task[None]") -> None:
        self.followers.pop(pod.uid, None)
        self.tasks.pop(pod.uid, None)
        if self.by_path.get(pod.path) == pod.uid:
            del self.by_path[pod.path]
        self._gauge()
        if not task.cancelled() and task.exception() is not None:
            self.desk.log.error("a log is no longer followed", exc_info=task.exception())

    def _gauge(self) -> None:
        self.desk.metrics.set("followed_logs", len(self.followers))


def pod_of(path: str, obj: Object) -> Pod | None:
    """How to read Falco's log of this pod: the container of that name, else the first. None before one has started."""
    states = at(obj, ("status", "containerStatuses"))
    known = [one for one in (states if isinstance(states, list) else ()) if isinstance(one, dict)]
    state = next((one for one in known if one.get("name") == CONTAINER), known[0] if known else None)
    if state is None:
        return None
    starts = state.get("restartCount")
    starts = starts if isinstance(starts, int) else 0
    if not starts and at(state, ("state", "waiting")) is not None:
        return None
    return Pod(path, text(metadata_of(obj), "uid"), text(state, "name"), starts)


def begin(mark: datetime | None, now: datetime) -> datetime:
    """From when on the logs are read, given the last mark."""
    return max(mark - SKEW, now - FURTHEST) if mark is not None else now - FIRST


async def follow_falco(
    settings: Settings, cluster: Cluster, producer: AIOKafkaProducer, partitions: int, *, clock: Clock,
    metrics: Metrics, log: Log,
) -> None:  # fmt: skip
    """Until cancelled; whatever fails is tried again, and nothing else waits for it."""
    backoff = Backoff(first=1.0)
    while True:
        try:
            await _follow(settings, cluster, producer, partitions, clock, metrics, log)
        except (Temporary, KafkaError, ApiError) as error:
            metrics.inc("loop_errors_total")
            log.warning("Falco's logs are followed later", error=str(error))
        await clock.sleep(backoff.next())


async def _follow(
    settings: Settings, cluster: Cluster, producer: AIOKafkaProducer, partitions: int, clock: Clock, metrics: Metrics,
    log: Log,
) -> None:  # fmt: skip
    async def publish(events: Sequence[Event[AlertFired]]) -> None:
        await send_all(producer, [outgoing(TopicName.ALERTS, event, cluster.name) for event in events])
        metrics.inc("alert_events_total", len(events), source=MAKER, event="fired")

    bootstrap, group = str(settings.kafka), f"{settings.group_prefix}-watcher-{cluster.name}-falco"
    async with open_mark(bootstrap, group, cluster.name, partitions) as (mark, was):
        since = begin(was, clock.now())
        desk = Desk(cluster.session, cluster.name, publish, clock, metrics, log)
        async for said in read_alerts(bootstrap, cluster.name, partitions, since - SKEW):
            if said.maker == MAKER:
                desk.known.add(said.id)
        falco = Falco(settings, cluster, desk, since)
        await all_of([falco.run(), _keep_mark(mark, falco, clock, log)])


async def _keep_mark(mark: Mark, falco: Falco, clock: Clock, log: Log) -> None:
    while True:
        try:
            await mark.set(falco.read_up_to())
        except KafkaError as error:
            log.info("the mark of Falco's logs stays where it is", error=str(error))
        await clock.sleep(MARK_S)
