"""Dead letters go back after a fix: once, as they were, and into a record that is complete."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord, TopicPartition

from schemas.topics import TopicName
from services.cli.main import main
from services.local.broker import LocalBroker
from services.recorder import reading, sendback
from services.recorder.deadletters import bury
from services.recorder.intents import Place
from services.recorder.letters import BEFORE, Item, Why
from services.recorder.proof import Proof, prove
from services.recorder.reader import Reader
from services.recorder.rows import Made, rows_of
from services.recorder.sendback import Chosen, look, send_back
from services.recorder.store import ClickHouse
from services.recorder.values import Unreadable
from services.runtime.errors import Temporary
from services.runtime.kafka import Outgoing, make_consumer, make_producer, started
from services.runtime.settings import Settings
from tests.integration.recorder_parts import empty_store, engine_folder, own_broker, settings, store
from tests.recording import change, produce, proved, recorded, recorder, until

__all__ = ["empty_store", "engine_folder", "own_broker", "settings", "store"]
pytestmark = pytest.mark.integration


def group(settings: Settings) -> str:
    return f"{settings.group_prefix}-recorder"


async def record(settings: Settings, store: ClickHouse) -> None:
    """Run a recorder until it has passed everything."""
    async with recorder(settings, store) as running:
        await running.ready()

        async def caught_up() -> bool:
            proofs = await prove(str(settings.kafka), Reader(store.client), group(settings), 1_000_000)
            return not any(map(lags, proofs))

        await until(caught_up)


def lags(proof: Proof) -> bool:
    """Whether something is not recorded yet; a recorder's own last samples come when it has ended."""
    return proof.lag > 0 and proof.topic != TopicName.METRICS


async def complete(settings: Settings, store: ClickHouse) -> bool:
    """Whether every offset that the topics hold is recorded, once."""
    proofs = await prove(str(settings.kafka), Reader(store.client), group(settings), 1_000_000)
    return not any(proof.missing or proof.doubled or lags(proof) for proof in proofs)


async def buried_by_an_older_version(
    cluster: str, settings: Settings, store: ClickHouse, monkeypatch: pytest.MonkeyPatch, many: int = 10
) -> None:
    """So many changes of a cluster, every one of which a version that cannot read it put to the dead letters."""

    def older(place: Place, record: "ConsumerRecord[bytes, bytes]") -> Made:
        if place.topic == TopicName.CHANGES and f'"{cluster}"'.encode() in (record.value or b""):
            raise Unreadable("a field that this version does not know")
        return rows_of(place, record)

    await produce(str(settings.kafka), [change(cluster, number) for number in range(many)])
    with monkeypatch.context() as patched:
        patched.setattr(reading, "rows_of", older)
        await record(settings, store)
    assert await recorded(store, cluster) == 0


def counted(items: list[Item], since: datetime) -> dict[Why | None, int]:
    """Of the letters that this test has made: those of the tests before it are on the broker, too."""
    mine = [item.why for item in items if item.letter.buried_at >= since]
    return {why: mine.count(why) for why in mine}


@pytest.fixture
def began() -> datetime:
    return datetime.now(UTC)


async def test_letters_go_back_once_and_are_recorded(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings, monkeypatch: pytest.MonkeyPatch, began: datetime
) -> None:
    """Shown first, with nothing changed; then sent, as they were; and never again. The record stays provable."""
    await buried_by_an_older_version("r-once", settings, store, monkeypatch)
    reader, chosen = Reader(store.client), Chosen(group(settings), 1000)
    before = counted(await look(own_broker.bootstrap, reader, chosen), began)
    assert before == counted(await look(own_broker.bootstrap, reader, chosen), began) == {None: 10}
    assert counted(await send_back(own_broker.bootstrap, reader, chosen), began) == {None: 10}
    assert counted(await send_back(own_broker.bootstrap, reader, chosen), began) == {Why.DONE: 10}
    await record(settings, store)
    await proved(store, "r-once", 10)
    assert await complete(settings, store)
    changes = [
        one for one in await everything(own_broker.bootstrap, TopicName.CHANGES) if b'"r-once"' in (one.value or b"")
    ]
    returned = [one for one in changes if BEFORE in dict(one.headers)]
    sent = {change("r-once", number) for number in range(10)}
    assert {(one.key, one.value) for one in returned} == {(one.key, one.value) for one in sent}
    for one in returned:
        topic, partition, _ = dict(one.headers)[BEFORE].decode().split(":")
        assert (topic, int(partition)) == (one.topic, one.partition)


