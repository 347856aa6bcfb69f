"""Topics that others write, on a real broker: as falcosidekick writes them, without keys and headers."""

import asyncio
import json
import random
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError, ProducerFenced

from schemas.events import parse_event
from schemas.topics import TopicName
from services.gateway.intake import Intake, intakes_of
from services.gateway.sources import SOURCES
from services.gateway.taking import Taking
from services.local.broker import LocalBroker
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.journal import Journal
from services.runtime.kafka import Outgoing, admin, make_consumer, make_producer, started
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from services.runtime.tasks import background
from tests.fakes import eventually
from tests.integration.recorder_parts import own_broker

__all__ = ["own_broker"]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(700)]
PARTITIONS, ROUNDS = 3, 3
WRITTEN = {TopicName.ALERTS: 2, TopicName.DEAD_LETTER: 1}
"""What an intake writes, and how many partitions that has here."""
SEED = random.SystemRandom().randrange(2**32)


def said(number: int) -> bytes:
    """falcosidekick's record of the `number`-th alert; its `uuid` is another each time, as falcosidekick's is."""
    alert = {
        "uuid": str(uuid4()), "output": f"16:31:56: Error number {number}", "priority": "Error", "rule": "Shell",
        "time": f"2026-11-24T12:00:00.{number:09}Z", "source": "syscall", "hostname": "worker-1",
        "output_fields": {"k8s.ns.name": "shop", "k8s.pod.name": "cart-0", "proc.name": "sh"}, "tags": ["shell"],
    }  # fmt: skip
    return json.dumps(alert).encode()


class Topic:
    """One that somebody else writes, about a cluster of the test's own."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.name, self.cluster = f"falco-{uuid4().hex[:8]}", f"c-{uuid4().hex[:8]}"
        self.prefix, self.health = f"test-{uuid4().hex[:8]}", Health("gateway", SystemClock())

    async def create(self) -> None:
        async with started(admin(self.bootstrap)) as client:
            await client.create_topics([NewTopic(self.name, num_partitions=PARTITIONS, replication_factor=1)])

    async def write(self, values: Sequence[bytes | None], age: timedelta = timedelta()) -> None:
        """As falcosidekick does: nothing but a value. Record n goes to partition n modulo the count."""
        at = int((SystemClock().now() - age).timestamp() * 1000)
        async with started(make_producer(self.bootstrap, client_id="falcosidekick")) as producer:
            for future in [
                await producer.send(self.name, value, b"k" if value is None else None, number % PARTITIONS, at)
                for number, value in enumerate(values)
            ]:
                await future

    def settings(self) -> dict[str, Any]:
        return {self.name: {"source": "falcosidekick", "cluster": self.cluster}}

    def intake(self, metrics: Metrics | None = None) -> Intake:
        """One gateway's."""
        settings = Settings(kafka=self.bootstrap, group_prefix=self.prefix, intake=self.settings())
        return intakes_of(
            settings, SOURCES, clock=SystemClock(), health=self.health, metrics=metrics or Metrics("gateway"),
            log=get_log("gateway"),
        )[0]  # fmt: skip

    @asynccontextmanager
    async def taken_in(self, metrics: Metrics | None = None) -> AsyncIterator[Intake]:
        intake = self.intake(metrics)
        async with background(intake.run()):
            yield intake

    async def alerts(self) -> Counter[str]:
        """How often each alert is on the topic of alerts, by its summary."""
        found = [record for record in await everything(self.bootstrap, TopicName.ALERTS) if record.key]
        events = [parse_event(record.value) for record in found if record.key.decode() == self.cluster]
        return Counter(event.data.summary for event in events if event)

    async def has(self, count: int) -> bool:
        return len(await self.alerts()) >= count

    async def passed(self) -> int:
        """Up to where the group's offsets reach, over all partitions."""
        places = [TopicPartition(self.name, number) for number in range(PARTITIONS)]
        async with started(admin(self.bootstrap)) as client:
            try:
                found = await client.list_consumer_group_offsets(f"{self.prefix}-intake-{self.name}", partitions=places)
            except GroupCoordinatorNotAvailableError:  # there was no group on this broker so far
                return 0
        return sum(max(0, one.offset) for one in found.values())


