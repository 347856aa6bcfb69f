"""The watcher's core: a sighting of an object becomes a verdict, and a verdict that is news becomes an event.

Sightings are cheap: an object that is as it was, or is as declared, ends in `sight` without a task. Everything else
waits by key in a queue, where the newest state wins, and a worker puts it to the judge and to the broker. A state
counts as told only once the broker has it; until then the key comes back, so that nothing is lost while the broker is
away and nothing piles up either.
"""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaProducer

from schemas.base import EventModel
from schemas.events import AuditObserved, DriftDetected, DriftState, FieldChange, FindingReason
from schemas.target import Target
from schemas.topics import TopicName
from services.kube.api.cluster import Cluster
from services.kube.api.errors import ApiError, Forbidden
from services.kube.api.parsing import shallow
from services.kube.api.reflector import Sighting
from services.kube.declaration.baselines import Declared
from services.kube.declaration.origins.motion import refuse_moving
from services.kube.declaration.origins.note import as_of
from services.kube.objects import Object, ObjectKey, metadata_of
from services.kube.verdict.judge import Finding, judge, local_fields, unjudged
from services.kube.verdict.unwanted import Rules, Unwanted, unwanted_by
from services.kube.writers.ownership import Owner
from services.kube.writers.traces import traces, who_rested
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import KafkaError, Outgoing, outgoing, send_all
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.workqueue import WorkQueue
from services.watcher.audit import Audit, Window, learned, news
from services.watcher.changes import change_event
from services.watcher.company import Company
from services.watcher.lives import Observed, advance, again, attributed
from services.watcher.memory import Memory
from services.watcher.undeclared import undeclared

WORKERS = 24
PATIENCE_S = 5.0
AGAIN_S = 5.0  # until what will not be seen to change is looked at again
RETELL = timedelta(days=1)  # an open drift is said again, well before the topic's retention forgets it
# Local verdicts for which no dry-run was tried.
NOT_ASKED = frozenset({FindingReason.UNKNOWN_FIELD, FindingReason.SUSPENDED, FindingReason.FAILING})


