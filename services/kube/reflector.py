"""List and watch one kind for as long as asked, without a gap: what a watch missed, the next list makes good.

The rules are client-go's: pages of 500, watch from the list's resourceVersion with bookmarks, a random end after five
to ten minutes, 410 → list again, 429 → the server's own pace, silence → reconnect, deletes found by comparing a new
list with what was known. Not kubernetes-asyncio's watch: it loses events and hangs (no back-off, no 410, one pool).
Only keys are kept here, some 100 bytes an object; who listens keeps what it needs.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, NamedTuple

import aiohttp
import orjson

from services.kube.discovery import Resource
from services.kube.errors import ApiError, Forbidden, Gone, NotFound, TooManyRequests, Unavailable
from services.kube.objects import Object, ObjectKey, metadata_of
from services.kube.session import Session
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.logging import Log
from services.runtime.metrics import Metrics

PAGE = 500
SILENCE = 70.0  # seconds; bookmarks come about every minute
WATCH_S = (300, 600)
Source = Literal["list", "watch", "gone"]


class Sighting(NamedTuple):
    """One object as it is now; `obj` None means it does not exist (any more). `source` "gone" is found by a list."""

    key: ObjectKey
    obj: Object | None
    source: Source


class Reflector:
    """One kind, in one namespace or in all. `listener` is called in order and must not block.

    `interest` chooses what is told and remembered; `on_listed` is called after each complete list.
    """

    def __init__(
        self, session: Session, resource: Resource, listener: Callable[[Sighting], None], *, clock: Clock,
        metrics: Metrics, log: Log, namespace: str = "", interest: Callable[[ObjectKey], bool] = lambda _: True,
        on_listed: Callable[[], None] = lambda: None, silence: float = SILENCE,
    ) -> None:  # fmt: skip
        self.session, self.resource, self.namespace = session, resource, namespace
        self.listener, self.interest, self.on_listed = listener, interest, on_listed
        self.clock, self.metrics, self.silence = clock, metrics, silence
        self.log = log.bind(kind=resource.kind, group=resource.group, namespace=namespace)
        self.known: set[ObjectKey] = set()
        self.version = ""
        self.synced = asyncio.Event()
        self.refused: str | None = None
        self.relist_wanted = False
        self.watching: asyncio.Task[None] | None = None

    def relist(self) -> None:
        """List again soon, whatever the watch says."""
        self.relist_wanted = True
        if self.watching:
            self.watching.cancel()

    async def run(self) -> None:
        """Until cancelled. Never raises for anything that the server does."""
        backoff = Backoff(first=0.2)
        while True:
            try:
                await self._round(backoff)
            except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
                await self._recover(error, backoff)

    async def _round(self, backoff: Backoff) -> None:
        if not self.version or self.relist_wanted:
            self.relist_wanted = False
            await self.list_all()
        backoff.reset()
        watching = self.watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({watching})
        finally:
            watching.cancel()
            self.watching = None
        if not watching.cancelled():
            watching.result()
        if not self.relist_wanted:
            self.metrics.inc("watch_restarts_total", why="closed")
            await self.clock.sleep(0.05)

    async def _recover(self, error: Exception, backoff: Backoff) -> None:
        """Decide what the failure means for the next round, and wait."""
        wait = backoff.next()
        why = "error"
        self.refused = None
        if isinstance(error, Gone):
            self.version, why, wait = "", "expired", min(wait, 0.2)
        elif isinstance(error, TooManyRequests):
            why, wait = "refused", max(wait, error.retry_after or 0.0)
        elif isinstance(error, Forbidden | NotFound):
            self.version, self.refused, why = "", str(error), "refused"
            wait = max(wait, 5.0)
        elif isinstance(error, TimeoutError | aiohttp.SocketTimeoutError):
            why = "silent"
        self.metrics.inc("watch_restarts_total", why=why)
        self.log.info("watch interrupted", why=why, error=str(error), wait_s=round(wait, 2))
        await self.clock.sleep(wait)

    async def list_all(self) -> None:
        """List every object, tell the listener of each, and of those that are gone since the last list."""
        seen: set[ObjectKey] = set()
        version = ""
        async for page in self._pages():
            version = str(page["metadata"]["resourceVersion"])
            for obj in page["items"]:
                key = self.key(obj)
                if self.interest(key):
                    seen.add(key)
                    self._tell(key, self._typed(obj), "list")
            await asyncio.sleep(0)
        for key in self.known - seen:
            self._tell(key, None, "gone")
        self.known, self.version = seen, version
        self.refused = None
        self.metrics.inc("relists_total")
        self.synced.set()
        self.on_listed()

    async def _pages(self) -> AsyncIterator[dict[str, Any]]:
        token = ""
        while True:
            params = {"limit": str(PAGE), **({"continue": token} if token else {})}
            page = await self.session.request("GET", self.resource.path(self.namespace), params=params, timeout=60)
            yield page
            token = str(page["metadata"].get("continue") or "")
            if not token:
                return

    async def _watch(self) -> None:
        params = {
            "watch": "1", "resourceVersion": self.version, "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*WATCH_S)),
        }  # fmt: skip
        async with self.session.stream(self.resource.path(self.namespace), params, silence=self.silence) as answer:
            async for line in lines(answer.content):
                self._handle(orjson.loads(line))

    def _handle(self, event: dict[str, Any]) -> None:
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise _watch_error(obj)
        self.version = str(obj["metadata"]["resourceVersion"])
        if kind == "BOOKMARK":
            return
        self.metrics.inc("watch_events_total", kind=self.resource.kind)
        key = self.key(obj)
        if not self.interest(key):
            return
        if kind == "DELETED":
            self.known.discard(key)
            self._tell(key, None, "watch")
        else:
            self.known.add(key)
            self._tell(key, self._typed(obj), "watch")

    def key(self, obj: Object) -> ObjectKey:
        """Lists leave kind and apiVersion out of their items, so the resource says them."""
        metadata = metadata_of(obj)
        return ObjectKey(
            self.resource.group, self.resource.kind, str(metadata.get("namespace") or ""), metadata["name"]
        )

    def _typed(self, obj: Object) -> Object:
        if "kind" in obj:
            return obj
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, **obj}

    def _tell(self, key: ObjectKey, obj: Object | None, source: Source) -> None:
        self.listener(Sighting(key, obj, source))


def _watch_error(status: dict[str, Any]) -> ApiError:
    code = int(status.get("code") or 0)
    message = str(status.get("message") or status)
    if code == 410 or status.get("reason") == "Expired":
        return Gone(message, 410, "Expired")
    if code == 429:
        seconds = (status.get("details") or {}).get("retryAfterSeconds")
        return TooManyRequests(message, 429, "TooManyRequests", float(seconds) if seconds else None)
    return Unavailable(message, code, str(status.get("reason") or ""))


async def lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Complete lines of any length: aiohttp's own reader ends at 4 MiB. A torn last line is dropped."""
    rest: list[bytes] = []
    async for chunk in stream.iter_any():
        parts = chunk.split(b"\n")
        if len(parts) == 1:
            rest.append(chunk)
            continue
        first, *middle, last = parts
        for line in (b"".join([*rest, first]), *middle):
            if line.strip():
                yield line
        rest = [last] if last else []
