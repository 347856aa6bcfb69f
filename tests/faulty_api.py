"""A small API server on loopback that lists and watches ConfigMaps, and misbehaves as it is told to.

`next_list` and `next_watch` queue faults, each for one request; without one a request is answered properly. `cut` and
`cut_mid_line` end the watches that are open. With `streams` it takes a watch that begins with a list, which counts as a
list; without, it refuses that as servers before 1.34 do.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import orjson
from aiohttp import web

from services.kube.api.discovery import Resource
from services.kube.api.session import Session

RESOURCE = Resource("", "v1", "ConfigMap", "configmaps", True, frozenset({"list", "watch"}))
Fault = Callable[["FaultyApi", web.Request], Awaitable[web.StreamResponse]]


class FaultyApi:
    """The objects are by name; `versions` are the resourceVersions at which watches began."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[int, bytes]] = []
        self.lists: list[Mapping[str, str]] = []
        self.versions: list[str] = []
        self.faults: dict[str, deque[Fault]] = {"list": deque(), "watch": deque()}
        self.tokens: dict[str, list[dict[str, Any]]] = {}
        self.changed = asyncio.Event()
        self.watches: dict[web.StreamResponse, web.Request] = {}
        self.page_size: int | None = None
        self.streams = False
        self.refused_streams = 0
        self.raw: dict[str, bytes] = {}  # by name, JSON that stands beside an object's data

    def put(self, name: str, value: str = "1") -> None:
        """Create or change an object."""
        known = name in self.objects
        self.version += 1
        metadata = {"name": name, "namespace": "n", "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        more = {"deep": orjson.Fragment(self.raw[name])} if name in self.raw else {}
        self.objects[name] = {"metadata": metadata, "data": {"value": value, **more}}
        self._happened("MODIFIED" if known else "ADDED", self.objects[name])

    def delete(self, name: str) -> None:
        """Delete one."""
        self.version += 1
        gone = self.objects.pop(name)
        self._happened("DELETED", {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}})

    def bookmark(self) -> None:
        """What a server sends about every minute."""
        self.version += 1
        self._happened("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def values(self) -> dict[str, str]:
        """What is there."""
        return {name: obj["data"]["value"] for name, obj in self.objects.items()}

    def next_list(self, *faults: Fault) -> None:
        """How the next lists fail, one fault a request."""
        self.faults["list"].extend(faults)

    def next_watch(self, *faults: Fault) -> None:
        """How the next watches fail."""
        self.faults["watch"].extend(faults)

    def cut(self) -> None:
        """End all open watches as a broken line does."""
        for request in self.watches.values():
            if request.transport:
                request.transport.abort()

    async def cut_mid_line(self) -> None:
        """The same in the middle of an event."""
        for answer in list(self.watches):
            with suppress(ConnectionError):
                await answer.write(b'{"type":"MODIFIED","object":{"metadata":{"na')
        self.cut()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        streamed = bool(request.query.get("sendInitialEvents"))
        if streamed and not self.streams:
            self.refused_streams += 1
            return await NO_STREAMS(self, request)
        kind = "watch" if request.query.get("watch") and not streamed else "list"
        if kind == "watch":
            self.versions.append(request.query["resourceVersion"])
        else:
            self.lists.append(dict(request.query))
        if self.faults[kind]:
            return await self.faults[kind].popleft()(self, request)
        if streamed:
            return await self.streamed_list(request)
        return await (self._watch(request) if kind == "watch" else self.list_page(request))

    async def streamed_list(self, request: web.Request, torn_after: int | None = None) -> web.StreamResponse:
        """Every object, the bookmark that ends the list, then the watch; ends after `torn_after` objects if given."""
        answer = await begin(request)
        at, listed = self.version, list(self.objects.values())
        with suppress(ConnectionError):
            for obj in listed[:torn_after]:
                await answer.write(event_line("ADDED", {"kind": "ConfigMap", "apiVersion": "v1", **obj}))
            if torn_after is not None:
                return answer
            metadata = {"resourceVersion": str(at), "annotations": {"k8s.io/initial-events-end": "true"}}
            await answer.write(event_line("BOOKMARK", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}))
        return await self._go_on(answer, request, at)

    async def list_page(self, request: web.Request) -> web.Response:
        """A proper answer to a list."""
        token = request.query.get("continue", "")
        items = self.tokens.pop(token) if token else list(self.objects.values())
        limit = int(request.query.get("limit", 0))
        size = min(limit, self.page_size or limit) or len(items)
        page, rest = items[:size], items[size:]
        following = ""
        if rest:
            following = f"token-{len(self.lists)}"
            self.tokens[following] = rest
        metadata = {"resourceVersion": str(self.version), "continue": following}
        return web.json_response({"kind": "ConfigMapList", "metadata": metadata, "items": page}, dumps=dumps)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        return await self._go_on(await begin(request), request, int(request.query["resourceVersion"]))

    async def _go_on(self, answer: web.StreamResponse, request: web.Request, at: int) -> web.StreamResponse:
        with suppress(ConnectionError), self._open(answer, request):
            while True:
                self.changed.clear()
                for version, line in [entry for entry in self.history if entry[0] > at]:
                    await answer.write(line)
                    at = version
                await self.changed.wait()
        return answer

    @contextmanager
    def _open(self, answer: web.StreamResponse, request: web.Request) -> Iterator[None]:
        self.watches[answer] = request
        try:
            yield
        finally:
            del self.watches[answer]

    def _happened(self, kind: str, obj: dict[str, Any]) -> None:
        typed = {"kind": "ConfigMap", "apiVersion": "v1", **obj}
        self.history.append((self.version, event_line(kind, typed)))
        self.changed.set()


