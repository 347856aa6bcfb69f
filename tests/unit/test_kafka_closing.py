"""Closing a client of the broker never ends more than that client."""

import asyncio
from contextlib import suppress

import pytest

from services.runtime.kafka import started


class Connections:
    """A client's network side."""

    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


class Consumer:
    """As aiokafka's, whose fetch waits out a failure when it is stopped: it cancels that task, and raises with it."""

    def __init__(self) -> None:
        self._client = Connections()
        self.fetching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.fetching = asyncio.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)

    async def stop(self) -> None:
        assert self.fetching is not None
        self.fetching.cancel()
        await self.fetching


async def test_a_cancelled_fetch_is_not_the_callers_cancellation() -> None:
    """The block ends as if the consumer had closed in order, and its connections are closed."""
    consumer = Consumer()
    async with started(consumer):
        pass
    assert consumer._client.closed


async def test_what_the_block_raised_is_raised() -> None:
    """An error of the broker stays that error."""
    with pytest.raises(ValueError, match="of the block"):
        async with started(Consumer()):
            raise ValueError("of the block")


async def test_a_cancellation_of_the_caller_stays_one() -> None:
    """Also where it comes while the client is being closed."""

    class Slow(Consumer):
        async def stop(self) -> None:
            closing.set()
            await asyncio.sleep(60)

    async def use(consumer: Consumer, ready: asyncio.Event) -> None:
        async with started(consumer):
            ready.set()
            if isinstance(consumer, Slow):
                return
            await asyncio.sleep(60)

    for consumer in (Consumer(), Slow()):
        ready, closing = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(use(consumer, ready))
        await (closing if isinstance(consumer, Slow) else ready).wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_start_that_is_cancelled_is_closed() -> None:
    """A service is stopped while it connects: nothing is left open."""

    class Waiting(Consumer):
        async def start(self) -> None:
            await super().start()
            starting.set()
            await asyncio.sleep(60)

    async def use(consumer: Consumer) -> None:
        async with started(consumer):
            raise AssertionError("it never started")

    starting, consumer = asyncio.Event(), Waiting()
    task = asyncio.create_task(use(consumer))
    await starting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert consumer._client.closed


@pytest.mark.parametrize("where", ["start", "stop"])
async def test_a_cancellation_that_the_client_swallows_is_raised(where: str) -> None:
    """aiokafka waits for tasks that it has cancelled, and takes a cancellation of ours for theirs."""

    class Deaf(Consumer):
        async def start(self) -> None:
            await super().start()
            if where == "start":
                await self.swallow()

        async def stop(self) -> None:
            if where == "stop":
                await self.swallow()

        async def swallow(self) -> None:
            waiting.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def use() -> None:
        async with started(Deaf()):
            pass
        raise AssertionError("it went on as if nobody had cancelled it")

    waiting = asyncio.Event()
    task = asyncio.create_task(use())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
