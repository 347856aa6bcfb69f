"""The watcher's core: the newest state wins, nothing is told twice, and nothing is lost while a part is away."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError

from schemas.events import AuditObserved, ChangeObserved, DriftCleared, DriftDetected, Event, parse_event
from services.kube.api.discovery import Catalogue, Resource
from services.kube.api.errors import Forbidden, Unavailable
from services.kube.api.reflector import Sighting, Source
from services.kube.comparison.schema import UNKNOWN, SchemaNode
from services.kube.declaration.baselines import Declared
from services.kube.declaration.packing import Packer
from services.kube.objects import Object, ObjectKey, key_of
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.tasks import background
from services.watcher.company import GATHER_S
from services.watcher.watcher import WORKERS, Watcher
from tests.fakes import NOON, StillClock, eventually

KEY = ObjectKey("", "ConfigMap", "n", "c")
KINDS = ("ConfigMap", "Namespace")
VERBS = frozenset({"list", "watch"})


def config(value: str, version: int, uid: str = "u1", **metadata: Any) -> Object:
    entry = {"manager": f"writer-{version}", "operation": "Update", "time": "2026-11-24T11:00:00Z",
             "fieldsV1": {"f:data": {"f:a": {}}}}  # fmt: skip
    own = {"name": "c", "namespace": "n", "resourceVersion": str(version), "uid": uid, "managedFields": [entry]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**own, **metadata}, "data": {"a": value}}


def declared(value: str = "1", digest: str = "d1") -> dict[ObjectKey, Declared]:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"a": value}}
    packer = Packer()
    entry = Declared("base", key_of(obj), "v1", packer.pack(obj), packer, (), frozenset(), None, "f", 1, digest)
    return {KEY: entry}


class OneObject:
    """A cluster of one object, as a GET would see it."""

    name = "c1"

    def __init__(self) -> None:
        self.live: Object | None = None
        self.away = self.forbidden = False
        self.gets = 0
        self.catalogue = Catalogue([Resource("", "v1", kind, kind.lower(), True, VERBS) for kind in KINDS])
        self.schemas: dict[tuple[str, str, str], SchemaNode] = {("", "v1", "ConfigMap"): UNKNOWN}

    async def get(self, key: ObjectKey, version: str | None = None) -> Object | None:
        self.gets += 1
        if self.forbidden:
            raise Forbidden('User "u" cannot get resource', 403, "Forbidden")
        if self.away:
            raise Unavailable("away", 503)
        return {"metadata": {"name": key.name}} if key.kind == "Namespace" else self.live

    async def schema(self, manifest: Object) -> SchemaNode:
        return UNKNOWN

    async def apply(self, manifest: Object, *, dry_run: bool) -> Object:
        if self.away:
            raise Unavailable("away", 503)
        return manifest


class Broker:
    """A producer that keeps what it was given; it can be away, or slow."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.away = False
        self.slow: asyncio.Future[None] | None = None

    async def send(self, topic: str, *, value: bytes, **_: Any) -> Any:
        if self.away:
            raise KafkaTimeoutError
        self.values.append(value)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.slow is None:
            acknowledged.set_result(None)
            return acknowledged
        return self.slow

    def events(self) -> list[Event[Any]]:
        return [event for event in map(parse_event, self.values) if event]


class World:
    """A watcher with its workers, over fakes."""

    def __init__(self) -> None:
        self.cluster, self.broker, self.clock = OneObject(), Broker(), StillClock()
        self.metrics = Metrics("watcher")
        self.watcher = Watcher(
            self.cluster, self.broker, clock=self.clock, metrics=self.metrics, log=get_log("test"),  # type: ignore[arg-type]
            mask_key=b"key",
        )  # fmt: skip
        self.watcher.declare(declared())

    def see(self, obj: Object | None, source: Source = "watch") -> None:
        """An object is seen; a GET sees the same."""
        self.cluster.live = obj
        self.watcher.sight(Sighting(KEY, obj, source))

    async def settled(self) -> None:
        await eventually(lambda: not len(self.watcher.queue))

    def told(self) -> list[str]:
        """What went over the topics, in words."""
        return [word(event.data) for event in self.broker.events()]


