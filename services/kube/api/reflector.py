"""List and watch one kind for as long as asked, without a gap: what a watch missed, the next list makes good.

The rules are client-go's: list, watch from the list's resourceVersion with bookmarks, a random end after five to ten
minutes, 410 → list again, 429 → the server's own pace, silence → reconnect, deletes found by comparing a new list with
what was known. A list comes as the beginning of the watch itself where the server can (WatchList, on by default since
1.34), object by object; else in pages. Not kubernetes-asyncio's watch: it loses events and hangs (no back-off, no 410,
one pool). Only keys are kept here, some 100 bytes an object; who listens keeps what it needs.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Literal, NamedTuple

import aiohttp

from services.kube.api.discovery import Resource
from services.kube.api.errors import ApiError, Forbidden, Gone, Invalid, NotFound, TooManyRequests, Unavailable
from services.kube.api.pages import PAGE, pages, typed
from services.kube.api.parsing import parse
from services.kube.api.session import JSON, METADATA, METADATA_LIST, Session
from services.kube.objects import Object, ObjectKey, metadata_of
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
LISTS_AT_ONCE = 3  # a process has one thread, so more would only hold more in memory
BREATH = 64  # objects of a list between two looks at what else there is to do
END_OF_LIST = "k8s.io/initial-events-end"
Source = Literal["list", "watch", "gone"]


class Sighting(NamedTuple):
    """One object as it is now; `obj` None means it does not exist (any more). `source` "gone" is found by a list."""

    key: ObjectKey
    obj: Object | None
    source: Source


async def _nothing() -> None:
    """For hooks that nobody has taken."""


class Reflector:
    """One kind, in one namespace or in all, or a selection of it. `listener` is called in order and must not block.

    `interest` chooses what is told and remembered; it answers with its own copy of the key, so that one is kept, or
    None. `query` selects on the server's side: what leaves the selection is told as gone. `on_listed` is called after
    each complete list, `on_unserved` before the objects of a kind that is no longer served are told as gone,
    `on_refused` when the token may not list. `turns` bounds how many lists run at once. `trouble` says why the view may
    be old just now, None while all is well; `refused` is the server's refusal, while it lasts.
    """

    def __init__(
        self, session: Session, resource: Resource, listener: Callable[[Sighting], None], *, clock: Clock,
        metrics: Metrics, log: Log, namespace: str = "", query: Mapping[str, str] | None = None,
        interest: Callable[[ObjectKey, Object], ObjectKey | None] = lambda key, _: key,
        on_listed: Callable[[], None] = lambda: None, on_unserved: Callable[[], Awaitable[None]] = _nothing,
        on_refused: Callable[[], None] = lambda: None, turns: asyncio.Semaphore | None = None,
        silence: float = SILENCE, metadata_only: bool = False, streams: bool = True,
    ) -> None:  # fmt: skip
        self.session, self.resource, self.namespace, self.query = session, resource, namespace, dict(query or {})
        self.listener, self.interest, self.on_listed = listener, interest, on_listed
        self.on_unserved, self.on_refused = on_unserved, on_refused
        self.turns = turns or asyncio.Semaphore(1)
        self.clock, self.metrics, self.silence = clock, metrics, silence
        self.accepts = (METADATA, METADATA_LIST) if metadata_only else (JSON, JSON)
        self.log = log.bind(kind=resource.kind, group=resource.group, namespace=namespace)
        self.known: set[ObjectKey] = set()
        self.version = ""
        self.page_size = PAGE
        self.may_stream = self.streams = streams  # whether the server can, and whether the next list is to be asked so
        self.synced = asyncio.Event()
        self.trouble: str | None = None
        self.refused: Forbidden | None = None
        self.relist_wanted = False
        self.heard = False
        self.watching: asyncio.Task[None] | None = None
        self.backoff = Backoff(first=0.2, most=LONGEST_WAIT_S)
        self.expiries = Backoff(first=0.2, most=LONGEST_WAIT_S)  # an answer of 410 is no sign of a server that is away

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
        listing = not self.version or self.relist_wanted
        if listing:
            self.relist_wanted, self.version = False, ""  # a list that fails is due again
        streamed = listing and self.may_stream and self.streams
        if listing and not streamed:
            async with self.turns:
                await self.list_all()
        if self.relist_wanted:
            return  # wanted anew while the list was under way
        self.heard, started = False, self.clock.monotonic()
        watching = self.watching = asyncio.create_task(self._listing_watch() if streamed else self._watch())
        try:
            await asyncio.wait({watching})
        finally:
            self.watching = None
            await cancel(watching)
        if watching.cancelled():
            return
        watching.result()
        if not self.version:
            return  # the server does not stream lists
        if not self.heard and self.clock.monotonic() - started < SHORT_S:
            # Events answer a resourceVersion that is too old like this, with 200 and nothing.
            raise Gone("the watch ended at once and without a line", 410, "Empty")
        self.metrics.inc("watch_restarts_total", why="closed")
        await self.clock.sleep(BETWEEN_WATCHES_S)

    async def _recover(self, error: Exception) -> None:
        """Decide what the failure means for the next round, and wait."""
        backoff = self.expiries if isinstance(error, Gone) else self.backoff
        wait = max(backoff.next(), getattr(error, "retry_after", None) or 0.0)
        if isinstance(error, Forbidden | NotFound):
            wait = max(wait, REFUSED_S)
        if not isinstance(error, AWAY) or "Too large resource version" in str(error):
            self.version = ""
        if not isinstance(error, Gone):
            self.trouble = f"{self.resource.kind}: {error}"
        if isinstance(error, Forbidden):
            self.refused = error
            self.on_refused()
        why = why_interrupted(error)
        self.metrics.inc("watch_restarts_total", why=why)
        odd = None if isinstance(error, (ApiError, *AWAY)) else error
        self.log.info("watch interrupted", why=why, error=str(error), wait_s=round(wait, 2), exc_info=odd)
        await self.clock.sleep(wait)

    async def list_all(self) -> None:
        """List every object in pages, tell the listener of each, and of those that are gone since the last list."""
        seen: set[ObjectKey] = set()
        version = ""
        try:
            async for page in pages(
                self.session, self.resource, self.namespace, self.page_size, query=self.query, accept=self.accepts[1]
            ):
                version = page.version
                while page:
                    self._listed(page.pop(), seen)
                await asyncio.sleep(0)
        except Gone:
            self.page_size = 0  # pages take longer than their token lives: all at once then
            raise
        except NotFound:
            await self._unserved()
            raise
        self.page_size = PAGE
        self._complete(seen, version)

    def _listed(self, obj: Object, seen: set[ObjectKey]) -> None:
        key = self.interest(self.key(obj), obj)
        if key is not None:
            seen.add(key)
            self.known.add(key)
            self._tell(key, typed(obj, self.resource), "list")

    def _complete(self, seen: set[ObjectKey], version: str) -> None:
        """The list is complete, so what it did not hold is gone."""
        self._forget(self.known - seen)
        self.version, self.trouble, self.refused, self.streams = version, None, None, True
        self.metrics.inc("relists_total")
        self.synced.set()
        self.on_listed()

    async def _unserved(self) -> None:
        """The kind is gone, and its objects with it."""
        await self.on_unserved()
        self._forget(self.known)

    def _forget(self, keys: set[ObjectKey]) -> None:
        for key in list(keys):
            self.known.discard(key)
            self._tell(key, None, "gone")

    async def _listing_watch(self) -> None:
        """A watch that begins with every object there is. A server that cannot is asked for pages from then on."""
        begins = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        try:
            async with AsyncExitStack() as turn:
                await turn.enter_async_context(self.turns)
                await self._stream(self._params(**begins), turn)
        except Invalid as error:
            if self.version:
                raise
            self.may_stream = False
            self.log.debug("the server lists in pages only", error=str(error))
        except NotFound:
            await self._unserved()
            raise

    async def _watch(self) -> None:
        await self._stream(self._params(resourceVersion=self.version), None)

    def _params(self, **more: str) -> dict[str, str]:
        seconds = str(random.randint(*WATCH_S))
        return {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": seconds, **self.query, **more}

    async def _stream(self, params: dict[str, str], turn: AsyncExitStack | None) -> None:
        """One watch. With `turn` it begins with a list, whose turn ends with the list."""
        seen: set[ObjectKey] | None = None if turn is None else set()
        path = self.resource.path(self.namespace)
        async with self.session.stream(path, params, silence=self.silence, accept=self.accepts[0]) as answer:
            if turn is None:
                self.trouble = self.refused = None
            number = 0
            async for line in lines(answer.content):
                event = parse(line)
                if seen is None:
                    self._handle(event)
                    continue
                number += 1
                if self._initial(event, seen):
                    seen = None
                    assert turn is not None
                    await turn.aclose()
                elif not number % BREATH:
                    await asyncio.sleep(0)
        if seen is not None:
            self.streams = False
            raise Unavailable("the watch ended before its list was complete", 0, "Torn")

    def _initial(self, event: dict[str, Any], seen: set[ObjectKey]) -> bool:
        """One event before the list is complete; True for the one that completes it."""
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise _watch_error(obj)
        metadata = obj["metadata"]
        if kind == "BOOKMARK":
            if (metadata.get("annotations") or {}).get(END_OF_LIST) != "true":
                return False
            self.heard = True
            self._complete(seen, str(metadata["resourceVersion"]))
            return True
        if kind == "DELETED":  # gone again while the list was under way
            seen.discard(self.key(obj))
            self._changed(kind, obj)
        else:
            self._listed(obj, seen)
        return False

    def _handle(self, event: dict[str, Any]) -> None:
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise _watch_error(obj)
        version = str(obj["metadata"]["resourceVersion"])
        if kind != "BOOKMARK":
            self._changed(kind, obj)
        self.version, self.heard = version, True
        self.backoff.reset()  # only what comes in proves that it works
        self.expiries.reset()

    def _changed(self, kind: str, obj: Object) -> None:
        self.metrics.inc("watch_events_total", kind=self.resource.kind)
        key = self.interest(self.key(obj), obj)
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
