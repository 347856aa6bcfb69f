"""How long to wait before trying again: exponential with full jitter, reset by success."""

import random
from collections.abc import Callable


class Backoff:
    """`next()` gives seconds; between half of and the whole of first × 2ⁿ, at most `most`."""

    def __init__(self, first: float = 0.1, most: float = 30.0, draw: Callable[[], float] = random.random) -> None:
        self.first, self.most, self.draw = first, most, draw
        self.failures = 0

    def next(self) -> float:
        """The next wait, longer each time until `reset`."""
        ceiling = min(self.most, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return ceiling * (0.5 + 0.5 * self.draw())

    def reset(self) -> None:
        """It worked again."""
        self.failures = 0
