"""A queue of keys with the semantics of client-go's: a key waits once however often it is added, and one worker at a
time has it. Added again while it is worked on, it comes back afterwards. Bounded by the number of keys.
"""

import asyncio
from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


class WorkQueue(Generic[KeyT]):
    """For one event loop."""

    def __init__(self) -> None:
        self.waiting: dict[KeyT, None] = {}
        self.working: set[KeyT] = set()
        self.again: set[KeyT] = set()
        self.timers: dict[KeyT, asyncio.TimerHandle] = {}
        self.ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self.waiting) + len(self.working) + len(self.timers)

    def add(self, key: KeyT) -> None:
        """Let a worker have it, soon."""
        timer = self.timers.pop(key, None)
        if timer:
            timer.cancel()
        if key in self.working:
            self.again.add(key)
            return
        self.waiting[key] = None
        self.ready.set()

    def add_after(self, key: KeyT, seconds: float) -> None:
        """Add it later, unless it is added before."""
        if key not in self.timers and key not in self.waiting:
            self.timers[key] = asyncio.get_running_loop().call_later(seconds, self._due, key)

    async def get(self) -> KeyT:
        """The next key; call `done` with it."""
        while not self.waiting:
            self.ready.clear()
            await self.ready.wait()
        key = next(iter(self.waiting))
        del self.waiting[key]
        self.working.add(key)
        return key

    def done(self, key: KeyT) -> None:
        """Work on it has ended, well or not."""
        self.working.discard(key)
        if key in self.again:
            self.again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Stop the timers."""
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()

    def _due(self, key: KeyT) -> None:
        self.timers.pop(key, None)
        self.add(key)
