"""The gateway's answers to remote write: a sender repeats what may be repeated, and drops what never can be kept."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from schemas.topics import TopicName
from services.gateway.app import Ingest, make_app
from services.gateway.remote_write import MOST_BYTES
from services.gateway.secrets import Known
from services.gateway.server import Listener, serving
from services.runtime.clock import SystemClock
from services.runtime.errors import Temporary
from services.runtime.kafka import Outgoing
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.sampleblocks import CONTENT_TYPE, unpack
from tests.remote_write import HEADERS, V2, Symbols, bomb, histogram, metadata1, packed, request1, series1, text

SECRET = "a secret of some length"
UP = {"__name__": "up", "job": "node"}
WRITTEN = "X-Prometheus-Remote-Write-{}-Written"


class Broker:
    """A sink that keeps what it takes; it may be away, or slow."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.away = False
        self.gate: asyncio.Event | None = None

    async def put(self, records: Sequence[Outgoing]) -> None:
        if self.away:
            raise Temporary("the broker does not answer")
        if self.gate:
            await self.gate.wait()
        self.taken += records


class Sender:
    """Somebody who writes to a gateway that listens."""

    def __init__(self, port: int, session: aiohttp.ClientSession, broker: Broker, metrics: Metrics) -> None:
        self.url, self.session = f"http://127.0.0.1:{port}/v1/metrics/write/", session
        self.broker, self.metrics = broker, metrics

    async def write(self, body: bytes, name: str = "prod", **headers: str) -> tuple[int, str, Mapping[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        given = {"authorization": f"Bearer {SECRET}", **HEADERS, **named}
        async with self.session.post(self.url + name, data=BytesIO(body), headers=given) as answer:
            return answer.status, await answer.text(), answer.headers

    def counted(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"setpoint_{name}", labels)


@asynccontextmanager
async def a_sender(**changes: Any) -> AsyncIterator[Sender]:
    broker, metrics = Broker(), Metrics("gateway")
    secrets = {("metrics", "prod"): Known((SECRET.encode(),)), ("falco", "other"): Known((SECRET.encode(),))}
    ingest = Ingest(
        {}, lambda: secrets, broker, clock=SystemClock(), metrics=metrics, log=get_log("gateway"), **changes  # type: ignore[arg-type]
    )  # fmt: skip
    async with serving(make_app(ingest), Listener("127.0.0.1", 0)) as port, aiohttp.ClientSession() as session:
        yield Sender(port, session, broker, metrics)


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with a_sender() as found:
        yield found


def now() -> int:
    return int(SystemClock().now().timestamp() * 1000)


def one(samples: int = 1) -> bytes:
    return request1(series1(UP, [(now() + n, 1.0) for n in range(samples)]))


def two(more: bytes = b"") -> bytes:
    request = Symbols()
    request.add(UP, [(now(), 1.0)], more)
    return request.request()


async def test_what_the_broker_has_is_taken(sender: Sender) -> None:
    """As a block under the sender's name, so that one sender's samples stay in order; nothing is answered but that."""
    status, body, headers = await sender.write(one(3))
    assert (status, body) == (204, "")
    (record,) = sender.broker.taken
    assert (record.topic, record.key, record.content_type) == (TopicName.SAMPLES, b"prod", CONTENT_TYPE)
    assert len(unpack(record.value or b"").times) == 3
    assert WRITTEN.format("Samples") not in headers
    assert sender.counted("ingested_events_total", source="metrics") == 3


async def test_the_second_version_is_told_how_much_was_written(sender: Sender) -> None:
    """A sender believes these numbers alone. Exemplars are not kept."""
    more = text(3, histogram(now(), 1.0, [(0, 1)], [1])) + text(4, b"")
    status, _, headers = await sender.write(two(more), content_type=V2)
    assert status == 204
    assert [headers[WRITTEN.format(what)] for what in ("Samples", "Histograms", "Exemplars")] == ["1", "1", "0"]
    assert sender.counted("passed_over_total", source="metrics", why="exemplar") == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 204, id="as-senders-write-it"),
        pytest.param({"content_type": "application/x-protobuf; proto=prometheus.WriteRequest"}, 204, id="named"),
        pytest.param({"content_type": 'Application/X-Protobuf;proto="prometheus.WriteRequest"'}, 204, id="quoted"),
        pytest.param({"content_encoding": "Snappy"}, 204, id="another-case"),
        pytest.param({"content_type": "application/x-protobuf;proto=some.Other"}, 415, id="another-message"),
        pytest.param({"content_type": "application/json"}, 415, id="json"),
        pytest.param({"content_type": ""}, 415, id="no-type"),
        pytest.param({"content_encoding": "gzip"}, 415, id="gzip"),
        pytest.param({"content_encoding": "zstd"}, 415, id="zstd"),
        pytest.param({"authorization": "Bearer wrong"}, 401, id="wrong-secret"),
        pytest.param({"authorization": "Basic cHJvbTphIHNlY3JldCBvZiBzb21lIGxlbmd0aA=="}, 204, id="basic"),
        pytest.param({"name": "other"}, 401, id="another-sources-secret"),
    ],
)
async def test_the_head_decides_what_is_read(sender: Sender, headers: dict[str, str], status: int) -> None:
    """Before a byte of the body is: a stranger's, and what another message or compression says."""
    assert (await sender.write(one(), **headers))[0] == status
    assert len(sender.broker.taken) == (status == 204)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"nothing of the kind", 400, id="not-snappy"),
        pytest.param(packed(b"\x0a\x7f"), 400, id="truncated"),
        pytest.param(bomb(64 * 1024 * 1024), 400, id="a-bomb"),
        pytest.param(bytes(MOST_BYTES + 1), 413, id="too-large"),
        pytest.param(packed(b""), 204, id="empty"),
    ],
)
async def test_what_is_no_message_is_never_sent_again(sender: Sender, body: bytes, status: int) -> None:
    """4xx, with words for people; a bomb is refused by what it says of itself."""
    assert (await sender.write(body))[0] == status
    assert not sender.broker.taken


