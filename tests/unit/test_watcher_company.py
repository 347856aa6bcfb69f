"""Events of a storm leave together."""

import asyncio

from services.watcher.company import GATHER_S, Company
from tests.fakes import StillClock


async def test_whoever_comes_before_a_departure_leaves_with_it() -> None:
    """Many who come at once wait once; who comes after they have left waits anew."""
    clock = StillClock()
    company = Company(clock)
    await asyncio.gather(*(company.depart() for _ in range(5)))
    assert clock.slept == [GATHER_S]
    await company.depart()
    assert clock.slept == [GATHER_S, GATHER_S]


async def test_one_who_is_called_off_does_not_keep_the_others_here() -> None:
    """A worker that ends while it waits takes nobody's departure with it."""
    clock = StillClock()
    company = Company(clock)
    waiting = [asyncio.create_task(company.depart()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await waiting[1]
    assert waiting[0].cancelled()
    assert clock.slept == [GATHER_S]