def word(data: Any) -> str:
    if isinstance(data, DriftDetected):
        what = data.fields[0].live if data.fields else data.reason or data.state
        return f"{'updated' if data.update else 'detected'} {what}"
    return "cleared" if isinstance(data, DriftCleared) else f"{data.operation}"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    async with background(*(made.watcher.work() for _ in range(3))):
        yield made
    made.watcher.queue.close()


async def test_a_drift_from_first_sight_to_the_end(world: World) -> None:
    """Seen in sync, changed by somebody, changed again, put right: one life, and a change each."""
    world.see(config("1", 1), "list")
    world.see(config("2", 2))
    await world.settled()
    world.see(config("3", 3))
    await world.settled()
    world.see(config("1", 4))
    await world.settled()
    assert world.told() == ["detected 2", "updated", "updated 3", "updated", "cleared", "updated"]
    assert len({e.correlationid for e in world.broker.events() if not isinstance(e.data, ChangeObserved)}) == 1


async def test_what_is_as_declared_costs_no_task(world: World) -> None:
    """A first list of a thousand right objects queues nothing."""
    world.see(config("1", 1), "list")
    world.see(config("1", 2))  # a status was written
    assert len(world.watcher.queue) == 0
    assert world.watcher.memory.objects[KEY].version == 2


async def test_of_many_sightings_the_newest_is_judged(world: World) -> None:
    """A burst of writes to one object is one drift, not one a write."""
    world.see(config("1", 1), "list")
    for version in range(2, 12):
        world.see(config(str(version), version))
    await world.settled()
    assert world.told() == ["detected 11", "updated"]


async def test_audit_that_comes_while_an_event_is_being_told_counts(world: World) -> None:
    """Heard within a broker's acknowledgement: the user is told of the drift that is known only after it."""
    entry = {"manager": "kubectl-edit", "operation": "Update", "time": "2026-11-24T12:00:00Z",
             "fieldsV1": {"f:data": {"f:a": {}}}}  # fmt: skip
    world.see(config("1", 1), "list")
    slow = world.broker.slow = asyncio.get_running_loop().create_future()
    world.see(config("2", 2, managedFields=[entry]))
    await eventually(lambda: world.broker.values)
    world.watcher.hear(AuditObserved(
        cluster="c1", group="", resource="configmap", namespace="n", name="c", verb="patch", user="alice",
        manager="kubectl-edit", received=NOON, time=NOON + timedelta(seconds=1),
    ))  # fmt: skip
    world.broker.slow = None
    slow.set_result(None)
    await world.settled()
    last = [event.data for event in world.broker.events() if isinstance(event.data, DriftDetected)][-1]
    assert [(change.manager, change.user) for change in last.fields] == [("kubectl-edit", "alice")]


async def test_a_state_that_returns_while_another_is_being_told_is_not_missed(world: World) -> None:
    """There and back within a broker's acknowledgement: what was told last is what is there."""
    world.see(config("1", 1), "list")
    world.broker.slow = asyncio.get_running_loop().create_future()
    world.see(config("2", 2))
    await eventually(lambda: world.broker.values)
    world.see(config("1", 3))  # equal to what is remembered as told, since 2 is not acknowledged yet
    slow, world.broker.slow = world.broker.slow, None
    slow.set_result(None)
    await world.settled()
    assert world.told() == ["detected 2", "updated", "cleared", "updated"]
    assert world.watcher.memory.drifts == {}


async def test_a_watch_that_lags_behind_a_read_tells_nothing_old(world: World) -> None:
    """A worker has read and told version 5; the watch comes with 4 only then."""
    world.see(config("1", 1), "list")
    world.see(config("2", 5))
    await world.settled()
    world.watcher.sight(Sighting(KEY, config("9", 4), "watch"))
    await world.settled()
    assert world.told() == ["detected 2", "updated"]


async def test_a_list_is_believed_whatever_was_known(world: World) -> None:
    """A cluster that was restored from a backup begins to count anew."""
    world.see(config("1", 1000), "list")
    world.see(config("2", 7), "list")
    await world.settled()
    assert world.told() == ["detected 2", "updated"]


async def test_nothing_is_lost_while_the_broker_is_away(world: World) -> None:
    """Nothing is kept but the key; afterwards the state of then is told, once, with one id."""
    world.see(config("1", 1), "list")
    world.broker.away = True
    for version in range(2, 6):
        world.see(config(str(version), version))
        await eventually(world.watcher.unsent)
    await eventually(lambda: world.watcher.latest == {})
    assert world.watcher.memory.drifts == {}
    world.broker.away = False
    await world.settled()
    assert world.told() == ["detected 5", "updated"]
    assert world.watcher.unsent() is None


