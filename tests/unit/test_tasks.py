"""Things that run side by side end together."""

import asyncio

import pytest

from services.runtime.tasks import background, cancel, run_until


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("cancelled")


async def fails() -> None:
    await asyncio.sleep(0)
    raise ValueError("broken")


async def test_stop_ends_all_parts() -> None:
    """In order, and without an error."""
    stop, ended = asyncio.Event(), list[str]()
    running = asyncio.create_task(run_until(stop, forever(ended), forever(ended)))
    await asyncio.sleep(0)
    stop.set()
    await running
    assert ended == ["cancelled", "cancelled"]


async def test_the_first_failure_ends_all_parts_and_is_raised() -> None:
    """A service with a broken part does not pretend to run."""
    ended: list[str] = []
    with pytest.raises(ValueError, match="broken"):
        await run_until(asyncio.Event(), forever(ended), fails())
    assert ended == ["cancelled"]


async def test_a_part_that_ends_ends_all() -> None:
    """Parts are meant to run until they are told to stop."""
    ended: list[str] = []
    await run_until(asyncio.Event(), forever(ended), asyncio.sleep(0))
    assert ended == ["cancelled"]


async def test_background_ends_with_its_block() -> None:
    """Also where the block fails."""
    ended: list[str] = []
    with pytest.raises(ValueError, match="broken"):
        async with background(forever(ended)):
            await fails()
    assert ended == ["cancelled"]


async def test_cancel_waits_for_the_end() -> None:
    """What a task raises while it ends is not news."""

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while ending")

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await cancel(task)
    assert task.done()
