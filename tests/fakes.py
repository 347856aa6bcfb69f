"""Stand-ins that several tests of the kube floor and the watcher share."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class StillClock:
    """Stands still until it is told to go on; a sleep takes no real time and moves it by what was asked for.

    `slept` keeps every wait, so that a test can see a pace.
    """

    def __init__(self, now: datetime = NOON) -> None:
        self.started, self.passed = now, 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.started + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += max(0.0, seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self.passed += seconds


async def eventually(probe: Callable[[], Any | Awaitable[Any]], within: float = 60.0, what: str = "") -> Any:
    """The probe's first true answer. An answer that never comes fails the test with the last one."""
    deadline = time.monotonic() + within
    while True:
        answer = probe()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within:g} s: {what or probe}; last answer: {answer!r}"
        await asyncio.sleep(0.02)
