"""A key waits once, one worker has it at a time, and nothing that was added is forgotten."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.workqueue import WorkQueue


async def test_a_key_waits_once() -> None:
    """However often it is added, in the order of the first time."""
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]


async def test_a_key_that_is_worked_on_comes_back_afterwards() -> None:
    """Added while working, it is not given to a second worker, and not forgotten."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    assert not queue.waiting
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_a_worker_waits_for_the_next_key() -> None:
    """And is woken by it."""
    queue: WorkQueue[str] = WorkQueue()
    getting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not getting.done()
    queue.add("a")
    assert await getting == "a"


async def test_a_cancelled_worker_takes_no_key_with_it() -> None:
    """Whoever waits next gets it."""
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await second == "a"


async def test_later_is_overtaken_by_now() -> None:
    """A sighting does not wait for a retry's time."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 3600)
    assert not queue.waiting
    queue.add("a")
    assert await queue.get() == "a"
    assert not queue.timers


async def test_a_timer_adds_and_close_ends_timers() -> None:
    """After `close` nothing fires any more."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0)
    queue.add_after("b", 3600)
    assert await queue.get() == "a"
    queue.close()
    assert not queue.timers


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 4))
def test_every_add_is_followed_by_work(adds: list[str], workers: int) -> None:
    """Work on a key begins after its last add, and never twice at once, with any number of workers."""
    asyncio.run(_check(adds, workers))


async def _check(adds: list[str], workers: int) -> None:
    queue: WorkQueue[str] = WorkQueue()
    added: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    busy: set[str] = set()

    async def work() -> None:
        while True:
            key = await queue.get()
            assert key not in busy
            busy.add(key)
            covered[key] = added[key]
            await asyncio.sleep(0)
            busy.discard(key)
            queue.done(key)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    for key in adds:
        added[key] += 1
        queue.add(key)
        await asyncio.sleep(0)
    while len(queue):  # noqa: ASYNC110 - workers that only yield
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert covered == added
