"""The gateway's answers: 202 only for what the broker has, and nothing of a body in logs or answers."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import structlog
from multidict import CIMultiDict

from schemas.events import ControlRemoved, Scope, make_event
from schemas.topics import TopicName
from services.gateway.app import Ingest, make_app
from services.gateway.limits import Budget
from services.gateway.proof import BEARER, Proof, any_equal
from services.gateway.secrets import Known
from services.gateway.server import Listener, serving
from services.gateway.source import Inbound, Made, Reading, Source, Unreadable
from services.runtime.clock import SystemClock
from services.runtime.errors import Temporary, UsageError
from services.runtime.kafka import Outgoing
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from tests.fakes import eventually

SECRET = b"a secret of some length"
LIMIT = 1000


def read(inbound: Inbound) -> Reading:
    """One event for each word; the word `odd` is passed over, the word `bad` is unreadable, `bug` is a defect."""
    words = inbound.body.decode().split()
    if "bad" in words:
        raise Unreadable("a word is bad")
    if "bug" in words:
        raise RuntimeError(f"quotes {inbound.body!r}")
    data = ControlRemoved(name=inbound.sender.name, scope=Scope(cluster="c"), by="test")
    event = make_event(data, id="1", source="s", subject="s", time=inbound.now, correlationid="1")
    made = tuple(Made(TopicName.CONTROL, "c", event) for word in words if word != "odd")
    return Reading(made, Counter(odd=words.count("odd")) if "odd" in words else Counter())


def signed(headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes]) -> bool:
    """A proof that only the body's bytes give."""
    return any_equal(headers.get("x-signature", "").encode(), [secret + body for secret in secrets])


SOURCES = {
    "words": Source("words", LIMIT, BEARER, read),
    "signed": Source("signed", LIMIT, Proof(signed, needs_body=True), read),
}


class Broker:
    """A sink that keeps what it takes; it may be away, or slow."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.away = False
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()

    async def put(self, records: Sequence[Outgoing]) -> None:
        if self.away:
            raise Temporary("the broker does not answer")
        self.asked.set()
        if self.gate:
            await self.gate.wait()
        self.taken += records


class Gateway:
    """One that listens, and somebody who sends to it."""

    def __init__(self, port: int, session: aiohttp.ClientSession, broker: Broker, metrics: Metrics) -> None:
        self.url, self.session = f"http://127.0.0.1:{port}/v1/ingest", session
        self.broker, self.metrics = broker, metrics
        self.ingest: Ingest | None = None

    async def send(
        self, body: Any, path: str = "/words/c", **headers: str
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        given = {"authorization": f"Bearer {SECRET.decode()}", **headers}
        async with self.session.post(self.url + path, data=body, headers=given) as answer:
            return answer.status, json.loads(await answer.text()), answer.headers

    def count(self, result: str) -> float:
        found = self.metrics.registry.get_sample_value("setpoint_ingests_total", {"result": result})
        assert found is not None, f"{result} does not start at 0"
        return found


@asynccontextmanager
async def a_gateway(**changes: Any) -> AsyncIterator[Gateway]:
    broker, metrics = Broker(), Metrics("gateway")
    secrets = {("words", "c"): Known((b"an older secret, still valid", SECRET)), ("signed", "c"): Known((SECRET,)),
               ("words", "a/b:c"): Known((SECRET,))}  # fmt: skip
    ingest = Ingest(
        SOURCES, lambda: secrets, broker, clock=SystemClock(), metrics=metrics, log=get_log("gateway"), **changes  # type: ignore[arg-type]
    )  # fmt: skip
    async with serving(make_app(ingest), Listener("127.0.0.1", 0)) as port, aiohttp.ClientSession() as session:
        found = Gateway(port, session, broker, metrics)
        found.ingest = ingest
        yield found


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with a_gateway() as found:
        yield found


async def test_what_the_broker_has_is_accepted(gateway: Gateway) -> None:
    """With the number of events that it made."""
    status, body, _ = await gateway.send("one two odd")
    assert (status, body) == (202, {"result": "accepted", "events": 2})
    assert len(gateway.broker.taken) == 2
    assert gateway.metrics.registry.get_sample_value(
        "setpoint_passed_over_total", {"source": "words", "why": "odd"}
    ) == 1  # fmt: skip


async def test_nothing_is_accepted_before_the_broker_has_it(gateway: Gateway) -> None:
    """A sender that hears 202 forgets what it sent."""
    gateway.broker.gate = asyncio.Event()
    sending = asyncio.create_task(gateway.send("one"))
    await gateway.broker.asked.wait()
    done, _ = await asyncio.wait({sending}, timeout=0.1)
    assert not done
    gateway.broker.gate.set()
    assert (await sending)[0] == 202


@pytest.mark.parametrize(
    ("request_", "status", "result"),
    [
        pytest.param({"body": "x", "authorization": "Bearer wrong"}, 401, "unauthorized", id="wrong-secret"),
        pytest.param({"body": "x", "authorization": ""}, 401, "unauthorized", id="no-secret"),
        pytest.param({"body": "x", "authorization": f"Basic {SECRET.decode()}"}, 401, "unauthorized", id="no-bearer"),
        pytest.param({"body": "x", "path": "/words/stranger"}, 401, "unauthorized", id="unknown-sender"),
        pytest.param({"body": "x", "path": "/signed/c"}, 401, "unauthorized", id="unsigned"),
        pytest.param({"body": "x", "path": "/nothing/c"}, 404, "unknown-source", id="unknown-source"),
        pytest.param({"body": "x" * (LIMIT + 1)}, 413, "too-large", id="too-large"),
        pytest.param({"body": "bad"}, 422, "unreadable", id="unreadable"),
        pytest.param({"body": "bug"}, 500, "failed", id="a-defect"),
    ],
)
async def test_what_is_not_taken_is_answered_with_its_reason(
    gateway: Gateway, request_: dict[str, str], status: int, result: str
) -> None:
    """The same word in the answer and in the metric, which starts at 0."""
    assert gateway.count(result) == 0
    found, body, _ = await gateway.send(**request_)
    assert (found, body["result"], gateway.count(result)) == (status, result, 1)
    assert not gateway.broker.taken


async def test_a_body_without_a_length_has_the_same_limit(gateway: Gateway) -> None:
    """Chunked, nobody says beforehand how much it will be."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LIMIT):
            yield b"more "

    assert (await gateway.send(endless()))[:2] == (413, {"result": "too-large", "detail": f"more than {LIMIT} bytes"})


