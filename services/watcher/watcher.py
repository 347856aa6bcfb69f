"""The watcher's core: a sighting of an object becomes a verdict, and a verdict that is news becomes an event.

Sightings are cheap: an object that is as it was, or is as declared, ends in `sight` without a task. Everything else
waits by key in a queue, where the newest state wins, and a worker puts it to the judge and to the broker. A state
counts as told only once the broker has it; until then the key comes back, so that nothing is lost while the broker is
away and nothing piles up either.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta

from aiokafka import AIOKafkaProducer

from schemas.events import ClearedReason, DriftDetected
from schemas.target import Target
from schemas.topics import TopicName
from services.kube.baselines import Declared
from services.kube.cluster import Cluster
from services.kube.errors import ApiError
from services.kube.judge import Finding, judge, local_fields
from services.kube.objects import Object, ObjectKey, metadata_of
from services.kube.ownership import Owner
from services.kube.reflector import Sighting
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import KafkaError, Outgoing, outgoing, send_all
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.workqueue import WorkQueue
from services.watcher.changes import change_event
from services.watcher.lives import Observed, advance, again, cleared
from services.watcher.memory import Memory

WORKERS = 24
PATIENCE_S = 5.0
RETELL = timedelta(days=1)  # an open drift is said again, well before the topic's retention forgets it


class Watcher:
    """Verdicts for the declared objects of one cluster."""

    def __init__(
        self, cluster: Cluster, producer: AIOKafkaProducer, *, clock: Clock, metrics: Metrics, log: Log, mask_key: bytes
    ) -> None:
        self.cluster, self.producer = cluster, producer
        self.clock, self.metrics, self.log, self.mask_key = clock, metrics, log, mask_key
        self.declared: Mapping[ObjectKey, Declared] = {}
        self.memory = Memory()
        self.queue: WorkQueue[ObjectKey] = WorkQueue()
        self.latest: dict[ObjectKey, tuple[Object | None, float]] = {}
        self.failures: dict[ObjectKey, Backoff] = {}
        self.refused: str | None = None  # why the broker did not take the last events
        self.sending: dict[int, float] = {}  # since when each worker waits for the broker

    def declare(self, declared: Mapping[ObjectKey, Declared]) -> None:
        """Take over a new declared state; drifts of what is no longer declared are closed."""
        before, self.declared = self.declared, declared
        for key in before.keys() | self.memory.drifts.keys():
            if key not in declared:
                self.queue.add(key)

    def sight(self, sighting: Sighting) -> None:
        """An object was seen, or seen to be gone. Never blocks, never raises."""
        key, obj = sighting.key, sighting.obj
        try:
            if obj is not None and self._quiet(key, obj, listed=sighting.source == "list"):
                return
        except Exception as error:  # noqa: BLE001 - an odd object must not end the watch; the worker names the failure
            self.log.warning("an object could not be compared at once", object=str(key), error=repr(error))
        # While events wait only the key is kept; the object is read again when its turn comes.
        self.latest[key] = (None if self.unsent() else obj, self.clock.monotonic())
        self.queue.add(key)

    def missing(self, keys: Iterable[ObjectKey]) -> None:
        """Declared objects that a complete list did not hold."""
        for key in keys:
            drift = self.memory.drifts.get(key)
            if drift is None or drift.state != "missing":
                self.queue.add(key)

    async def work(self) -> None:
        """One worker, until cancelled."""
        while True:
            key = await self.queue.get()
            try:
                await self._handle(key)
                self.failures.pop(key, None)
            except (ApiError, Temporary, KafkaError, OSError) as error:
                self._later(key, error)
            except Exception as error:
                self.log.error("an object could not be judged", object=str(key), exc_info=error)
                self._later(key, error)
            finally:
                self.queue.done(key)

    def _later(self, key: ObjectKey, error: Exception) -> None:
        if isinstance(error, KafkaError):
            self.refused = f"the broker refuses events: {error}"
        wait = self.failures.setdefault(key, Backoff(first=0.2, most=30.0)).next()
        self.latest.pop(key, None)  # it is read again then: nothing is kept in memory while a part is away
        self.metrics.inc("loop_errors_total")
        self.log.info("will be judged again", object=str(key), error=str(error), wait_s=round(wait, 2))
        self.queue.add_after(key, wait)

    def _quiet(self, key: ObjectKey, obj: Object, *, listed: bool) -> bool:
        """True where there is nothing to tell: the state is the one told last, or a list finds it as declared."""
        if metadata_of(obj).get("deletionTimestamp"):
            return True  # its end will be seen
        known = self.memory.objects.get(key)
        if known and listed:
            known.version = version_of(obj)  # a list is the truth, whatever was known
        if key in self.latest or key in self.queue.working:
            return False  # a worker may be about to tell another state than the one that is known
        packed = self.memory.pack(key, obj)
        if not listed:
            if known is None or known.packed != packed:
                return False
            known.version = max(known.version, version_of(obj))
            return True
        if key in self.memory.drifts or (known and known.packed != packed):
            return False
        differing, added = local_fields(self.declared[key], obj, self.cluster.schemas[self._schema_key(key)])
        if differing or added:
            return False
        self.memory.keep(key, obj, packed)
        return True

    def _schema_key(self, key: ObjectKey) -> tuple[str, str, str]:
        return key.group, self.declared[key].version, key.kind

    async def _handle(self, key: ObjectKey) -> None:
        declared = self.declared.get(key)
        live, since = self.latest.pop(key, (None, self.clock.monotonic()))
        if declared is None:
            await self._forget(key)
            return
        if live is None:  # a delete is confirmed, and a retry looks anew
            live = await self.cluster.get(key, declared.version)
        if live is not None and (metadata_of(live).get("deletionTimestamp") or self._is_old(key, live)):
            return
        finding = await judge(self.cluster, declared, live)
        if finding.engine == "dry-run" or finding.engine_reason:
            why = finding.engine_reason
            result = "forbidden" if why == "forbidden" else "refused" if why else "ok"
            self.metrics.inc("dry_runs_total", result=result)
        self.metrics.observe("check_seconds", self.clock.monotonic() - since)
        await self._tell(key, declared, live, finding)

    def _is_old(self, key: ObjectKey, live: Object) -> bool:
        """True for a state from a watch that lags behind what a worker has read and told."""
        known = self.memory.objects.get(key)
        return known is not None and version_of(live) < known.version

    async def _tell(self, key: ObjectKey, declared: Declared, live: Object | None, finding: Finding) -> None:
        known = self.memory.objects.get(key)
        version = str(metadata_of(live)["resourceVersion"]) if live else str(known.version if known else 0)
        target = self.target(key, live)
        now = self.clock.now()
        before = self.memory.drifts.get(key)
        writer = self.memory.writer(key, live)
        packed = self.memory.pack(key, live) if live else b""
        seen = Observed(
            target, declared, live, finding, version, now, self.mask_key, writer if known else None,
            follows=self.memory.ended.get(key, ""), as_told=known is not None and known.packed == packed,
        )  # fmt: skip
        drift, event = advance(before, seen)
        if event is None and drift is not None and now - drift.detected_at > RETELL:
            drift, event = again(drift, now)
        records = [outgoing(TopicName.DRIFT, event, self.cluster.name)] if event else []
        records += self._change(key, target, live, packed, version, writer)
        started = self.clock.monotonic()
        await self._send(records)
        self.memory.keep_drift(key, drift)
        self.memory.keep(key, live, packed)
        if event:
            self.metrics.observe("publish_seconds", self.clock.monotonic() - started)
            self._count(before, drift)
            self.log.info(
                "drift " + ("cleared" if drift is None else "updated" if before else "detected"),
                target=target.subject, correlation_id=event.correlationid, engine=finding.engine,
                fields=[diff.path for diff in finding.fields],
            )  # fmt: skip

    async def _send(self, records: list[Outgoing]) -> None:
        """Wait for the broker for as long as it takes: a record that was given to the producer will be sent."""
        if not records:
            return
        mark = id(records)
        self.sending[mark] = self.clock.monotonic()
        try:
            await send_all(self.producer, records)
            self.refused = None
        finally:
            del self.sending[mark]

    def unsent(self) -> str | None:
        """Why events wait, None where they do not."""
        waits = self.clock.monotonic() - min(self.sending.values(), default=math.inf)
        return f"the broker has not taken an event for {waits:.0f} s" if waits > PATIENCE_S else self.refused

    def _change(
        self, key: ObjectKey, target: Target, live: Object | None, packed: bytes, version: str, writer: Owner | None
    ) -> list[Outgoing]:
        known = self.memory.objects.get(key)
        if (known is None and live is None) or (known and live and known.packed == packed):
            return []
        drift = self.memory.drifts.get(key)
        if known is None and (drift is None or drift.state != "missing"):
            return []  # first sight after a start: what it was before is not known
        after = self.memory.packers[key.group, key.kind].unpack(packed) if live else None
        event = change_event(target, self.memory.before(key), after, live, writer, version, self.clock.now())
        if event is None:
            return []
        self.metrics.inc("changes_total", operation=event.data.operation)
        return [outgoing(TopicName.CHANGES, event, target.subject)]

    async def _forget(self, key: ObjectKey) -> None:
        drift = self.memory.drifts.get(key)
        if drift is not None:
            event = cleared(drift, self.clock.now(), drift.resource_version, None, ClearedReason.NOT_DECLARED)
            await self._send([outgoing(TopicName.DRIFT, event, self.cluster.name)])
            self.metrics.inc("drift_events_total", event="cleared")
        self.memory.keep_drift(key, None)
        self.memory.objects.pop(key, None)

    def retell(self) -> None:
        """Let the drifts be judged and said again that were last said more than a day ago."""
        now = self.clock.now()
        for key, drift in self.memory.drifts.items():
            if now - drift.detected_at > RETELL:
                self.queue.add(key)

    def target(self, key: ObjectKey, live: Object | None) -> Target:
        """The event's target; the uid of a deleted object is the one it had."""
        known = self.memory.objects.get(key)
        uid = str(metadata_of(live)["uid"]) if live else known.uid if known else None
        return Target(
            cluster=self.cluster.name, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name, uid=uid
        )

    def _count(self, before: DriftDetected | None, after: DriftDetected | None) -> None:
        self.metrics.inc(
            "drift_events_total", event="cleared" if after is None else "updated" if before else "detected"
        )


def version_of(live: Object) -> int:
    """The resourceVersion, which grows with every write (KEP-5504 promises that it can be compared)."""
    return int(live["metadata"]["resourceVersion"])
