"""A door of bytes between a client and the API server, which the benchmarks can shut and open again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Gate:
    """Forwards connections to `port` on loopback while it is open. `first` is when one came after the last opening."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.is_open = True
        self.first: float | None = None
        self.lines: set[asyncio.StreamWriter] = set()

    def shut(self) -> None:
        """End all connections, and refuse new ones."""
        self.is_open = False
        for line in list(self.lines):
            line.transport.abort()

    def open(self) -> None:
        """Let connections through again."""
        self.is_open, self.first = True, None

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        if not self.is_open:
            writer.transport.abort()
            return
        self.first = self.first or time.monotonic()
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.lines |= {writer, far_writer}
            try:
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            finally:
                self.lines -= {writer, far_writer}
                far_writer.close()
        writer.close()


async def _pump(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(2**16):
            drain.write(data)
            await drain.drain()
    drain.close()


@asynccontextmanager
async def gate(port: int) -> AsyncIterator[tuple[Gate, int]]:
    """A gate before `port`, and the port at which it listens."""
    made = Gate(port)
    server = await asyncio.start_server(made.take, "127.0.0.1", 0)
    try:
        yield made, server.sockets[0].getsockname()[1]
    finally:
        made.shut()
        server.close()