@pytest.mark.parametrize("secret", [b"an older secret, still valid", SECRET])
async def test_two_secrets_are_valid_while_one_is_replaced(gateway: Gateway, secret: bytes) -> None:
    """So that a sender can be moved to the new one without a gap."""
    assert (await gateway.send("x", authorization=f"bearer {secret.decode()}"))[0] == 202


async def test_a_proof_may_need_the_raw_bytes(gateway: Gateway) -> None:
    """As signatures over a body do."""
    assert (await gateway.send("x", "/signed/c", **{"x-signature": SECRET.decode() + "x"}))[0] == 202
    assert (await gateway.send("y", "/signed/c", **{"x-signature": SECRET.decode() + "x"}))[0] == 401


async def test_a_name_may_have_slashes(gateway: Gateway) -> None:
    """Clusters' names do, where they come from a cloud's context."""
    assert (await gateway.send("x", "/words/a/b:c"))[0] == 202


async def test_a_broker_that_is_away_means_later(gateway: Gateway) -> None:
    """503 with a time, which Kubernetes' clients obey."""
    gateway.broker.away = True
    status, body, headers = await gateway.send("one")
    assert (status, body["result"]) == (503, "broker-away")
    assert int(headers["retry-after"]) > 0
    gateway.broker.away = False
    assert (await gateway.send("one"))[0] == 202


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """A sender that falls silent must not hold its place."""
    release = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"begin"
        await release.wait()

    async with a_gateway(body_s=0.05) as gateway:
        assert (await gateway.send(stuck()))[:2] == (
            408, {"result": "too-slow", "detail": "the body did not come within 0.05 s"}
        )  # fmt: skip
        release.set()


async def test_nothing_of_a_request_is_logged(gateway: Gateway) -> None:
    """Not the body, not the secret, not the path that a stranger chose; also where a defect's text quotes them."""
    with structlog.testing.capture_logs() as lines:
        await gateway.send("bug private-word")
        await gateway.send("bad private-word")
        await gateway.send("private-word", "/private-source/private-name", authorization="Bearer private-secret")
    assert len(lines) == 3
    assert "private" not in json.dumps(lines)
    assert {line["log_level"] for line in lines} == {"error", "info"}


async def test_only_the_one_route_is_served(gateway: Gateway) -> None:
    """Metrics and health have a port of their own, which senders cannot reach."""
    root = gateway.url.removesuffix("/v1/ingest")
    for path in ("/", "/metrics", "/ready", "/docs", "/openapi.json"):
        async with gateway.session.get(root + path) as answer:
            assert answer.status == 404
    async with gateway.session.get(gateway.url + "/words/c") as answer:
        assert answer.status == 405


