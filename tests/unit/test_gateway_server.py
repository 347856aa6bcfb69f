"""The gateway's sockets."""

import asyncio
import socket

import pytest

from services.gateway.server import Listener, bind
from services.runtime.errors import Temporary


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_answers_are_sent_at_once(host: str) -> None:
    """No connection waits for the acknowledgement of an answer's head before it sends the body."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    try:
        bound = bind(Listener(host.strip("[]"), 0))
    except (Temporary, OSError):
        pytest.skip("this machine has no such address")
    async with await asyncio.start_server(connected, sock=bound):
        _, writer = await asyncio.open_connection(*bound.getsockname()[:2])
        assert await found
        writer.close()
