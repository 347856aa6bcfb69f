"""In a storm events go to the broker in company: a request costs it, and whoever reads, as much for one as for many.

Only `Watcher` calls this, and only while more objects wait than are being judged: a single drift never waits.
"""

import asyncio

from services.runtime.clock import Clock

GATHER_S = 0.03  # a dry-run in a storm takes longer, so that workers are hardly ever all here


class Company:
    """Departures, each for everybody who came since the last one."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.next: asyncio.Task[None] | None = None

    async def depart(self) -> None:
        """Wait for the next departure, at most `GATHER_S`."""
        if self.next is None or self.next.done():
            self.next = asyncio.ensure_future(self._wait())
        await asyncio.shield(self.next)

    async def _wait(self) -> None:
        await self.clock.sleep(GATHER_S)