async def test_what_is_under_way_at_the_end_is_answered() -> None:
    """SIGTERM lets requests end, and takes no new ones."""
    opened = a_gateway()
    gateway = await opened.__aenter__()
    gateway.broker.gate = asyncio.Event()
    async with aiohttp.ClientSession() as session:
        gateway.session = session
        sending = asyncio.create_task(gateway.send("one"))
        await gateway.broker.asked.wait()
        ending = asyncio.create_task(opened.__aexit__(None, None, None))
        await asyncio.wait({ending}, timeout=0.2)
        assert not ending.done()
        gateway.broker.gate.set()
        assert (await sending)[0] == 202
        await ending
        with pytest.raises(aiohttp.ClientConnectorError):
            await gateway.send("two")


async def test_a_sender_that_is_too_fast_is_slowed_then_refused() -> None:
    """503 and not 429: Alertmanager drops what is answered with the latter."""
    async with a_gateway(rate=1.0) as gateway:
        answers = await asyncio.gather(*(gateway.send("one") for _ in range(8)))
        assert Counter(status for status, _, _ in answers) == {202: 3, 503: 5}
        refused = next(answer for answer in answers if answer[0] == 503)
        assert (refused[1]["result"], int(refused[2]["retry-after"]) > 0) == ("rate", True)
        assert (await gateway.send("x", "/words/a/b:c"))[0] == 202, "another sender has its own"
        assert gateway.metrics.registry.get_sample_value(
            "setpoint_refusals_total", {"source": "words", "why": "rate"}
        ) == 5  # fmt: skip


async def test_strangers_use_up_nobodys_rate() -> None:
    """Who is refused for its secret takes no token, also where the body is read first."""
    async with a_gateway(rate=1.0) as gateway:
        for path in ("/words/c", "/signed/c"):
            for _ in range(8):
                assert (await gateway.send("x", path, authorization="Bearer wrong"))[0] == 401
        assert (await gateway.send("x"))[0] == 202
        assert (await gateway.send("x", "/signed/c", **{"x-signature": SECRET.decode() + "x"}))[0] == 202


async def test_bodies_of_strangers_keep_nobody_out() -> None:
    """A body that must be read before it is proved waits in a room of its own."""
    release = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"begin"
        await release.wait()

    async with a_gateway() as gateway:
        assert gateway.ingest is not None
        room = gateway.ingest.unproved = Budget(LIMIT)
        sending = [asyncio.create_task(gateway.send(stuck(), "/signed/c")) for _ in range(3)]
        await eventually(lambda: len(room.waiting) == 2, what="two of them wait")
        assert (await gateway.send("x"))[0] == 202
        release.set()
        assert [answer[0] for answer in await asyncio.gather(*sending)] == [401] * 3


async def test_a_header_that_comes_twice_proves_nothing(gateway: Gateway) -> None:
    """Whichever of the two something before the gateway has looked at."""
    headers = [("authorization", f"Bearer {SECRET.decode()}"), ("authorization", "Bearer x")]
    for given in (headers, headers[::-1]):
        async with gateway.session.post(gateway.url + "/words/c", data="x", headers=CIMultiDict(given)) as answer:
            assert answer.status == 401


@pytest.mark.parametrize("given", [b"", SECRET + b"x", SECRET[:-1], b"\x00"])
@pytest.mark.parametrize("expected", [(), (SECRET,), (b"other", SECRET), (b"",)])
def test_only_a_secret_is_equal_to_it(given: bytes, expected: tuple[bytes, ...]) -> None:
    """Nothing fits nothing, and nothing fits an empty secret."""
    assert not any_equal(given, expected)


@pytest.mark.parametrize("listen", ["8080", "localhost", "127.0.0.1:", "127.0.0.1:http", ":1", "h:99999"])
def test_an_address_has_host_and_port(listen: str) -> None:
    """Anything else is said at the start."""
    with pytest.raises(UsageError, match="HOST:PORT"):
        Listener.of(Settings(gateway_listen=listen))


def test_half_a_certificate_is_none(tmp_path: Any) -> None:
    """Speaking plain HTTP then would send secrets in the clear."""
    with pytest.raises(UsageError, match="key"):
        Listener.of(Settings(gateway_tls_certificate=tmp_path))


def test_an_address_may_be_ipv6() -> None:
    """As in `[::1]:8080`."""
    assert Listener.of(Settings(gateway_listen="[::1]:8080")) == replace(Listener("::1", 8080))
