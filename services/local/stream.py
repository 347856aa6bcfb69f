"""Things in the order in which they arrived, for somebody who waits for one of them.

Used by the demo for what it sees on the topics and on its own watches. Single event loop only.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from services.runtime.clock import Clock

ItemT = TypeVar("ItemT")


class Arrival(NamedTuple, Generic[ItemT]):
    """One thing and when it arrived, in seconds of the monotonic clock."""

    at: float
    item: ItemT


class Stream(Generic[ItemT]):
    """Grows at its end and forgets nothing: for runs of minutes, not for services."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.arrivals: list[Arrival[ItemT]] = []
        self.listeners: list[Callable[[Arrival[ItemT]], None]] = []
        self.changed = asyncio.Event()

    def add(self, item: ItemT) -> None:
        """Take one in and wake everybody who waits."""
        arrival = Arrival(self.clock.monotonic(), item)
        self.arrivals.append(arrival)
        for listener in self.listeners:
            listener(arrival)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def first(self, wanted: Callable[[ItemT], bool]) -> Arrival[ItemT] | None:
        """The oldest that fits, now."""
        return next((arrival for arrival in self.arrivals if wanted(arrival.item)), None)

    async def wait(self, wanted: Callable[[ItemT], bool], within: float) -> Arrival[ItemT] | None:
        """The oldest that fits, waiting up to `within` seconds for it; None when none came."""
        try:
            async with asyncio.timeout(within):
                while (found := self.first(wanted)) is None:
                    await self.changed.wait()
        except TimeoutError:
            return None
        return found