async def test_a_broker_that_does_not_answer_is_waited_for(world: World) -> None:
    """What was given to the producer will be sent, so nothing else is told of that object before; and it is said."""
    world.see(config("1", 1), "list")
    world.broker.slow = asyncio.get_running_loop().create_future()
    world.see(config("2", 2))
    await eventually(lambda: world.watcher.sending)
    assert world.watcher.unsent() is None
    world.clock.advance(60)
    assert "60 s" in str(world.watcher.unsent())
    world.see(config("1", 3))
    assert world.watcher.latest[KEY][0] is None  # only the key is kept while events wait
    slow, world.broker.slow = world.broker.slow, None
    slow.set_result(None)
    await world.settled()
    assert world.told() == ["detected 2", "updated", "cleared", "updated"]
    assert world.watcher.unsent() is None


async def test_only_in_a_storm_do_events_wait_for_company(world: World) -> None:
    """A single drift is told at once; of many that wait for a turn, those that are told at a time leave together."""
    world.see(config("2", 1))
    await world.settled()
    assert GATHER_S not in world.clock.slept
    many = {KEY._replace(name=f"c{number}") for number in range(4 * WORKERS)}
    world.watcher.declare(declared() | {key: replace(declared()[KEY], key=key) for key in many})
    for key in many:
        world.watcher.sight(Sighting(key, config("2", 2, name=key.name), "watch"))
    await world.settled()
    assert world.told().count("detected 2") == 1 + len(many)
    assert 0 < world.clock.slept.count(GATHER_S) <= len(many) / 2


async def test_what_was_put_right_while_the_broker_was_away_is_no_drift(world: World) -> None:
    """It was never told, so there is nothing to clear."""
    world.see(config("1", 1), "list")
    world.broker.away = True
    world.see(config("2", 2))
    await eventually(world.watcher.unsent)
    world.see(config("1", 3))
    world.broker.away = False
    await world.settled()
    assert world.told() == []


async def test_an_api_server_that_is_away_gives_no_verdict(world: World) -> None:
    """It is judged again once it is back, on what is there then."""
    world.see(config("1", 1), "list")
    world.cluster.away = True
    world.see(config("2", 2))
    await eventually(lambda: world.watcher.failures)
    world.cluster.live, world.cluster.away = config("3", 3), False
    await world.settled()
    assert world.told() == ["detected 3", "updated"]


async def test_a_deleted_object_is_missing_once_that_is_confirmed(world: World) -> None:
    """With the uid that it had; made again, it is in sync."""
    world.see(config("1", 1), "list")
    world.see(None)
    await world.settled()
    world.see(config("1", 9, "u2"))
    await world.settled()
    assert world.told() == ["detected missing", "deleted", "cleared", "created"]
    assert [event.data.target.uid for event in world.broker.events()] == ["u1", "u1", "u1", "u2"]


async def test_a_delete_that_was_made_good_at_once_is_no_drift(world: World) -> None:
    """The event says deleted, the API server has it again."""
    world.see(config("1", 1), "list")
    world.cluster.live = config("1", 3, "u2")
    world.watcher.sight(Sighting(KEY, None, "watch"))
    await world.settled()
    assert world.told() == []


async def test_an_object_that_ends_is_not_judged_and_said_to_end(world: World) -> None:
    """A finalizer holds it; to put it back now would be in vain. Once it is gone, it is missing, in the same life."""
    world.see(config("1", 1), "list")
    world.see(config("1", 2, deletionTimestamp="2026-11-24T12:00:00Z", finalizers=["example.org/hold"]))
    await world.settled()
    world.see(None)
    await world.settled()
    assert world.told() == ["detected terminating", "updated", "updated missing", "deleted"]
    first, _, second, _ = world.broker.events()
    assert "held by example.org/hold" in first.data.message
    assert (second.data.drift_id, second.data.reason) == (first.data.drift_id, None)


