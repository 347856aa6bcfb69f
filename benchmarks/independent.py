"""A watch that shares nothing with Setpoint's own: what another client sees, and when."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
import orjson

from benchmarks.objects import COLLECTIONS
from services.kube.objects import Object
from services.runtime.errors import Permanent
from services.runtime.tasks import background

Name = tuple[str, str]
"""Kind and name."""


class Seen(NamedTuple):
    """A state of an object and when its line was read, as Unix time, which is what events carry."""

    at: float
    obj: Object


class Independent:
    """Tells those who wait for a state of an object when it was seen."""

    def __init__(self) -> None:
        self.waiting: dict[Name, list[tuple[Callable[[Object], bool], asyncio.Future[Seen]]]] = {}

    def expect(self, name: Name, wanted: Callable[[Object], bool]) -> "asyncio.Future[Seen]":
        """The first state from now on for which `wanted` holds."""
        future: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(name, []).append((wanted, future))
        return future

    def line(self, kind: str, raw: bytes) -> str:
        """One line of a watch; the resourceVersion it brings. Permanent for the server's error."""
        at = time.time()
        event = orjson.loads(raw)
        obj = event["object"]
        if event["type"] == "ERROR":
            raise Permanent(f"the independent watch failed: {obj}")
        if event["type"] == "MODIFIED":
            self._tell((kind, obj["metadata"]["name"]), Seen(at, obj))
        return str(obj["metadata"]["resourceVersion"])

    def _tell(self, name: Name, seen: Seen) -> None:
        waiting = [entry for entry in self.waiting.pop(name, ()) if not entry[1].done()]
        left = [(wanted, future) for wanted, future in waiting if not wanted(seen.obj)]
        for entry in waiting:
            if entry not in left:
                entry[1].set_result(seen)
        if left:
            self.waiting[name] = left

    def failed(self, error: BaseException) -> None:
        """Nothing more will be seen: whoever waits hears why."""
        for _, future in (entry for entries in self.waiting.values() for entry in entries):
            if not future.done():
                future.set_exception(error)


@asynccontextmanager
async def watching(
    session: aiohttp.ClientSession, collections: Mapping[str, str] = COLLECTIONS
) -> AsyncIterator[Independent]:
    """Watch both kinds, or those of other `collections`, for the length of a block."""
    independent = Independent()
    versions = {kind: await _version(session, path) for kind, path in collections.items()}
    watches = (_watch(session, independent, kind, collections[kind], version) for kind, version in versions.items())
    async with background(*watches) as tasks:
        for task in tasks:
            task.add_done_callback(lambda task: None if task.cancelled() else independent.failed(_why(task)))
        yield independent


async def _version(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path, params={"limit": "1"}) as answer:
        return str(orjson.loads(await answer.read())["metadata"]["resourceVersion"])


async def _watch(session: aiohttp.ClientSession, independent: Independent, kind: str, path: str, version: str) -> None:
    """Until cancelled. The API server ends the watch of a client that is slow for a moment: then it goes on there."""
    while True:
        params = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "3600", "allowWatchBookmarks": "true"}
        async with session.get(path, params=params) as answer:
            async for raw in answer.content:
                version = independent.line(kind, raw)


def _why(task: "asyncio.Task[None]") -> BaseException:
    return task.exception() or Permanent("the independent watch ended")
