"""How often Python looks for garbage."""

import gc
from collections.abc import Iterator

import pytest

from services.runtime.collector import MIDDLE, OLD, YOUNG, collect_seldom


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_there_at_the_start_is_not_looked_at_again() -> None:
    """Modules, models and compiled validators stay for as long as the process does; garbage is still found."""
    collect_seldom()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == (YOUNG, MIDDLE, OLD)
    assert gc.isenabled()
