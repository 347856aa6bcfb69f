"""List and watch one kind for as long as asked, without a gap: what a watch missed, the next list makes good.

The rules are client-go's: list in pages, watch from the list's resourceVersion with bookmarks, a random end after five
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
from services.kube.pages import PAGE, pages, typed
from services.kube.session import Session
from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.tasks import cancel

SILENCE = 70.0  # seconds; bookmarks come about every minute
WATCH_S = (300, 600)
SHORT_S = 5.0  # a watch that ends sooner than this without a line was no watch
BETWEEN_WATCHES_S = 0.05
REFUSED_S = 5.0  # rights and kinds do not come back by the second
LONGEST_WAIT_S = 10.0
AWAY = (Unavailable, aiohttp.ClientError, OSError, TimeoutError)  # says nothing about the objects
Source = Literal["list", "watch", "gone"]


class Sighting(NamedTuple):
    """One object as it is now; `obj` None means it does not exist (any more). `source` "gone" is found by a list."""

    key: ObjectKey
    obj: Object | None
    source: Source


class Reflector:
    """One kind, in one namespace or in all. `listener` is called in order and must not block.

    `interest` chooses what is told and remembered; it answers with its own copy of the key, so that one is kept, or
    None. `on_listed` is called after each complete list. `trouble` says why the view may be old just now, None while
    all is well.
    """

    def __init__(
        self, session: Session, resource: Resource, listener: Callable[[Sighting], None], *, clock: Clock,
        metrics: Metrics, log: Log, namespace: str = "",
        interest: Callable[[ObjectKey], ObjectKey | None] = lambda key: key,
        on_listed: Callable[[], None] = lambda: None, silence: float = SILENCE,
    ) -> None:  # fmt: skip
        self.session, self.resource, self.namespace = session, resource, namespace
        self.listener, self.interest, self.on_listed = listener, interest, on_listed
        self.clock, self.metrics, self.silence = clock, metrics, silence
        self.log = log.bind(kind=resource.kind, group=resource.group, namespace=namespace)
        self.known: set[ObjectKey] = set()
        self.version = ""
        self.page_size = PAGE
        self.synced = asyncio.Event()
        self.trouble: str | None = None
        self.relist_wanted = False
        self.heard = False
        self.watching: asyncio.Task[None] | None = None
        self.backoff = Backoff(first=0.2, most=LONGEST_WAIT_S)

    def relist(self) -> None:
        """List again soon, whatever the watch says."""
        self.relist_wanted = True
        if self.watching:
            self.watching.cancel()

    async def run(self) -> None:
        """Until cancelled. Never raises for anything that the server does, however odd."""
        while True:
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 - every failure ends in another round, and is named there
                await self._recover(error)

    async def _round(self) -> None:
        """One list, where one is due, and one watch."""
        if not self.version or self.relist_wanted:
            self.relist_wanted, self.version = False, ""  # a list that fails is due again
            await self.list_all()
        if self.relist_wanted:
            return  # wanted anew while the list was under way
        self.heard, started = False, self.clock.monotonic()
        watching = self.watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({watching})
        finally:
            self.watching = None
            await cancel(watching)
        if watching.cancelled():
            return
        watching.result()
        if not self.heard and self.clock.monotonic() - started < SHORT_S:
            # Events answer a resourceVersion that is too old like this, with 200 and nothing.
            raise Gone("the watch ended at once and without a line", 410, "Empty")
        self.metrics.inc("watch_restarts_total", why="closed")
        await self.clock.sleep(BETWEEN_WATCHES_S)

    async def _recover(self, error: Exception) -> None:
        """Decide what the failure means for the next round, and wait."""
        wait = max(self.backoff.next(), getattr(error, "retry_after", None) or 0.0)
        if isinstance(error, Forbidden | NotFound):
            wait = max(wait, REFUSED_S)
        if not isinstance(error, AWAY) or "Too large resource version" in str(error):
            self.version = ""
        if not isinstance(error, Gone):
            self.trouble = f"{self.resource.kind}: {error}"
        why = why_interrupted(error)
        self.metrics.inc("watch_restarts_total", why=why)
        odd = None if isinstance(error, (ApiError, *AWAY)) else error
        self.log.info("watch interrupted", why=why, error=str(error), wait_s=round(wait, 2), exc_info=odd)
        await self.clock.sleep(wait)

    async def list_all(self) -> None:
        """List every object, tell the listener of each, and of those that are gone since the last list."""
        seen: set[ObjectKey] = set()
        version = ""
        try:
            async for page in pages(self.session, self.resource, self.namespace, self.page_size):
                version = page.version
                while page:
                    obj = page.pop()
                    key = self.interest(self.key(obj))
                    if key is not None:
                        seen.add(key)
                        self.known.add(key)
                        self._tell(key, typed(obj, self.resource), "list")
                await asyncio.sleep(0)
        except Gone:
            self.page_size = 0  # pages take longer than their token lives: all at once then
            raise
        except NotFound:
            self._forget(self.known)  # the kind is gone, and its objects with it
            raise
        self._forget(self.known - seen)
        self.version, self.page_size = version, PAGE
        self.metrics.inc("relists_total")
        self.synced.set()
        self.on_listed()

    def _forget(self, keys: set[ObjectKey]) -> None:
        for key in list(keys):
            self.known.discard(key)
            self._tell(key, None, "gone")

    async def _watch(self) -> None:
        params = {
            "watch": "1", "resourceVersion": self.version, "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(*WATCH_S)),
        }  # fmt: skip
        async with self.session.stream(self.resource.path(self.namespace), params, silence=self.silence) as answer:
            self.trouble = None
            async for line in lines(answer.content):
                self._handle(orjson.loads(line))

    def _handle(self, event: dict[str, Any]) -> None:
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise _watch_error(obj)
        version = str(obj["metadata"]["resourceVersion"])
        if kind != "BOOKMARK":
            self._changed(kind, obj)
        self.version, self.heard = version, True
        self.backoff.reset()  # only what comes in proves that it works

    def _changed(self, kind: str, obj: Object) -> None:
        self.metrics.inc("watch_events_total", kind=self.resource.kind)
        key = self.interest(self.key(obj))
        if key is None:
            return
        if kind == "DELETED":
            self.known.discard(key)
            self._tell(key, None, "watch")
        else:
            self.known.add(key)
            self._tell(key, typed(obj, self.resource), "watch")

    def key(self, obj: Object) -> ObjectKey:
        """Lists leave kind and apiVersion out of their items, so the resource says them."""
        metadata = metadata_of(obj)
        return ObjectKey(
            self.resource.group, self.resource.kind, str(metadata.get("namespace") or ""), metadata["name"]
        )

    def _tell(self, key: ObjectKey, obj: Object | None, source: Source) -> None:
        self.listener(Sighting(key, obj, source))


def why_interrupted(error: Exception) -> str:
    """One of the metric's words."""
    if isinstance(error, Gone):
        return "expired"
    if isinstance(error, TooManyRequests | Forbidden | NotFound):
        return "refused"
    return "silent" if isinstance(error, TimeoutError) else "error"


def _watch_error(status: dict[str, Any]) -> ApiError:
    code = int(status.get("code") or 0)
    message = str(status.get("message") or status)
    if code == 410 or status.get("reason") in ("Expired", "Gone"):
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
