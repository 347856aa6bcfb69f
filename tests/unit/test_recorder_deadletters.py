"""How much may be unreadable."""

import pytest

from services.recorder.deadletters import DlqCount, DlqLimit
from services.runtime.errors import Permanent


def test_a_few_in_a_row_are_buried_and_one_more_stops() -> None:
    """A good record starts the count anew."""
    count = DlqCount(DlqLimit(consecutive=3, share=1.0, window=100))
    for _ in range(2):
        for _ in range(3):
            count.bad("x")
        count.good()
    for _ in range(3):
        count.bad("x")
    with pytest.raises(Permanent, match="4 unreadable records in a row"):
        count.bad("setpoint-drift:0:7 not JSON")


def test_a_share_of_the_last_records_stops_too() -> None:
    """Mixed with good ones, a quarter is the end, counted over the window only."""
    count = DlqCount(DlqLimit(consecutive=100, share=0.25, window=100))
    for number in range(300):
        if number % 5 == 0:
            count.bad("x")
        else:
            count.good()
    with pytest.raises(Permanent, match="of the last 100"):
        _every_third_bad(count)


def _every_third_bad(count: DlqCount) -> None:
    for number in range(200):
        if number % 3 == 0:
            count.bad("x")
        else:
            count.good()


def test_a_young_count_waits_for_its_window() -> None:
    """One bad record of two is no share."""
    count = DlqCount(DlqLimit(consecutive=5, share=0.25, window=100))
    count.good()
    count.bad("x")
