"""Waits grow, are spread, have an end, and start anew after success."""

import pytest

from services.runtime.backoff import Backoff


def test_waits_double_up_to_the_most() -> None:
    """With the whole of each wait drawn."""
    backoff = Backoff(first=1.0, most=5.0, draw=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_success_starts_anew() -> None:
    """The next failure is a first one again."""
    backoff = Backoff(first=1.0, draw=lambda: 1.0)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == 1.0


@pytest.mark.parametrize("draw", [0.0, 0.5, 1.0])
def test_waits_are_spread_and_never_nothing(draw: float) -> None:
    """Between half and the whole, so that many clients do not come back at once, and none at once."""
    backoff = Backoff(first=0.1, most=30.0, draw=lambda: draw)
    waits = [backoff.next() for _ in range(100)]
    assert all(0.05 <= wait <= 30.0 for wait in waits)
    assert waits[-1] == 15.0 + 15.0 * draw