async def everything(bootstrap: str, topic: TopicName) -> list[Any]:
    """All committed records of a topic."""
    records: list[Any] = []
    async with started(make_consumer(bootstrap, client_id="test", fetch_max_wait_ms=50)) as consumer:
        places = [TopicPartition(topic, number) for number in range(WRITTEN[topic])]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning(*places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for batch in (await consumer.getmany(timeout_ms=50)).values():
                records += batch
    return records


@pytest.fixture
async def topic(own_broker: LocalBroker) -> Topic:
    made = Topic(own_broker.bootstrap)
    await made.create()
    return made


async def test_no_alert_is_missing_or_double_after_many_kills(topic: Topic, tmp_path: Path) -> None:
    """SIGKILL at random moments, while records keep coming: at the end each record is one alert."""
    chance, produced = random.Random(SEED), 0
    print(f"seed {SEED}")
    for _ in range(ROUNDS):
        process = await gateway(topic, tmp_path)
        feeding = asyncio.create_task(topic.write([said(one) for one in range(produced, produced + 3000)]))
        produced += 3000
        before = await topic.passed()
        await eventually(lambda before=before: more(topic, before), within=120)  # type: ignore[misc]
        await asyncio.sleep(chance.random() * 0.3)  # the random moment itself
        await killed(process)
        await feeding
    process = await gateway(topic, tmp_path)
    try:
        await eventually(lambda: caught_up(topic, produced), within=180)
    finally:
        await killed(process)
    found = await topic.alerts()
    assert (len(found), found.total()) == (produced, produced), SEED


async def more(topic: Topic, than: int) -> bool:
    return await topic.passed() > than


async def caught_up(topic: Topic, produced: int) -> bool:
    return await topic.passed() == produced


async def gateway(topic: Topic, folder: Path) -> Process:
    """A gateway in a process of its own."""
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    environ = {
        "SETPOINT_INTAKE": json.dumps(topic.settings()), "SETPOINT_GROUP_PREFIX": topic.prefix,
        "SETPOINT_GATEWAY_SECRETS": str(secrets), "SETPOINT_GATEWAY_LISTEN": "127.0.0.1:0",
        "SETPOINT_KAFKA": topic.bootstrap,
    }  # fmt: skip
    with (folder / "log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli.main", "run", "gateway", env=environ, stdout=log, stderr=log
        )


async def killed(process: Process) -> None:
    process.kill()
    await process.wait()


async def test_a_transaction_that_did_not_end_leaves_nothing(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """All events are on the broker, and the gateway fails before it commits: they never were, and come once."""
    torn: list[Journal] = []
    commit = Journal.commit

    async def tearing(journal: Journal, records: Sequence[Outgoing], dead: Any, offsets: Any) -> None:
        async def never() -> None:
            await journal.producer.flush()
            raise KafkaError("the end of this process")

        if records and not torn:
            torn.append(journal)
            monkeypatch.setattr(journal.producer, "commit_transaction", never)
        await commit(journal, records, dead, offsets)

    monkeypatch.setattr(Journal, "commit", tearing)
    metrics = Metrics("gateway")
    await topic.write([said(number) for number in range(300)])
    async with topic.taken_in(metrics):
        await eventually(lambda: caught_up(topic, 300))
    found = await topic.alerts()
    assert (len(found), found.total(), len(torn)) == (300, 300, 1)
    assert metrics.registry.get_sample_value("setpoint_loop_errors_total") == 1


async def test_who_has_lost_a_partition_writes_no_more(topic: Topic) -> None:
    """Both read the same records for a while, as when one was frozen and wakes up: only the newer one's count."""
    foreign, desk, place = topic.intake().foreign, topic.intake().desk, TopicPartition(topic.name, 0)
    clients = [make_consumer(topic.bootstrap, client_id="test", group=desk.group(topic.name)) for _ in range(2)]
    async with started(clients[0]), started(clients[1]):
        for client in clients:
            client.assign([place])
        older, newer = (Taking(place, client, foreign, desk) for client in clients)
        async with background(older.run()) as first:
            await eventually(lambda: older.ready)
            async with background(newer.run()) as second:
                await eventually(lambda: newer.ready)
                await topic.write([said(number) for number in range(300)])
                await eventually(lambda: first[0].done() and isinstance(first[0].exception(), ProducerFenced))
                await eventually(lambda: topic.has(100))
                assert not second[0].done()
    found = await topic.alerts()
    assert (len(found), found.total()) == (100, 100)


async def test_nonsense_goes_to_the_dead_letters_and_holds_up_nothing(topic: Topic) -> None:
    """With its bytes, its place and the reason; in the transaction that passes it, so once."""
    nonsense = b'{"not": "an alert", "password": "hunter2"}'
    metrics = Metrics("gateway")
    await topic.write([said(0), nonsense, None, said(1), b"\xff\xfe", said(2)])
    async with topic.taken_in(metrics):
        await eventually(lambda: topic.has(3))
        await eventually(lambda: caught_up(topic, 6))
    found = [record for record in await everything(topic.bootstrap, TopicName.DEAD_LETTER) if is_of(record, topic)]
    assert sorted((record.key, record.value) for record in found) == [(None, nonsense), (None, b"\xff\xfe")]
    told = {record.value: dict(record.headers) for record in found}[nonsense]
    assert (told["original-partition"], told["original-offset"]) == (b"1", b"0")
    assert b"'rule'" in told["error"]
    assert b"hunter2" not in b"".join(told.values())
    assert metrics.registry.get_sample_value("setpoint_dead_letters_total", {"topic": topic.name}) == 2


def is_of(record: Any, topic: Topic) -> bool:
    return dict(record.headers).get("original-topic") == topic.name.encode()


async def test_another_topic_than_was_meant_stops_its_intake_and_passes_nothing(topic: Topic) -> None:
    """Draining it into the dead letters would hide the mistake; nothing else is held up."""
    await topic.write([b"a line of some log"] * 600)
    async with topic.taken_in() as intake:
        await eventually(lambda: "in a row" in (intake.problem() or ""))
    assert "in a row" in topic.health.noted()[f"intake {topic.name}"]
    assert topic.health.problems().keys() == {"start"}, "readiness does not depend on it"
    assert await topic.passed() == 0
    assert not [one for one in await everything(topic.bootstrap, TopicName.DEAD_LETTER) if is_of(one, topic)]


async def test_a_topic_that_is_not_there_is_waited_for(
    own_broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not made: it is somebody else's."""
    monkeypatch.setattr("services.gateway.intake.LOOK_S", 0.1)
    topic = Topic(own_broker.bootstrap)
    async with topic.taken_in():
        await eventually(lambda: topic.health.noted() == {f"intake {topic.name}": "the topic is not there yet"})
        await topic.create()
        await topic.write([said(0)])
        await eventually(lambda: topic.has(1))
        assert topic.health.noted() == {}


async def test_what_is_old_when_a_topic_is_first_read_is_left_alone(topic: Topic) -> None:
    """An alert of last week must not become an action of today. From then on nothing is left out."""
    await topic.write([said(0), said(1), said(2)], age=timedelta(days=2))
    async with topic.taken_in() as intake:
        await eventually(lambda: intake.problem() is None)
    await topic.write([said(3)], age=timedelta(days=1))  # while nobody reads
    async with topic.taken_in():
        await eventually(lambda: topic.has(1))
    assert set(await topic.alerts()) == {"number 3"}


async def test_two_gateways_share_a_topic(topic: Topic) -> None:
    """One comes, one goes, and every record is still one alert."""
    async with topic.taken_in():
        await topic.write([said(number) for number in range(300)])
        async with topic.taken_in() as other:
            await topic.write([said(number) for number in range(300, 900)])
            await eventually(lambda: bool(other.taking) and other.problem() is None)
        await topic.write([said(number) for number in range(900, 1200)])
        await eventually(lambda: caught_up(topic, 1200))
    found = await topic.alerts()
    assert (len(found), found.total()) == (1200, 1200)