async def test_a_restored_drift_is_closed_where_it_was_corrected_meanwhile(world: World) -> None:
    """After a restart; and what changed while nobody watched is not told as a creation."""
    await _restored(world, config("2", 2))
    world.see(config("1", 3), "list")
    await world.settled()
    assert world.told() == ["cleared"]


async def test_a_restored_drift_that_is_still_there_is_not_opened_again(world: World) -> None:
    """No event at all."""
    await _restored(world, config("2", 2))
    world.see(config("2", 2), "list")
    await world.settled()
    assert world.told() == []


async def test_a_restored_drift_whose_object_was_deleted_meanwhile_is_missing(world: World) -> None:
    """The list does not hold it, so it is looked for."""
    await _restored(world, config("2", 2))
    world.cluster.live = None
    world.watcher.missing([KEY])
    await world.settled()
    assert world.told() == ["updated missing"]
    world.watcher.missing([KEY])
    assert len(world.watcher.queue) == 0


async def _restored(world: World, live: Object) -> None:
    """As if this process had just started, with the drift that an earlier one told."""
    world.see(config("1", 1), "list")
    world.see(live)
    await world.settled()
    world.watcher.memory.objects.clear()
    world.broker.values.clear()


async def test_what_is_no_longer_declared_is_closed(world: World) -> None:
    """And what is declared again, unchanged, is another drift."""
    world.see(config("2", 2), "list")
    await world.settled()
    world.watcher.declare({})
    await world.settled()
    world.watcher.declare(declared())
    world.see(config("2", 2), "list")
    await world.settled()
    assert world.told() == ["detected 2", "cleared", "detected 2"]
    ids = [event.data.drift_id for event in world.broker.events()]
    assert ids[0] == ids[1] != ids[2]


async def test_a_drift_is_said_again_before_the_topic_forgets_it(world: World) -> None:
    """After a day, as an update of the same life, and only if it is still one."""
    world.see(config("2", 2), "list")
    await world.settled()
    world.watcher.retell()
    assert len(world.watcher.queue) == 0
    world.clock.advance(timedelta(days=1, seconds=1).total_seconds())
    world.watcher.retell()
    await world.settled()
    assert world.told() == ["detected 2", "updated 2"]
    first, second = world.broker.events()
    assert (second.data.update, second.data.drift_id) == (1, first.data.drift_id)


async def test_an_odd_object_does_not_end_the_watch(world: World) -> None:
    """It is named in the log and tried again; others go on."""
    world.watcher.sight(Sighting(KEY, {"metadata": {"name": "c"}}, "watch"))
    await eventually(lambda: world.watcher.failures)
    world.see(config("2", 2))
    await world.settled()
    assert world.told() == ["detected 2"]


async def test_an_object_out_of_sight_is_not_taken_for_deleted(world: World) -> None:
    """The token lost its rights: that is said, no deletion is, and what is seen again was never away."""
    world.see(config("1", 1), "list")
    world.cluster.forbidden = True
    world.watcher.compare([KEY])
    await world.settled()
    world.cluster.forbidden = False
    world.see(config("1", 1), "list")
    await world.settled()
    assert world.told() == ["detected forbidden", "cleared"]


async def test_an_object_that_two_baselines_declare_is_said_so_though_it_is_as_declared(world: World) -> None:
    """Whichever of them is right; and once one of them lets go, it is over."""
    both = {KEY: replace(declared()[KEY], rivals=("other",))}
    assert world.watcher.declare(both) == {KEY}
    world.see(config("1", 1), "list")
    await world.settled()
    assert world.watcher.declare(declared()) == {KEY}
    world.watcher.compare([KEY])
    await world.settled()
    assert world.told() == ["detected claimed-twice", "cleared"]


async def test_a_new_declared_state_names_what_has_to_be_compared(world: World) -> None:
    """The same again names nothing."""
    assert world.watcher.declare(declared()) == set()
    assert world.watcher.declare(declared("2", digest="d2")) == {KEY}


async def test_an_object_nested_too_deeply_is_judged_as_far_as_it_goes(world: World) -> None:
    """Its other fields are compared like any, and nothing is tried again and again."""
    deep: Object = {}
    for _ in range(900):
        deep = {"a": deep}
    world.see({**config("1", 1), "more": deep}, "list")
    world.see({**config("2", 2), "more": deep})
    await world.settled()
    assert world.told()[0] == "detected 2"
    assert world.watcher.failures == {}