async def test_a_part_is_written_and_the_rest_is_told(sender: Sender) -> None:
    """400, since what is odd stays so; what was good is kept, and 2.0 hears how much."""
    body = request1(series1(UP, [(now(), 1.0)]), series1({"job": "x"}, [(now(), 1.0)] * 2))
    status, words, _ = await sender.write(body)
    assert (status, "2 not kept: no-metric-name" in words) == (400, True)
    assert len(sender.broker.taken) == 1
    assert sender.counted("ingests_total", result="partly") == 1
    request = Symbols()
    request.add(UP, [(now(), 1.0), (5, 1.0)])
    status, words, headers = await sender.write(request.request(), content_type=V2)
    assert (status, headers[WRITTEN.format("Samples")]) == (400, "1")
    assert "1 not kept: time-out-of-bounds" in words


async def test_nothing_is_said_to_be_written_before_the_broker_has_it(sender: Sender) -> None:
    """A sender that hears 2xx moves on in its log."""
    sender.broker.gate = asyncio.Event()
    sending = asyncio.create_task(sender.write(one()))
    done, _ = await asyncio.wait({sending}, timeout=0.2)
    assert not done
    sender.broker.gate.set()
    assert (await sending)[0] == 204


async def test_a_broker_that_is_away_is_told_to_try_again(sender: Sender) -> None:
    """503 with a time: Prometheus drops what is answered with 429. 2.0 hears that nothing is written."""
    sender.broker.away = True
    status, _, headers = await sender.write(two(), content_type=V2)
    assert (status, headers["Retry-After"], headers[WRITTEN.format("Samples")]) == (503, "2", "0")
    sender.broker.away = False
    assert (await sender.write(two(), content_type=V2))[0] == 204


async def test_what_a_family_says_is_repeated_until_the_broker_has_it(sender: Sender) -> None:
    """It is passed on once, and that once must arrive."""
    body = request1(metadata=[metadata1(1, "x_total", "how many")])
    sender.broker.away = True
    assert (await sender.write(body))[0] == 503
    sender.broker.away = False
    assert [(await sender.write(body))[0] for _ in range(2)] == [204, 204]
    assert [unpack(record.value or b"").families for record in sender.broker.taken] == [
        [("x_total", "counter", "how many", "")]
    ]


async def test_a_sender_that_is_far_too_fast_is_held_back() -> None:
    """So that it waits, and others are served."""
    async with a_sender(rate=0.5) as sender:
        answers = [await sender.write(one()) for _ in range(3)]
    assert [status for status, *_ in answers] == [204, 503, 503]
    assert answers[-1][2]["Retry-After"] == "2"


async def test_alerts_are_served_while_a_large_request_is_read(sender: Sender) -> None:
    """The reading is in a thread: the loop stays free for who else asks."""
    large = request1(*(series1({**UP, "n": str(n)}, [(now(), 1.0)]) for n in range(40_000)))
    sending = asyncio.create_task(sender.write(large))
    beats = 0
    while not sending.done():
        await asyncio.sleep(0.005)
        beats += 1
    assert (await sending)[0] == 204
    assert beats > 5
