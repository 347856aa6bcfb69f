"""A reconciler on a real broker and a real API server, and what it is told and says: for tests of the way from an
alert to its action. Every cluster name is of one test only, so that tests may share the parts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiokafka.structs import TopicPartition

from schemas.alerts import AlertFired, AlertResolved, Severity
from schemas.approvals import AnswerKind, ApprovalAnswered, ApprovalRequested
from schemas.base import EventModel
from schemas.events import Event, make_event, parse_event
from schemas.policy import Policy
from schemas.target import Target
from schemas.topics import TopicName
from services.kube.api.cluster import Cluster, open_cluster
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from services.reconciler.service import run_reconciler
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import (
    admin,
    cluster_partition,
    ensure_topics,
    make_consumer,
    make_producer,
    outgoing,
    send_all,
    shared_partitions,
    started,
)
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.rules import Written
from services.runtime.settings import Settings
from services.runtime.tasks import background
from tests.fakes import eventually
from tests.watching import random_name

PARTITIONS = 3
SAID = (TopicName.DECISIONS, TopicName.ACTIONS, TopicName.APPROVALS)
DataT = TypeVar("DataT", bound=EventModel)


@dataclass
class Reacting:
    """A cluster's reconciler, and everybody who speaks to it."""

    settings: Settings
    cluster: Cluster
    written: Written
    partitions: int
    clock: SystemClock = field(default_factory=SystemClock)
    health: Health = field(default_factory=lambda: Health("reconciler", SystemClock()))
    metrics: Metrics = field(default_factory=lambda: Metrics("reconciler"))

    @property
    def name(self) -> str:
        """Of the cluster, as events have it."""
        return self.cluster.name

    @property
    def partition(self) -> int:
        """The one that all of this cluster's events are on."""
        return cluster_partition(self.name, self.partitions)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With the reconciler at work; it ends in order with the block."""
        stop = asyncio.Event()
        self.health.require("partitions", lambda: "not started yet")
        service = run_reconciler(
            self.settings, cluster=self.cluster, declared=dict, rules=lambda: self.written, clock=self.clock,
            health=self.health, metrics=self.metrics, log=get_log("reconciler"), stop=stop,
        )  # fmt: skip
        async with background(service):
            await eventually(lambda: not self.health.problems(), what="the reconciler is ready")
            yield
            stop.set()
            await asyncio.sleep(0)

    def alert(self, target: Target, name: str = "Trouble", *, lasting: bool = True, **more: Any) -> AlertFired:
        """One that fires now."""
        now = self.clock.now()
        given = {"severity": Severity.CRITICAL, "onset": now, "alert_id": random_name("alert"), **more}
        return AlertFired(
            target=target, source="alertmanager", sender="main", name=name, lasting=lasting, fired_at=now, **given
        )

    async def tell(self, *alerts: AlertFired | AlertResolved) -> None:
        """As the gateway would."""
        async with started(make_producer(self.settings.kafka or "", client_id="test")) as producer:
            await send_all(
                producer, [outgoing(TopicName.ALERTS, self._event(one), self.name, self.partition) for one in alerts]
            )

    async def resolve(self, alert: AlertFired) -> None:
        """It is over."""
        shared = {name: getattr(alert, name) for name in ("alert_id", "target", "source", "sender", "name", "onset")}
        await self.tell(AlertResolved(**shared, resolved_at=self.clock.now()))

    async def answer(self, asked: ApprovalRequested, answer: AnswerKind, by: str = "ann") -> None:
        """As whoever takes answers would, once it knows who gave this one."""
        now = self.clock.now()
        data = ApprovalAnswered(
            approval_id=asked.approval_id, cluster=self.name, answer=answer, by=by, via="cli", at=now
        )
        event = make_event(data, id=random_name("answer"), source="test", subject="", time=now, correlationid="c")
        async with started(make_producer(self.settings.kafka or "", client_id="test")) as producer:
            await send_all(producer, [outgoing(TopicName.APPROVALS, event, self.name, self.partition)])

    async def said(self) -> list[Event[Any]]:
        """All it has committed about this cluster, in the order of time."""
        found = [event for topic in SAID for event in await self._read(topic)]
        return sorted(found, key=lambda event: event.time)

    async def all_of(self, kind: type[DataT]) -> list[DataT]:
        """What it has said of one type."""
        return [event.data for event in await self.said() if isinstance(event.data, kind)]

    async def until(self, kind: type[DataT], count: int = 1, within: float = 90.0) -> list[DataT]:
        """Wait for so many of one type."""

        async def there() -> list[DataT]:
            found = await self.all_of(kind)
            return found if len(found) >= count else []

        found: list[DataT] = await eventually(there, within, f"{count} {kind.__name__}")
        return found

    async def _read(self, topic: TopicName) -> list[Event[Any]]:
        place, found = TopicPartition(topic, self.partition), []
        async with started(make_consumer(self.settings.kafka or "", client_id="t", fetch_max_wait_ms=20)) as consumer:
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            await consumer.seek_to_beginning(place)
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(timeout_ms=50)).values():
                    found += [parse_event(record.value) for record in records if record.value]
        return [event for event in found if event and _cluster_of(event.data) == self.name]

    def _event(self, data: AlertFired | AlertResolved) -> Event[Any]:
        word = "fired" if isinstance(data, AlertFired) else "resolved"
        return make_event(
            data, id=f"{data.alert_id}-{word}", source="gateway/alertmanager/main", subject=data.target.subject,
            time=self.clock.now(), correlationid=data.alert_id,
        )  # fmt: skip


def policy(name: str, do: list[dict[str, Any]], **spec: Any) -> Policy:
    """One that answers every alert `Trouble`, and may act."""
    document = {
        "apiVersion": "setpoint.dev/v1alpha1", "kind": "Policy", "metadata": {"name": name},
        "spec": {"trigger": {"alert": "Trouble"}, "mode": "enforce", "do": do, **spec},
    }  # fmt: skip
    return Policy.model_validate(document)


@asynccontextmanager
async def reacting(
    broker: LocalBroker, plane: LocalControlPlane, *policies: Policy, **more: Any
) -> AsyncIterator[Reacting]:
    """Under these policies; `more` are settings."""
    name = random_name("react")
    settings = Settings(
        kafka=broker.bootstrap, partitions=PARTITIONS, group_prefix=name, cluster=name, kubeconfig=plane.kubeconfig,
        context=CONTEXT, mask_key="a key for tests only", **more,
    )  # fmt: skip
    await ensure_topics(settings)
    async with started(admin(broker.bootstrap)) as asking:
        partitions = await shared_partitions(asking)  # whichever test came first has made the topics
    async with AsyncExitStack() as stack:
        cluster = await open_cluster(plane.kubeconfig, CONTEXT, name)
        stack.push_async_callback(cluster.close)
        yield Reacting(settings, cluster, Written(policies), partitions)


def _cluster_of(data: Any) -> str | None:
    target = getattr(data, "target", None)
    return target.cluster if target else getattr(data, "cluster", None)