async def test_a_limit_bounds_it_and_the_rest_goes_later(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings, monkeypatch: pytest.MonkeyPatch, began: datetime
) -> None:
    """Some first, to see whether it was a fix; then the others, and none of the first ones again."""
    await buried_by_an_older_version("r-limit", settings, store, monkeypatch)
    reader = Reader(store.client)
    for limit, left in ((4, 6), (1000, 0)):
        items = await send_back(own_broker.bootstrap, reader, Chosen(group(settings), limit))
        assert counted(items, began).get(Why.LIMIT, 0) == left
    await record(settings, store)
    await proved(store, "r-limit", 10)


async def test_what_was_interrupted_sent_nothing(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings, monkeypatch: pytest.MonkeyPatch, began: datetime
) -> None:
    """Records and marks are one transaction: half of a batch is none of it, for readers and for the next run."""
    await buried_by_an_older_version("r-half", settings, store, monkeypatch)
    reader, chosen = Reader(store.client), Chosen(group(settings), 1000)
    turns = iter(range(100))

    def breaks(record: Any, item: Item) -> Any:
        if next(turns) == 5:
            raise Temporary("the machine is gone")
        return [(BEFORE, b"x")]

    with monkeypatch.context() as patched:
        patched.setattr(sendback, "sent_back", breaks)
        with pytest.raises(Temporary, match="gone"):
            await send_back(own_broker.bootstrap, reader, chosen)
    assert counted(await look(own_broker.bootstrap, reader, chosen), began)[None] == 10
    await send_back(own_broker.bootstrap, reader, chosen)
    await record(settings, store)
    await proved(store, "r-half", 10)
    assert await complete(settings, store)


async def test_what_only_another_service_could_not_read_is_not_recorded_twice(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings
) -> None:
    """The reconciler buried it, history has it: it goes back for the one, and makes no second row in the other."""
    await produce(own_broker.bootstrap, [change("r-had", 0)])
    await record(settings, store)
    (mine,) = [
        one for one in await everything(own_broker.bootstrap, TopicName.CHANGES) if b'"r-had"' in (one.value or b"")
    ]
    async with started(make_producer(own_broker.bootstrap, client_id="test")) as producer:
        await bury(producer, mine, "a policy's own fault")
    items = await send_back(own_broker.bootstrap, Reader(store.client), Chosen(group(settings), 1000))
    (item,) = [one for one in items if one.letter.error == "a policy's own fault"]
    assert (item.why, item.had) == (None, True)
    await record(settings, store)
    await proved(store, "r-had", 1)
    assert await complete(settings, store)


async def test_what_stays_unreadable_stays(own_broker: LocalBroker, store: ClickHouse, settings: Settings) -> None:
    """Junk does not go in circles, nor does what the recorder has not reached go before it."""
    await produce(own_broker.bootstrap, [Outgoing(TopicName.CHANGES, b"key", b"junk", 0)])
    await record(settings, store)
    items = await look(own_broker.bootstrap, Reader(store.client), Chosen(group(settings), 1000, TopicName.CHANGES))
    junk = [item for item in items if item.letter.trouble == "not JSON"]
    assert junk
    assert {item.why for item in junk} == {Why.UNREADABLE}
    nobody = await look(own_broker.bootstrap, Reader(store.client), Chosen("a-group-of-nobody", 1000))
    assert not [item for item in nobody if item.why is None]


async def test_the_command_shows_and_sends(
    own_broker: LocalBroker, store: ClickHouse, settings: Settings, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Exit code 1 while there is something to send, 0 once it is sent; the table says which and why not."""
    await buried_by_an_older_version("r-cli", settings, store, monkeypatch, many=2)
    monkeypatch.setenv("SETPOINT_GROUP_PREFIX", settings.group_prefix)
    arguments = ["replay", "--kafka", own_broker.bootstrap, "--clickhouse", store.url]
    assert await asyncio.to_thread(main, arguments) == 1
    shown = capsys.readouterr()
    assert "goes back" in shown.out
    assert "2 would go back, with --yes" in shown.err
    assert await asyncio.to_thread(main, [*arguments, "--yes"]) == 0
    assert "2 sent back" in capsys.readouterr().err
    assert await asyncio.to_thread(main, arguments) == 0


async def everything(bootstrap: str, topic: str) -> "list[ConsumerRecord[bytes, bytes]]":
    """Every committed record of a topic."""
    found: list[ConsumerRecord[bytes, bytes]] = []
    async with started(make_consumer(bootstrap, client_id="test", fetch_max_wait_ms=100)) as consumer:
        places = [TopicPartition(topic, partition) for partition in (0, 1)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(*places, timeout_ms=500)).values():
                found += records
    return found
