"""Requests that were made to be misunderstood: torn off, sent again, doubled, smuggled, and texts that are no text.

On real sockets, since what a framework makes of bytes is what the claims are about. Forged proofs are in
test_gateway_proof.py, slow and many connections in test_gateway_limits.py.
"""

import asyncio
import base64
import contextlib
import copy
import hashlib
import hmac
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.gateway.app import Ingest, make_app
from services.gateway.bodies import MOST_ALERTS
from services.gateway.limits import Budget
from services.gateway.proof import TOLERANCE
from services.gateway.secrets import Known
from services.gateway.server import Listener, serving
from services.gateway.source import Inbound, Reading, Sender, Source, Unreadable
from services.gateway.sources import SOURCES
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from tests.contract.test_sources import BODIES, NOON
from tests.fakes import StillClock, eventually
from tests.unit.test_gateway_audit import entry
from tests.unit.test_gateway_http import Broker

SECRET = b"a secret of some length"
EVENT = json.dumps({"specversion": "1.0", "id": "1", "source": "s", "type": "disk", "data": {"name": "Full"}}).encode()
Pairs = list[tuple[str, str]]


class Wire:
    """A gateway with a clock that stands still, and bytes as they are."""

    def __init__(self, port: int, ingest: Ingest, broker: Broker, clock: StillClock, below: list[Any]) -> None:
        self.port, self.ingest, self.broker, self.clock, self.below = port, ingest, broker, clock, below

    async def say(self, *parts: bytes, end: bool = True) -> list[int]:
        """Send bytes, and maybe that there are no more; the statuses of all answers until the other side closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"".join(parts))
        if end:
            writer.write_eof()
        answered = await asyncio.wait_for(_rest(reader), 60)
        writer.close()
        return [int(line.split()[1]) for line in answered.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]

    async def post(self, headers: Pairs, body: bytes, source: str = "cloudevents") -> int:
        given = [*headers, ("content-length", str(len(body))), ("connection", "close")]
        (status,) = await self.say(head(given, source), body)
        return status


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Everything until the end, which a side that no longer reads may also reach by a reset."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := await reader.read(65536):
            parts.append(part)
    return b"".join(parts)


@asynccontextmanager
async def a_wire() -> AsyncIterator[Wire]:
    broker, clock, below = Broker(), StillClock(), []  # type: ignore[var-annotated]
    secrets = {(name, "c"): Known((SECRET,)) for name in SOURCES}
    ingest = Ingest(
        SOURCES, lambda: secrets, broker, clock=clock, metrics=Metrics("gateway"), log=get_log("gateway"), rate=1e6  # type: ignore[arg-type]
    )  # fmt: skip
    async with serving(make_app(ingest), Listener("127.0.0.1", 0), below.append) as port:
        yield Wire(port, ingest, broker, clock, below)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with a_wire() as made:
        yield made


def head(headers: Pairs, source: str = "cloudevents") -> bytes:
    lines = [f"POST /v1/ingest/{source}/c HTTP/1.1", "host: gateway", *(f"{name}: {text}" for name, text in headers)]
    return "\r\n".join([*lines, "", ""]).encode()


def bearer(**more: str) -> Pairs:
    return [("authorization", f"Bearer {SECRET.decode()}"), ("content-type", "application/cloudevents+json"),
            *((name.replace("_", "-"), text) for name, text in more.items())]  # fmt: skip


def signed(body: bytes = EVENT, key: bytes = SECRET, late: float = 0, message: str = "msg_1") -> Pairs:
    """As Standard Webhooks has it."""
    when = str(int(NOON.timestamp() + late))
    made = hmac.new(key, f"{message}.{when}.".encode() + body, hashlib.sha256).digest()
    return [
        ("webhook-id", message), ("webhook-timestamp", when), ("content-type", "application/cloudevents+json"),
        ("webhook-signature", f"v1,{base64.b64encode(made).decode()}"),
    ]  # fmt: skip


@pytest.mark.parametrize("headers", [pytest.param(bearer(), id="token"), pytest.param(signed(), id="signature")])
async def test_a_body_that_is_torn_off_becomes_nothing(wire: Wire, headers: Pairs) -> None:
    """At whichever byte: half of it is never taken for the whole, and nobody is answered that it was taken."""
    whole = [*headers, ("content-length", str(len(EVENT)))]
    for length in (0, 1, len(EVENT) - 1):
        assert 202 not in await wire.say(head(whole), EVENT[:length])
    chunked = [*headers, ("transfer-encoding", "chunked")]
    assert 202 not in await wire.say(head(chunked), f"{len(EVENT):x}\r\n".encode() + EVENT + b"\r\n")
    assert wire.broker.taken == []


async def test_a_signed_body_cannot_be_made_shorter(wire: Wire) -> None:
    """Also where what is left would be read, and where the length was mended."""
    assert await wire.post(signed(EVENT + b" "), EVENT) == 401
    assert await wire.post(signed(EVENT), EVENT) == 202


async def test_a_delivery_that_is_replayed_is_the_same_event_and_not_for_long(wire: Wire) -> None:
    """The same event is known to whoever reads it; after the tolerance, nobody takes the bytes for the sender's."""
    headers = signed()
    assert [await wire.post(headers, EVENT) for _ in range(3)] == [202] * 3
    assert len({json.loads(record.value or b"")["id"] for record in wire.broker.taken}) == 1
    wire.clock.advance(TOLERANCE.total_seconds() + 1)
    assert await wire.post(headers, EVENT) == 401
    assert await wire.post(signed(late=-3600), EVENT) == 401
    assert len(wire.broker.taken) == 3


