"""The reconciler over a real broker, with a cluster in memory at the edge."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from schemas.events import (
    ActionFinished,
    ActionStarted,
    ControlKind,
    ControlRemoved,
    ControlSet,
    DecisionMade,
    Event,
    Mode,
    Outcome,
    Reason,
    Scope,
    Verdict,
    make_event,
    parse_event,
)
from schemas.ledger import TargetState
from schemas.policy import Policy
from schemas.target import Target
from schemas.topics import TopicName
from services.kube.declaration.baselines import Declared
from services.kube.objects import ObjectKey
from services.local.broker import LocalBroker
from services.local.prepare import Parts
from services.reconciler.journal import open_journal
from services.reconciler.service import reconcile
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import (
    Outgoing,
    admin,
    cluster_partition,
    ensure_topics,
    make_consumer,
    make_producer,
    outgoing,
    send_all,
    started,
)  # fmt: skip
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.rules import Written
from services.runtime.settings import Settings
from tests.reconciler_kit import FakeHands, clear, declared, drift, key_of, policy, target_of

pytestmark = pytest.mark.integration
PARTITIONS = 3
WITHIN_S = 90.0
"""For what takes a moment: a busy machine may need many of them."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_broker(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalBroker]:
    """A broker of this module's own: the ledger topic has one name, and other tests' rows would be resumed here."""
    broker = LocalBroker(tmp_path_factory.mktemp("broker"), parts.kafka.jars, parts.kafka.java)
    await broker.start()
    await ensure_topics(Settings(kafka=broker.bootstrap, partitions=PARTITIONS))
    yield broker
    await broker.stop()