class Watcher:
    """Verdicts for the declared objects of one cluster."""

    def __init__(
        self, cluster: Cluster, producer: AIOKafkaProducer, *, clock: Clock, metrics: Metrics, log: Log, mask_key: bytes
    ) -> None:
        self.cluster, self.producer = cluster, producer
        self.clock, self.metrics, self.log, self.mask_key = clock, metrics, log, mask_key
        self.declared: Mapping[ObjectKey, Declared] = {}
        self.prune: Rules = {}
        self.memory = Memory()
        self.audit = Audit()
        self.queue: WorkQueue[ObjectKey] = WorkQueue()
        self.latest: dict[ObjectKey, tuple[Object | None, float]] = {}
        self.failures: dict[ObjectKey, Backoff] = {}
        self.refused: str | None = None  # why the broker did not take the last events
        self.sending: dict[int, float] = {}  # since when each worker waits for the broker
        self.company = Company(clock)

    def declare(self, declared: Mapping[ObjectKey, Declared], prune: Rules | None = None) -> set[ObjectKey]:
        """Take over a new declared state; what is said of undeclared objects is looked at again.

        The keys that are declared anew or otherwise: they have to be compared, which is left to whoever lists.
        """
        before, self.declared, self.prune = self.declared, declared, prune or {}
        for key in before.keys() | self.memory.drifts.keys():
            if key not in declared:
                self.queue.add(key)
        return {key for key, entry in declared.items() if key not in before or _differs(before[key], entry)}

    def sight(self, sighting: Sighting) -> None:
        """An object was seen, or seen to be gone. Never blocks, never raises."""
        key, obj = sighting.key, sighting.obj
        try:
            if obj is not None and self._quiet(key, obj, listed=sighting.source == "list"):
                return
        except Exception as error:  # noqa: BLE001 - an odd object must not end the watch; the worker names the failure
            whole, obj = obj, shallow(obj)
            if whole is obj:
                self.log.warning("an object could not be compared at once", object=str(key), error=repr(error))
        # While events wait only the key is kept; the object is read again when its turn comes.
        self.latest[key] = (None if self.unsent() else obj, self.clock.monotonic())
        self.queue.add(key)

    def missing(self, keys: Iterable[ObjectKey]) -> None:
        """Declared objects that a complete list did not hold."""
        for key in keys:
            drift = self.memory.drifts.get(key)
            if drift is None or drift.state is not DriftState.MISSING:
                self.queue.add(key)

    def compare(self, keys: Iterable[ObjectKey]) -> None:
        """Read these objects and judge them, whatever was told of them."""
        for key in keys:
            self.queue.add(key)

    def hear(self, entry: AuditObserved) -> None:
        """What the API server's audit says of a write; drifts that it may put a user's name to are judged again."""
        kind = self.cluster.catalogue.kind_of(entry.group, entry.resource)
        if kind is None:
            return
        key = ObjectKey(entry.group, kind, entry.namespace, entry.name)
        if entry.name and not any(key in known for known in (self.declared, self.memory.drifts, self.audit.ended)):
            return
        self.audit.add(key, entry, self.clock.monotonic())
        candidates = (*self.memory.drifts, *self.audit.ended)
        for one in [key] if entry.name else [one for one in candidates if one._replace(name="") == key]:
            drift = self.memory.drifts.get(one)
            open_news = drift and news(drift, self.audit.of(one, None), self.clock.now())
            if open_news or self._late_names(one):
                self.queue.add(one)

    def _late_names(self, key: ObjectKey) -> tuple[FieldChange, ...]:
        """What audit tells of an object's last drift that is over, and was not known then."""
        ended = self.audit.ended.get(key)
        fields = learned(ended, self.audit.of(key, None), self.clock.now()) if ended else ()
        return tuple(change for change in fields if ended and change not in ended.drift.fields)

    async def _attribute(self, key: ObjectKey) -> None:
        """Say who was behind a drift that was corrected before its audit came."""
        fields, ended = self._late_names(key), self.audit.ended.get(key)
        if not fields or not ended:
            return
        event = attributed(ended.drift, fields, self.clock.now())
        await self._send([outgoing(TopicName.DRIFT, event, self.cluster.name)])
        known = learned(ended, self.audit.of(key, None), self.clock.now())
        self.audit.ended[key] = ended._replace(drift=ended.drift.model_copy(update={"fields": known}))
        self.metrics.inc("drift_events_total", event="attributed")
        self.log.info("drift attributed", target=event.subject, correlation_id=event.correlationid)

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
        declared = self.declared.get(key)
        if declared is None or declared.rivals or declared.application or metadata_of(obj).get("deletionTimestamp"):
            return False  # more counts than what is kept here
        known = self.memory.objects.get(key)
        if known and listed:
            known.version = version_of(obj)  # a list is the truth, whatever was known
        if key in self.latest or key in self.queue.working:
            return False  # a worker may be about to tell another state than the one that is known
        packed = self.memory.pack(key, obj)
        if not listed:
            if known is None or known.packed != packed:
                return False
            known.found_again(version_of(obj), int(self.clock.now().timestamp()), traces(obj))
            return True
        if key in self.memory.drifts or (known and known.packed != packed):
            return False
        differing, added = local_fields(declared, obj, self.cluster.schemas[self._schema_key(key)])
        if differing or added:
            return False
        self.memory.keep(key, obj, packed, self.clock.now().timestamp())
        return True

    def _schema_key(self, key: ObjectKey) -> tuple[str, str, str]:
        return key.group, self.declared[key].version, key.kind

    async def _handle(self, key: ObjectKey) -> None:
        await self._attribute(key)
        declared = self.declared.get(key)
        live, since = self.latest.pop(key, (None, self.clock.monotonic()))
        if declared is None:
            await self._undeclared(key, live)
            return
        try:
            if live is None:  # a delete is confirmed, and a retry looks anew
                live = await self.cluster.get(key, declared.version)
        except Forbidden as error:
            await self._tell(key, declared, None, unjudged(FindingReason.FORBIDDEN, error.message))
            return
        if live is not None and self._is_old(key, live):
            return
        live = shallow(live)
        declared = as_of(declared, live)
        finding = await judge(self.cluster, declared, live)
        if finding.state:
            await refuse_moving(self.cluster, declared)
        self._count_dry_run(finding)
        self.metrics.observe("check_seconds", self.clock.monotonic() - since)
        await self._tell(key, declared, live, finding)
        if live is None and finding.reason is FindingReason.TERMINATING:
            self.queue.add_after(key, AGAIN_S)  # nothing will be seen of the object when its namespace is gone

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
        rested = who_rested(live, known.traces) if known and live else ()
        window = Window(datetime.fromtimestamp(known.seen, UTC), now, rested) if known else None
        seen = Observed(
            target, declared, live, finding, version, now, self.mask_key, writer if known else None,
            follows=self.memory.ended.get(key, ""), as_told=known is not None and known.packed == packed,
            hearsay=self.audit.of(key, window),
        )  # fmt: skip
        drift, event = advance(before, seen)
        if event is None and drift is not None and now - drift.detected_at > RETELL:
            drift, event = again(drift, now)
        records = [outgoing(TopicName.DRIFT, event, self.cluster.name)] if event else []
        hidden = live is None and finding.reason is FindingReason.FORBIDDEN  # out of sight, which is not gone
        records += [] if hidden else self._change(key, target, live, packed, version, writer)
        started = self.clock.monotonic()
        await self._send(records)
        self.memory.keep_drift(key, drift)
        if not hidden:
            self.memory.keep(key, live, packed, now.timestamp())
        self.audit.noticed(key, before, drift, window, self.clock.monotonic())
        if event and ((drift and news(drift, self.audit.of(key, None), self.clock.now())) or self._late_names(key)):
            self.queue.add(key)  # audit came while the broker took the event
        if event:
            self.metrics.observe("publish_seconds", self.clock.monotonic() - started)
            self.metrics.inc("drift_events_total", event=_word(event.data))
            self.log.info(
                f"drift {_word(event.data)}",
                target=target.subject, correlation_id=event.correlationid, engine=finding.engine,
                fields=[diff.path for diff in finding.fields],
            )  # fmt: skip

    async def _send(self, records: list[Outgoing]) -> None:
        """Wait for the broker for as long as it takes: a record that was given to the producer will be sent."""
        if not records:
            return
        if len(self.queue.waiting) >= WORKERS:
            await self.company.depart()
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

    async def _undeclared(self, key: ObjectKey, live: Object | None) -> None:
        """Nobody declares it: end what was told of it, and say so if a baseline wants it gone."""
        rules, before = self.prune.get((key.group, key.kind), ()), self.memory.drifts.get(key)
        if live is None and rules:
            live = await self.cluster.get(key, rules[0].version)
        rule = unwanted_by(rules, key, live) if live else None
        now = self.clock.now()
        drift, events = undeclared(
            before, self.target(key, live), live, Unwanted(key, rule, live) if rule and live else None,
            asked=bool(rules), follows=self.memory.ended.get(key, ""), now=now, mask_key=self.mask_key,
        )  # fmt: skip
        if not events and drift is not None and now - drift.detected_at > RETELL:
            drift, event = again(drift, now)
            events = [event]
        await self._send([outgoing(TopicName.DRIFT, event, self.cluster.name) for event in events])
        if before and (drift is None or drift.drift_id != before.drift_id):
            self.memory.keep_drift(key, None)
        self.memory.keep_drift(key, drift)
        self.memory.objects.pop(key, None)
        for event in events:
            self.metrics.inc("drift_events_total", event=_word(event.data))
            self.log.info(
                f"drift {_word(event.data)}", target=event.subject, correlation_id=event.correlationid,
                state=DriftState.UNWANTED if drift else "undeclared",
            )  # fmt: skip

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

    def _count_dry_run(self, finding: Finding) -> None:
        why = finding.reason
        if finding.engine == "dry-run":
            self.metrics.inc("dry_runs_total", result="ok")
        elif why and why not in NOT_ASKED and finding.state is not DriftState.UNJUDGED:
            self.metrics.inc("dry_runs_total", result="forbidden" if why is FindingReason.FORBIDDEN else "refused")


def _word(data: EventModel) -> str:
    """What a drift event says, as metrics and logs name it."""
    if isinstance(data, DriftDetected):
        return "updated" if data.update else "detected"
    return "cleared"


def _differs(one: Declared, other: Declared) -> bool:
    """Whether a live object has to be compared anew because its declaration has changed."""
    return (one.digest, one.baseline, one.version, one.rivals, one.revision) != (
        other.digest, other.baseline, other.version, other.rivals, other.revision,
    )  # fmt: skip


def version_of(live: Object) -> int:
    """The resourceVersion, which grows with every write (KEP-5504 promises that it can be compared)."""
    return int(live["metadata"]["resourceVersion"])