async def test_a_replayed_signature_covers_neither_another_body_nor_another_delivery(wire: Wire) -> None:
    """What was signed is the delivery's name, its time and every byte."""
    other = [(name, "msg_2" if name == "webhook-id" else text) for name, text in signed()]
    later = [(name, str(int(text) + 1) if name == "webhook-timestamp" else text) for name, text in signed()]
    assert [await wire.post(headers, EVENT) for headers in (other, later)] == [401, 401]
    assert await wire.post(signed(), EVENT.replace(b"Full", b"Fill")) == 401


async def test_the_order_of_headers_means_nothing(wire: Wire) -> None:
    """Proxies reorder them; capitals do not count either."""
    for headers in itertools.permutations(signed()):
        assert await wire.post([(name.title(), text) for name, text in headers], EVENT) == 202


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
async def test_a_header_of_the_proof_that_comes_twice_proves_nothing(wire: Wire, name: str, first: bool) -> None:
    """In whichever order: what stands before the gateway may have looked at the other one."""
    forged = [(name, dict(signed(key=b"another secret entirely", message="msg_9"))[name])]
    headers = forged + signed() if first else signed() + forged
    assert await wire.post(headers, EVENT) == 401
    assert await wire.post(signed() + [pair for pair in signed() if pair[0] == name], EVENT) == 401


async def test_a_proof_after_the_body_proves_nothing(wire: Wire) -> None:
    """A trailer is not a header, whoever sends it."""
    headers = [("transfer-encoding", "chunked"), ("trailer", "authorization"), ("connection", "close")]
    trailer = f"authorization: Bearer {SECRET.decode()}\r\n\r\n".encode()
    assert await wire.say(head(headers), f"{len(EVENT):x}\r\n".encode() + EVENT + b"\r\n0\r\n", trailer) == [401]


SMUGGLED = head([*bearer(), ("content-length", str(len(EVENT)))]) + EVENT
"""A request that must not be found in the body of another."""
TWO_LENGTHS = [
    pytest.param([("content-length", "0"), ("transfer-encoding", "chunked")], b"0\r\n\r\n", id="length-and-chunked"),
    pytest.param([("transfer-encoding", "chunked"), ("content-length", "5")], b"0\r\n\r\n", id="chunked-and-length"),
    pytest.param([("content-length", "5"), ("content-length", "6")], b"hello", id="two-lengths"),
    pytest.param([("content-length", "5, 6")], b"hello", id="two-lengths-in-one"),
    pytest.param([("content-length", "+5")], b"hello", id="a-sign"),
    pytest.param([("content-length", "0x5")], b"hello", id="hexadecimal"),
    pytest.param([("content-length", "5_0")], b"hello", id="underscore"),
    pytest.param([("transfer-encoding", "identity")], b"hello", id="identity"),
    pytest.param([("transfer-encoding", "chunked, chunked")], b"0\r\n\r\n", id="twice-chunked"),
    pytest.param([("transfer-encoding", "xchunked")], b"0\r\n\r\n", id="another-coding"),
    pytest.param([("transfer-encoding ", "chunked")], b"0\r\n\r\n", id="blank-before-the-colon"),
    pytest.param([("content-length", "5"), ("x", "a\ntransfer-encoding: chunked")], b"0\r\n\r\n", id="bare-line-end"),
    pytest.param([("content-length", "5"), ("x", "a\r\ncontent-length: 0")], b"hello", id="injected-length"),
    pytest.param([("x-odd", "a\x00b")], b"", id="null"),
]


@pytest.mark.parametrize(("headers", "body"), TWO_LENGTHS)
async def test_nobody_can_disagree_on_where_a_request_ends(wire: Wire, headers: Pairs, body: bytes) -> None:
    """What a proxy could read in another way is refused, and what follows on that connection is not looked at."""
    statuses = await wire.say(head([*bearer(), *headers]), body, SMUGGLED, end=False)
    assert statuses in ([400], [501])
    assert wire.broker.taken == []


