"""Run things side by side that end together: the first failure or the stop signal ends all."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


async def run_until(stop: asyncio.Event, *parts: Coroutine[Any, Any, Any]) -> None:
    """Run `parts` until `stop` is set or one of them ends; what it raised is raised, the others are cancelled."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    waiting = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await cancel(waiting, *tasks)


async def all_of(parts: Iterable[Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """What all of them answer, in their order; the first error ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await cancel(*tasks)


async def cancel(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel and wait; what they raise while ending is not news."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def background(*parts: Coroutine[Any, Any, Any]) -> AsyncIterator[list["asyncio.Task[Any]"]]:
    """Run `parts` for the length of a block."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield tasks
    finally:
        await cancel(*tasks)