def event_line(kind: str, obj: dict[str, Any]) -> bytes:
    """One line of a watch."""
    return orjson.dumps({"type": kind, "object": obj}) + b"\n"


def dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


async def begin(request: web.Request) -> web.StreamResponse:
    """An answer of unknown length."""
    answer = web.StreamResponse(headers={"content-type": "application/json"})
    await answer.prepare(request)
    return answer


def refuse(code: int, reason: str = "", message: str = "no", **headers: str) -> Fault:
    """An HTTP error with a Status document."""

    async def fault(_: FaultyApi, __: web.Request) -> web.StreamResponse:
        body = {"kind": "Status", "code": code, "reason": reason, "message": message}
        return web.json_response(
            body, status=code, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )

    return fault


def say(*lines: bytes) -> Fault:
    """200, these lines, and a proper end; with none what Events answer to a version that is too old."""

    async def fault(_: FaultyApi, request: web.Request) -> web.StreamResponse:
        answer = await begin(request)
        for line in lines:
            await answer.write(line + b"\n")
        return answer

    return fault


def error_event(code: int, reason: str = "", **details: Any) -> Fault:
    """200 and an event of type ERROR."""
    status = {"kind": "Status", "code": code, "reason": reason, "message": "so it is", "details": details}
    return say(orjson.dumps({"type": "ERROR", "object": status}))


async def silence(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """200, and then nothing, for as long as the client bears it."""
    answer = await begin(request)
    with suppress(ConnectionError, asyncio.CancelledError):
        await asyncio.sleep(30)
    return answer


NO_STREAMS = refuse(422, "Invalid", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch")


@asynccontextmanager
async def faulty_api() -> AsyncIterator[tuple[FaultyApi, Session]]:
    """A server, and a session with it."""
    api = FaultyApi()
    app = web.Application()
    app.router.add_get("/api/v1/configmaps", api.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    session = Session(configuration(f"http://127.0.0.1:{runner.addresses[0][1]}"))
    try:
        yield api, session
    finally:
        await session.close()
        await runner.cleanup()


def configuration(host: str) -> Any:
    """As much of the Kubernetes client's configuration as a session reads."""

    async def no_token(_: str) -> None:
        return None

    return SimpleNamespace(host=host, username=None, get_api_key_with_prefix=no_token)