class Running:
    """One reconciler, and what went over its topics."""

    def __init__(self, bootstrap: str, hands: FakeHands, policies: tuple[Policy, ...]) -> None:
        self.bootstrap, self.hands = bootstrap, hands
        self.partition = cluster_partition(hands.name, PARTITIONS)
        self.policies = policies
        self.declared: dict[ObjectKey, Declared] = {}
        self.metrics = Metrics("reconciler")
        self.health = Health("reconciler", SystemClock())
        self.stop = asyncio.Event()

    async def run(self) -> None:
        await reconcile(
            Settings(kafka=self.bootstrap), hands=self.hands, declared=lambda: self.declared,
            rules=lambda: Written(self.policies), clock=SystemClock(), health=self.health, metrics=self.metrics,
            log=get_log("reconciler"), stop=self.stop,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        self.stop.clear()
        self.health.require("partitions", lambda: "not started yet")
        task = asyncio.create_task(self.run())
        try:
            await until(lambda: task.done() or not self.health.problems())
            yield task
        finally:
            self.stop.set()
            await asyncio.wait_for(task, WITHIN_S)

    def declare(self, target: Target, replicas: int = 3) -> None:
        self.declared[key_of(target)] = declared(target, replicas)

    async def tell(self, *data: Any) -> list[Event[Any]]:
        """Drift events, as a watcher would send them."""
        events = [
            make_event(
                one, id=f"{one.drift_id}-{getattr(one, 'update', 'cleared')}", source="test",
                subject=one.target.subject, time=SystemClock().now(), correlationid=one.drift_id,
            )
            for one in data
        ]  # fmt: skip
        await self.send(*(outgoing(TopicName.DRIFT, event, self.hands.name, self.partition) for event in events))
        return events

    async def control(self, data: ControlSet | ControlRemoved) -> Event[Any]:
        """A control, as the commands would send it."""
        now = SystemClock().now()
        event = make_event(
            data, id=f"{data.name}-{now.isoformat()}", source="test", subject="", time=now, correlationid="c"
        )
        key = f"{data.scope.cluster}/{data.name}"
        await self.send(outgoing(TopicName.CONTROL, event, key, self.partition))
        return event

    def metrics_of(self, name: str) -> float:
        return sum(
            sample.value for family in self.metrics.registry.collect() for sample in family.samples
            if sample.name == name
        )  # fmt: skip

    async def send(self, *records: Outgoing) -> None:
        async with started(make_producer(self.bootstrap, client_id="test")) as producer:
            await send_all(producer, records)

    async def read(self, topic: TopicName, partition: int | None = None) -> list[Any]:
        """Every committed record of a topic's partition."""
        place = TopicPartition(topic, self.partition if partition is None else partition)
        found: list[Any] = []
        async with started(make_consumer(self.bootstrap, client_id="test", fetch_max_wait_ms=50)) as consumer:
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            await consumer.seek_to_beginning(place)
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found.extend(records)
        return found

    async def events(self, topic: TopicName) -> list[Event[Any]]:
        events = [parse_event(record.value) for record in await self.read(topic)]
        return [event for event in events if event and event.data.target.cluster == self.hands.name]

    async def finished(self, count: int, seconds: float = WITHIN_S) -> list[Event[Any]]:
        """Wait for that many ended actions."""
        async with asyncio.timeout(seconds):
            while True:
                found = [e for e in await self.events(TopicName.ACTIONS) if isinstance(e.data, ActionFinished)]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.05)

    async def consumed(self) -> None:
        """Wait until every drift that was told is behind the reconciler."""
        place, group = TopicPartition(TopicName.DRIFT, self.partition), f"setpoint-reconciler-{self.hands.name}"
        async with started(make_consumer(self.bootstrap, client_id="test")) as consumer:
            end = (await consumer.end_offsets([place]))[place]
        async with started(admin(self.bootstrap)) as client:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    offsets = await client.list_consumer_group_offsets(group, partitions=[place])
                    if offsets[place].offset >= end:
                        return
                    await asyncio.sleep(0.05)

    async def rests(self) -> TargetState:
        """Wait until the ledger's newest row of this cluster has neither a drift nor an action under way."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                values = [record.value for record in await self.read(TopicName.LEDGER) if record.value]
                rows = [TargetState.model_validate_json(value) for value in values]
                mine = [row for row in rows if row.target.cluster == self.hands.name]
                if mine and (mine[-1].drift, mine[-1].in_flight) == (None, None):
                    return mine[-1]
                await asyncio.sleep(0.05)

    async def decided(self, reason: Reason, seconds: float = WITHIN_S) -> Event[Any]:
        """Wait for a decision with this reason."""
        async with asyncio.timeout(seconds):
            while True:
                for event in await self.events(TopicName.DECISIONS):
                    if event.data.reason is reason:
                        return event
                await asyncio.sleep(0.05)


async def until(true: Any, seconds: float = WITHIN_S) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what it waits for is another service's state
            await asyncio.sleep(0.02)


async def test_a_drift_is_corrected_once(own_broker: LocalBroker) -> None:
    """Detected → decided, started, applied, finished, all with one correlation, each caused by the one before."""
    run = Running(own_broker.bootstrap, FakeHands("one"), (policy(),))
    target = target_of(cluster="one")
    run.declare(target)
    run.hands.put(target, 5)
    async with run.running():
        (trigger,) = await run.tell(drift(target, version=run.hands.version))
        (finished,) = await run.finished(1)
        await run.tell(clear(target, version=run.hands.version))
        row = await run.rests()
    (decision,) = await run.events(TopicName.DECISIONS)
    started_, same = await run.events(TopicName.ACTIONS)
    assert same == finished
    assert finished.data.outcome is Outcome.SUCCEEDED
    assert isinstance(started_.data, ActionStarted)
    assert isinstance(decision.data, DecisionMade)
    assert (decision.causationid, started_.causationid, finished.causationid) == (trigger.id, decision.id, started_.id)
    assert {decision.correlationid, started_.correlationid, finished.correlationid} == {"d1"}
    assert run.hands.objects[key_of(target)]["spec"]["replicas"] == 3
    assert len(run.hands.writes) == 1
    assert row.drift is None


async def test_an_action_under_way_at_a_crash_is_finished_once(own_broker: LocalBroker) -> None:
    """Killed between the write and its record: taken up again, not written again, and exactly one end of it."""
    run = Running(own_broker.bootstrap, FakeHands("crash"), (policy(),))
    target = target_of(cluster="crash")
    run.declare(target)
    run.hands.put(target, 5)
    written = asyncio.Event()

    async def hang() -> None:
        if run.hands.writes:
            written.set()
            await asyncio.Event().wait()

    run.hands.before["judge"] = hang
    task = asyncio.create_task(run.run())
    await run.tell(drift(target, version=run.hands.version))
    await asyncio.wait_for(written.wait(), WITHIN_S)
    task.cancel()  # no goodbye: what it had is what the broker has
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(WITHIN_S):  # the broker writes a transaction's markers after it has answered
        while not (actions := await run.events(TopicName.ACTIONS)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert [type(event.data) for event in actions] == [ActionStarted]

    del run.hands.before["judge"]
    async with run.running():
        (finished,) = await run.finished(1)
        await asyncio.sleep(0.3)
    assert (finished.data.outcome, finished.data.resumed) == (Outcome.SUCCEEDED, True)
    assert len(await run.events(TopicName.ACTIONS)) == 2
    assert len(run.hands.writes) == 1


async def test_a_prune_cut_off_by_a_crash_is_finished_as_a_prune(own_broker: LocalBroker) -> None:
    """The ledger knows which action it was; what was deleted before the crash is not looked for under another name."""
    run = Running(own_broker.bootstrap, FakeHands("prune"), (policy(do=[{"prune": {}}]),))
    target = target_of("leftover", cluster="prune")
    run.declare(target_of(cluster="prune"))
    run.hands.put(target, 5)
    deleted = asyncio.Event()

    async def hang() -> None:
        if run.hands.writes:
            deleted.set()
            await asyncio.Event().wait()

    run.hands.before["find"] = hang
    task = asyncio.create_task(run.run())
    await run.tell(drift(target, version=run.hands.version, state="unwanted", prune="delete"))
    await asyncio.wait_for(deleted.wait(), WITHIN_S)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del run.hands.before["find"]
    async with run.running():
        (finished,) = await run.finished(1)
    assert (finished.data.action, finished.data.outcome, finished.data.resumed) == ("prune", Outcome.SUCCEEDED, True)
    assert run.hands.writes == [("put_away", key_of(target))]


async def test_nothing_is_pruned_for_a_baseline_that_is_not_known_here(own_broker: LocalBroker) -> None:
    """Where nothing is declared, everything looks undeclared."""
    run = Running(own_broker.bootstrap, FakeHands("unknown"), (policy(do=[{"prune": {}}]),))
    target = target_of("leftover", cluster="unknown")
    run.hands.put(target, 5)
    async with run.running():
        await run.tell(drift(target, version=run.hands.version, state="unwanted", prune="delete"))
        (finished,) = await run.finished(1)
    assert (finished.data.outcome, finished.data.reason) == (Outcome.SUPERSEDED, Reason.NOT_DECLARED)
    assert run.hands.writes == []


async def test_a_question_is_recorded_once(own_broker: LocalBroker) -> None:
    """A restart asks nobody again."""
    run = Running(own_broker.bootstrap, FakeHands("ask"), (policy(),))
    target = target_of(cluster="ask")
    run.declare(target)
    for _ in range(2):
        async with run.running():
            await run.tell(drift(target, state="changed", reason="immutable", message="selector", version=5))
            asked = await run.decided(Reason.IMMUTABLE)
            await run.consumed()
    assert asked.data.verdict is Verdict.ASK
    assert len(await run.events(TopicName.DECISIONS)) == 1
    assert run.hands.writes == []


async def test_a_zombie_writes_nothing(own_broker: LocalBroker) -> None:
    """Two owners of one partition: the older one is fenced, and its decisions never become readable.

    While the broker is still fencing it may answer the older one's commit with an unknown error instead.
    """
    run = Running(own_broker.bootstrap, FakeHands("fence"), (policy(),))
    target = target_of(cluster="fence")
    run.declare(target)
    async with run.running():
        group = "setpoint-reconciler-fence"
        rival = await open_journal(own_broker.bootstrap, f"{group}-{run.partition}", group)
        try:
            run.hands.put(target, 5)
            await run.tell(drift(target, version=run.hands.version))
            refused = ("setpoint_fences_total", "setpoint_loop_errors_total")
            await until(lambda: sum(run.metrics_of(name) for name in refused) >= 1)
            (finished,) = await run.finished(1)  # it comes back after a while, and then the rival is the zombie
            with pytest.raises(KafkaError):
                await rival.commit([], [], {TopicPartition(TopicName.DRIFT, run.partition): 0})
        finally:
            await rival.close()
    assert finished.data.outcome is Outcome.SUCCEEDED
    assert len(await run.events(TopicName.DECISIONS)) == 1


async def test_two_members_share_and_take_over(own_broker: LocalBroker) -> None:
    """Each drift is decided once while members come and go, and both inputs of a cluster are with one owner."""
    hands = FakeHands("share")
    runs = [Running(own_broker.bootstrap, hands, (policy(),)) for _ in range(2)]
    targets = [target_of(f"web-{number}", cluster="share") for number in range(30)]
    for target in targets:
        hands.put(target, 5)
        for run in runs:
            run.declare(target)
    first, second = runs
    async with first.running():
        await first.tell(*(drift(one, life=one.name, version=hands.version) for one in targets[:10]))
        async with second.running():
            await first.tell(*(drift(one, life=one.name, version=hands.version) for one in targets[10:20]))
            await first.finished(20)
        await first.tell(*(drift(one, life=one.name, version=hands.version) for one in targets[20:]))
        finished = await first.finished(30)
    assert {event.data.outcome for event in finished} == {Outcome.SUCCEEDED}
    assert len({event.id for event in finished}) == len(finished) == len(hands.writes) == 30
    decisions = await first.events(TopicName.DECISIONS)
    assert sorted(event.data.drift_id for event in decisions) == sorted(one.name for one in targets)


async def test_an_unreadable_record_goes_to_the_dead_letters(own_broker: LocalBroker) -> None:
    """As it was, with where and why; and the ones behind it are read."""
    run = Running(own_broker.bootstrap, FakeHands("dead"), (policy(),))
    target = target_of(cluster="dead")
    run.declare(target)
    run.hands.put(target, 5)
    async with run.running():
        await run.send(Outgoing(TopicName.DRIFT, b"dead", b'{"type": "secret-hunter2', run.partition))
        await run.tell(drift(target, version=run.hands.version))
        await run.finished(1)
    letters = [letter for letter in await run.read(TopicName.DEAD_LETTER, 0) if letter.key == b"dead"]
    (letter,) = letters
    headers = dict(letter.headers)
    assert letter.value == b'{"type": "secret-hunter2'
    assert headers["original-topic"] == b"setpoint-drift"
    assert headers["original-partition"] == str(run.partition).encode()
    assert b"hunter2" not in headers["error"]


async def test_a_pause_holds_and_a_resume_lets_go(own_broker: LocalBroker) -> None:
    """Over the control topic, also for a process that starts while the pause is on."""
    run = Running(own_broker.bootstrap, FakeHands("pause"), (policy(),))
    target = target_of(cluster="pause")
    run.declare(target)
    run.hands.put(target, 5)
    await run.control(ControlSet(name="p", kind=ControlKind.PAUSE, scope=Scope(cluster="pause"), by="ann"))
    async with run.running():
        await run.tell(drift(target, version=run.hands.version))
        assert "ann" in (await run.decided(Reason.PAUSED)).data.message
    async with run.running():
        await asyncio.sleep(0.3)
        assert run.hands.writes == []
        lifted = await run.control(ControlRemoved(name="p", scope=Scope(cluster="pause"), by="ann"))
        (finished,) = await run.finished(1)
        assert finished.data.outcome is Outcome.SUCCEEDED
    assert (await run.decided(Reason.POLICY)).causationid == lifted.id


async def test_new_policies_decide_what_is_open(own_broker: LocalBroker) -> None:
    """Without a new event, within a few seconds."""
    run = Running(own_broker.bootstrap, FakeHands("reload"), (policy(mode=Mode.OBSERVE),))
    target = target_of(cluster="reload")
    run.declare(target)
    run.hands.put(target, 5)
    async with run.running():
        await run.tell(drift(target, version=run.hands.version))
        await run.decided(Reason.OBSERVE_MODE)
        run.policies = (policy(),)
        (finished,) = await run.finished(1)
    assert finished.data.outcome is Outcome.SUCCEEDED


async def test_clusters_on_one_broker_do_not_meet(own_broker: LocalBroker) -> None:
    """Each cluster's reconciler decides its own drifts, all of them and no others, whatever partition they share."""
    runs = [Running(own_broker.bootstrap, FakeHands(name), (policy(),)) for name in ("mine", "theirs", "ours")]
    async with AsyncExitStack() as stack:
        for run in runs:
            await stack.enter_async_context(run.running())
        for run in runs:
            target = target_of(cluster=run.hands.name)
            run.declare(target)
            run.hands.put(target, 5)
            await run.tell(drift(target, version=run.hands.version))
        for run in runs:
            (finished,) = await run.finished(1)
            assert finished.data.outcome is Outcome.SUCCEEDED
    for run in runs:
        assert [event.data.verdict for event in await run.events(TopicName.DECISIONS)] == [Verdict.ACT]
        assert len(run.hands.writes) == 1


