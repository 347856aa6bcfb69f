"""The local broker is a real one: it keeps what it was given over a stop and over a crash."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from services.local.broker import LocalBroker
from services.local.ports import free, reserved
from services.local.prepare import Parts
from services.runtime.errors import Permanent

pytestmark = pytest.mark.integration


async def make_topic(bootstrap: str) -> str:
    name = f"test-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    return name


async def produce(bootstrap: str, topic: str, values: list[bytes], **options: object) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, **options)
    try:
        await producer.start()
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0)])
        return [(await consumer.getone()).value or b"" for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.fixture
async def own_broker(parts: Parts, tmp_path: Path) -> AsyncIterator[LocalBroker]:
    """A broker that a test may stop and kill."""
    started = LocalBroker(tmp_path, parts.kafka.jars, parts.kafka.java)
    await started.start()
    yield started
    await started.stop()


async def test_what_is_produced_is_consumed(broker: LocalBroker) -> None:
    """In order, through a transaction-ready, idempotent producer."""
    topic = await make_topic(broker.bootstrap)
    values = [b"one", b"two", b"three"]
    await produce(broker.bootstrap, topic, values, enable_idempotence=True)
    assert await read(broker.bootstrap, topic, 3) == values


async def test_topics_are_not_made_by_accident(broker: LocalBroker) -> None:
    """As under Strimzi: a misspelt topic is an error."""
    with pytest.raises(KafkaError):
        await produce(broker.bootstrap, "never-made", [b"x"], request_timeout_ms=500)


async def test_data_and_port_survive_a_stop_and_a_crash(own_broker: LocalBroker) -> None:
    """Clients find the same broker again with what they wrote, however it ended."""
    before = own_broker.bootstrap
    topic = await make_topic(before)
    await produce(before, topic, [b"first"])
    await own_broker.restart()
    await produce(before, topic, [b"second"])
    await own_broker.kill()
    with pytest.raises(Permanent, match=r"(?s)ended with SIGKILL.*kafka\.log"):
        own_broker.check()
    await own_broker.start()
    assert own_broker.bootstrap == before
    assert await read(before, topic, 2) == [b"first", b"second"]


async def test_brokers_do_not_disturb_each_other(broker: LocalBroker, own_broker: LocalBroker) -> None:
    """Two at once on one machine are two brokers; each listens on loopback only."""
    topic = await make_topic(own_broker.bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        assert topic not in await admin.list_topics()
    finally:
        await admin.close()
    assert own_broker.pid is not None
    assert listening_addresses(own_broker.pid) <= {"127.0.0.1", "::ffff:127.0.0.1"}


def listening_addresses(pid: int) -> set[str]:
    connections = psutil.Process(pid).net_connections(kind="inet")
    found = {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
    assert found
    return found


async def test_a_lost_port_is_replaced(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When somebody else takes the port before Java binds it, the start is tried again on other ports."""
    with reserved(1) as (taken,):
        offers = iter([(taken, *free(1)), free(2)])
        monkeypatch.setattr("services.local.broker.free", lambda count: next(offers))
        own = LocalBroker(tmp_path, parts.kafka.jars, parts.kafka.java)
        await own.start()
        assert not own.bootstrap.endswith(f":{taken}")
        await own.stop()


async def test_broken_jars_are_shown_with_their_log(tmp_path: Path, parts: Parts) -> None:
    """A broker that cannot start says what Java said, and where."""
    with pytest.raises(Permanent, match=r"(?s)kafka-format\.log.*ClassNotFoundException"):
        await LocalBroker(tmp_path, tmp_path, parts.kafka.java).start()