async def test_a_head_has_an_end(wire: Wire) -> None:
    """However it is made long; nothing of it is kept."""
    for line in (b"x-long: " + b"a" * 1_000_000, b"x: y\r\n" * 100_000):
        assert 202 not in await wire.say(b"POST /v1/ingest/falco/c HTTP/1.1\r\nhost: a\r\n" + line, end=False)
    assert [str(answer) for answer in wire.below] == ["invalid"] * 2


async def test_a_body_pays_for_its_room_whatever_it_says_of_its_length(wire: Wire) -> None:
    """Memory is held for what may come, not for what was promised."""
    source = SOURCES["cloudevents"]
    wire.ingest.proved = wire.ingest.unproved = Budget(source.max_bytes)
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(head([*bearer(), ("transfer-encoding", "chunked")]) + b"5\r\nhello\r\n")
    await eventually(lambda: wire.ingest.unproved.free == 0)
    writer.close()
    await eventually(lambda: wire.ingest.unproved.free == source.max_bytes)
    assert await reader.read() == b""


DEEP = {"a": json.loads("[" * 90 + "]" * 90)}
BOMBS = [
    pytest.param(b"[" * 500_000, id="open-lists"),
    pytest.param(b"[" * 200_000 + b"]" * 200_000, id="deep-lists"),
    pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep-maps"),
    pytest.param(b'{"version": "4", "alerts": [' + b",".join([b"{}"] * 200_000) + b"]}", id="many-alerts"),
    pytest.param(b'{"version": ' + b"9" * 400_000 + b"}", id="a-huge-number"),
    pytest.param(b'{"version": 1e' + b"9" * 300_000 + b"}", id="a-huge-exponent"),
    pytest.param(b'{"a": "' + b"\\u0000" * 80_000 + b'"}', id="nulls"),
    pytest.param(b'{"a": "\xff\xfe"}', id="no-utf-8"),
    pytest.param(b"{" + b",".join(b'"%d": 1' % number for number in range(40_000)) + b"}", id="many-keys"),
    pytest.param(json.dumps(DEEP).encode(), id="nearly-too-deep"),
]


@pytest.mark.parametrize("body", BOMBS)
@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
def test_a_json_bomb_is_a_body_like_any_other(source: Source, body: bytes) -> None:
    """Unreadable or passed over, and never an error of ours."""
    found = said(source, body, {"x-github-event": "deployment_status"})
    assert len(found.made) <= MOST_ALERTS


def said(source: Source, body: bytes, headers: dict[str, str]) -> Reading:
    """What a source makes of it; nothing of what it cannot read, which it does not quote."""
    try:
        return source.read(Inbound(body, headers, Sender("staging"), NOON))
    except Unreadable as error:
        return Reading(passed_over=Counter({str(error): 1}))


INJECTED = '\n{"level": "error"}\r\x1b[31m\x00\u202e\u2028${event.name} $(id) `id` \'; -- <script>'
"""Ends a line, moves a cursor, turns the reading round, and is somebody else's syntax."""
DOCUMENTS = [path for path in BODIES if path.read_bytes().lstrip()[:1] in (b"{", b"[")]


def injected(value: Any) -> Any:
    """The same document with that behind each text, and in each key that is not a known one's."""
    if isinstance(value, dict):
        return {name: injected(child) for name, child in value.items()} | {INJECTED: INJECTED}
    if isinstance(value, list):
        return [injected(child) for child in value]
    return value + INJECTED if isinstance(value, str) else value


def one_by_one(document: Any) -> Iterator[Any]:
    """The document again and again, each time with one of its parts so; then with all of them."""
    for path in list(places(document)):
        changed = copy.deepcopy(document)
        holder = changed
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = injected(holder[path[-1]])
        yield changed
    yield injected(document)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for name, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, name)
        if isinstance(child, dict | list):
            yield from places(child, (*path, name))


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_in(child)
    if isinstance(value, str):
        yield value


def checked(source: Source, document: Any, headers: dict[str, str]) -> int:
    """How many events came of all that can be injected into a document; each of them is plain."""
    count = 0
    for changed in one_by_one(document):
        found = said(source, json.dumps(changed).encode(), headers)
        assert "script" not in "".join(found.passed_over)
        for made in found.made:
            count += 1
            assert [text for text in texts_in(made.event.model_dump(mode="json")) if not text.isprintable()] == []
            assert made.event.subject.count("/") == 4
    return count


@pytest.mark.parametrize("body", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_field_of_an_alert_ends_a_line_or_moves_a_cursor(body: Path) -> None:
    """Whichever it stands in: events go into logs, terminals, messages and subjects as they are."""
    beside = body.with_suffix(".headers.json")
    headers = json.loads(beside.read_bytes()) if beside.exists() else {}
    checked(SOURCES[body.parent.name], json.loads(body.read_bytes()), headers)


def test_nor_does_one_of_an_audit_entry() -> None:
    """Every client of an API server chooses its user agent."""
    written = {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [entry()]}
    assert checked(SOURCES["audit"], written, {}) > 5
