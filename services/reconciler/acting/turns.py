"""Turns to talk to the API server: so many at once, and none of them for long.

A turn bounds how hard a storm hits the server. Whoever takes longer than a second waits for an answer and does no work
here, so the turn passes on and the work goes on: one that hangs never holds back another.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PATIENCE_S = 1.0


class Turns:
    """`most` turns at once."""

    def __init__(self, most: int, patience: float = PATIENCE_S) -> None:
        self.free, self.patience = asyncio.Semaphore(most), patience

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; it ends with the block, or sooner."""
        await self.free.acquire()
        held = True

        def pass_on() -> None:
            nonlocal held
            if held:
                held = False
                self.free.release()

        timer = asyncio.get_running_loop().call_later(self.patience, pass_on)
        try:
            yield
        finally:
            timer.cancel()
            pass_on()