async def test_the_broker_may_go_away_and_come_back(parts: Parts, tmp_path: Path) -> None:
    """Killed while actions are under way: nothing is lost, nothing is done twice, and it is ready again by itself."""
    broker = LocalBroker(tmp_path, parts.kafka.jars, parts.kafka.java)
    await broker.start()
    await ensure_topics(Settings(kafka=broker.bootstrap, partitions=PARTITIONS))
    run = Running(broker.bootstrap, FakeHands("away"), (policy(),))
    targets = [target_of(f"web-{number}", cluster="away") for number in range(20)]
    for target in targets:
        run.hands.put(target, 5)
        run.declare(target)
    run.hands.before["get"] = lambda: asyncio.sleep(0.5)
    async with run.running():
        await run.tell(*(drift(one, life=one.name, version=run.hands.version) for one in targets))
        await until(lambda: run.metrics_of("setpoint_actions_in_flight") > 0)
        await broker.kill()
        await asyncio.sleep(3)
        await broker.start()
        finished = await run.finished(20)
        await until(lambda: not run.health.problems())
    assert len({event.id for event in finished}) == len(finished) == 20
    assert {event.data.outcome for event in finished} == {Outcome.SUCCEEDED}
    assert len(run.hands.writes) == 20
    await broker.stop()
