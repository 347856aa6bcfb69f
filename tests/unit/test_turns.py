"""Turns bound how much is asked of the API server at once, and nobody holds one for long."""

import asyncio

from services.reconciler.acting.turns import Turns


async def test_no_more_than_so_many_at_once() -> None:
    """Whoever is too many waits for the end of another's turn."""
    turns, inside, most = Turns(3, patience=60), 0, 0

    async def work() -> None:
        nonlocal inside, most
        async with turns.turn():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(50)))
    assert (most, inside) == (3, 0)


async def test_one_that_hangs_gives_its_turn_away() -> None:
    """All turns are taken by what never ends; the next one gets on all the same."""
    turns, hanging = Turns(2, patience=0), asyncio.Event()

    async def hang() -> None:
        async with turns.turn():
            await hanging.wait()

    hung = [asyncio.create_task(hang()) for _ in range(2)]
    await asyncio.sleep(0)
    async with asyncio.timeout(60), turns.turn():
        assert not any(one.done() for one in hung)
    hanging.set()
    await asyncio.gather(*hung)
    assert turns.free._value == 2, "each turn comes back once, however it ended"


async def test_a_cancelled_one_gives_its_turn_back() -> None:
    """Also while it waits."""
    turns = Turns(1, patience=60)

    async def hang() -> None:
        async with turns.turn():
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(hang()) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert turns.free._value == 1
