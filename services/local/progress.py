"""What is being prepared, so that a command can show it: parts, their order, and how long they may take."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum

TICK_S = 0.5


class StepState(StrEnum):
    READY = "ready"  # it was there already
    WAITING = "waiting"  # another process builds it
    BUILDING = "building"
    BUILT = "built"
    FAILED = "failed"


@dataclass(frozen=True)
class Step:
    """One part's progress. `index` counts from 1; `expected_s` is a first build's duration on two cores."""

    name: str
    index: int
    total: int
    state: StepState
    elapsed_s: float = 0.0
    expected_s: float = 0.0

    def __str__(self) -> str:
        place = f"step {self.index} of {self.total}"
        match self.state:
            case StepState.BUILDING:
                return f"building {self.name} ({place}, {about(self.expected_s)} the first time)"
            case StepState.WAITING:
                return f"waiting for another process that builds {self.name} ({place})"
            case StepState.READY:
                return f"{self.name} is there ({place})"
            case _:
                return f"{self.name} {self.state} after {self.elapsed_s:.0f} s ({place})"


Progress = Callable[[Step], None]
"""Called at each change of state, and every half second while a step takes time. Must return quickly."""


def silent(step: Step) -> None:
    """Show nothing."""


def about(seconds: float) -> str:
    """`about 20 s`, `about 6 min`."""
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"


class Reporter:
    """Tells `progress` about one step as it goes on."""

    def __init__(self, progress: Progress, step: Step) -> None:
        self._progress = progress
        self._step = step
        self._since = time.monotonic()

    def tell(self, state: StepState) -> None:
        self._step = replace(self._step, state=state, elapsed_s=time.monotonic() - self._since)
        self._progress(self._step)

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Repeat the last state while the block runs, so that a bar moves."""
        ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._step.state in (StepState.WAITING, StepState.BUILDING):
                self.tell(self._step.state)
