"""How much at once: of one sender, in memory, and from one address; on real sockets where the claim is about them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.answers import STATUS, Answer
from services.gateway.limits import Budget, Peers, Rates
from services.gateway.server import Listener, serving
from services.runtime.metrics import GATEWAY


def test_a_sender_may_send_at_once_what_its_burst_allows() -> None:
    """And is slowed down then, and refused where that would take too long."""
    rates = Rates(rate=10, burst=3, patience=0.25)
    assert [rates.take("a", 0.0) for _ in range(6)] == [0, 0, 0, pytest.approx(0.1), pytest.approx(0.2), None]
    assert rates.take("b", 0.0) == 0, "another sender has its own"
    assert rates.take("a", 1.0) == 0


@given(st.lists(st.floats(0, 0.5), max_size=60), st.floats(1, 50), st.floats(1, 20))
def test_nobody_gets_more_than_the_rate(pauses: list[float], rate: float, burst: float) -> None:
    """In any window: no more than its burst and what its length allows, counted when each goes on."""
    rates, now, going = Rates(rate, burst, patience=0.3), 0.0, []
    for pause in pauses:
        now += pause
        wait = rates.take("a", now)
        going += [] if wait is None else [now + wait]
    for first in range(len(going)):
        for last in range(first, len(going)):
            assert last - first + 1 <= burst + (going[last] - going[first]) * rate + 1.001


async def test_bodies_wait_for_room_in_their_order() -> None:
    """A large one is not passed by small ones for ever."""
    budget, order = Budget(10), []

    async def body(size: int) -> None:
        async with budget.hold(size):
            order.append(size)
            await asyncio.sleep(0)

    async with budget.hold(8):
        tasks = [asyncio.create_task(body(size)) for size in (5, 1, 100)]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*tasks)
    assert (order, budget.free) == ([5, 1, 100], 10)


@pytest.mark.parametrize("granted", [False, True])
async def test_who_gives_up_leaves_its_room(granted: bool) -> None:
    """Whether or not its turn had just come."""
    budget = Budget(10)
    async with budget.hold(10):
        task = asyncio.create_task(budget.hold(4).__aenter__())
        await asyncio.sleep(0)
        if not granted:
            task.cancel()
            await asyncio.sleep(0)
    if granted:
        task.cancel()
    await asyncio.wait({task})
    assert (budget.free, len(budget.waiting), task.cancelled()) == (10, 0, True)


def test_addresses_are_forgotten_once_they_have_no_connection() -> None:
    """Otherwise strangers would fill memory with addresses."""
    peers = Peers(each=1, together=2)
    assert [peers.enter(address) for address in "aab"] == [True, False, False]
    for address in "aab":
        peers.leave(address)
    assert not peers.open
    assert peers.enter("a")


def test_every_answer_has_a_status_and_starts_at_zero() -> None:
    """A counter that is absent until its first failure cannot be alerted on."""
    assert set(STATUS) == set(Answer) == set(GATEWAY["ingests_total"].start)


class Server:
    """One that answers `ok`, and counts what never became a request."""

    def __init__(self) -> None:
        self.refused: list[Answer] = []
        self.port = 0

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


async def answer(scope: object, receive: object, send: Callable[..., object]) -> None:
    """An app that reads nothing."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": b"ok"})  # type: ignore[misc]


@asynccontextmanager
async def a_server(**changes: float) -> AsyncIterator[Server]:
    found = Server()
    listener = Listener("127.0.0.1", 0, **changes)  # type: ignore[arg-type]
    async with serving(answer, listener, found.refused.append) as found.port:
        yield found


async def everything(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Status and JSON of the answer, once the other side has closed."""
    head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize("sent", [b"", b"POST / HTTP/1.1\r\nx-slow: "], ids=["silent", "half-a-head"])
async def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes) -> None:
    """Slow connections are the cheapest way to fill a server."""
    async with a_server(head_s=0.2) as server:
        reader, writer = await server.open()
        writer.write(sent)
        assert await everything(reader) == (408, {"result": "too-slow"})
        assert server.refused == [Answer.TOO_SLOW]
        writer.close()


async def test_a_head_that_trickles_has_no_more_time() -> None:
    """Each byte would start it anew otherwise."""
    async with a_server(head_s=0.3) as server:
        reader, writer = await server.open()

        async def trickle() -> None:
            for letter in b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x" * 1000:
                writer.write(bytes([letter]))
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        assert (await everything(reader))[0] == 408
        trickling.cancel()
        writer.close()


async def test_the_second_request_has_a_time_of_its_own() -> None:
    """A pause between requests is none of a head's time, and a connection that is kept is not refused for it."""
    async with a_server(head_s=0.2) as server:
        reader, writer = await server.open()
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert b"200" in await reader.readuntil(b"ok")
            await asyncio.sleep(0.3)
        writer.write(b"GET / HT")
        assert (await everything(reader))[0] == 408
        writer.close()


async def test_what_still_comes_after_the_answer_is_not_read_for_ever() -> None:
    """The answer is there before the body is; the rest has a short time to end."""
    async with a_server(rest_s=0.2) as server:
        reader, writer = await server.open()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nbegin")
        assert b"200" in await reader.readuntil(b"ok")

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 60) == b""
        trickling.cancel()
        writer.close()


async def test_one_address_may_not_take_all_connections() -> None:
    """It is told so, and may come again once it has closed one."""
    async with a_server(connections=2) as server:
        kept = [await server.open() for _ in range(2)]
        reader, writer = await server.open()
        assert await everything(reader) == (503, {"result": "connections"})
        assert server.refused == [Answer.CONNECTIONS]
        for one in (writer, kept[0][1]):
            one.close()
            await one.wait_closed()
        kept[1][1].write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await kept[1][0].readuntil(b"ok")  # by now the server has seen them close
        reader, writer = await server.open()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"200" in await reader.readuntil(b"ok")
        for one in (writer, kept[1][1]):
            one.close()


async def test_what_is_no_http_is_counted() -> None:
    """And not quoted."""
    async with a_server() as server:
        reader, writer = await server.open()
        writer.write(b"\x16\x03\x01 private\r\n\r\n")
        assert await everything(reader) == (400, {"result": "invalid"})
        assert server.refused == [Answer.INVALID]
        writer.close()
