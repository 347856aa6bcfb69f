"""How much at once: requests a second of each sender, bytes of bodies in memory, connections of each address.

Called by the app and by the protocol below it. All of it is this process' own: two gateways let twice as much through.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from dataclasses import dataclass

PATIENCE_S = 1.0
"""A sender that is a little too fast is slowed down; some of them never send again what was refused."""


@dataclass
class Bucket:
    """Tokens that were there at a time. Fewer than none: they are promised to those who wait."""

    tokens: float
    at: float


class Rates:
    """A token bucket for each of few keys; who is proved, and not who asks, so that strangers fill nothing."""

    def __init__(self, rate: float, burst: float | None = None, patience: float = PATIENCE_S) -> None:
        self.rate, self.burst, self.patience = rate, burst if burst is not None else 2 * rate, patience
        self.buckets: dict[Hashable, Bucket] = {}

    def take(self, key: Hashable, now: float) -> float | None:
        """Seconds to wait before going on, or None where that would be too long. `now` is monotonic."""
        bucket = self.buckets.setdefault(key, Bucket(self.burst, now))
        tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.rate)
        wait = max(0.0, (1 - tokens) / self.rate)
        taken = wait <= self.patience
        bucket.tokens, bucket.at = tokens - taken, now
        return wait if taken else None


class Budget:
    """Bytes that may be in memory at a time; the others wait in their sockets, in the order in which they came."""

    def __init__(self, size: int) -> None:
        self.size = self.free = size
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @contextlib.asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Take room for `size` bytes for the length of a block; what is larger than everything takes everything."""
        wanted = min(size, self.size)
        await self._take(wanted)
        try:
            yield
        finally:
            self._give(wanted)

    async def _take(self, wanted: int) -> None:
        if not self.waiting and wanted <= self.free:
            self.free -= wanted
            return
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give(wanted)
            else:
                self.waiting.remove((wanted, turn))
                self._give(0)
            raise

    def _give(self, size: int) -> None:
        self.free += size
        while self.waiting and self.waiting[0][0] <= self.free:
            wanted, turn = self.waiting.popleft()
            self.free -= wanted
            turn.set_result(None)


class Peers:
    """Open connections, of each address and in all."""

    def __init__(self, each: int, together: int) -> None:
        self.each, self.together = each, together
        self.open: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """Count one more; whether it is not too many. It is counted in any case, until `leave`."""
        self.open[address] += 1
        return self.open[address] <= self.each and self.open.total() <= self.together

    def leave(self, address: str) -> None:
        """Count one less, and forget who has none."""
        self.open[address] -= 1
        if self.open[address] <= 0:
            del self.open[address]
