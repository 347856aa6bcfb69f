"""The API server's log endpoint on loopback, for tests of the watcher that follows Falco: kwok's nodes have no kubelet.

It speaks what a kubelet does: `follow`, `timestamps`, `previous`, `sinceTime` by whole seconds (as the API server hands
it on), 404 for a pod that is gone, 400 for a container that has not started. `cut` breaks the streams that are open.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from aiohttp import web

from services.kube.api.cluster import Cluster
from services.kube.api.session import Session
from tests.fakes import NOON
from tests.faulty_api import configuration

ROUTE = "/api/v1/namespaces/{namespace}/pods/{name}/log"


def alert(number: int, **more: Any) -> bytes:
    """One alert of Falco's as it writes it to its standard output; another number is another alert."""
    fields = {"k8s.ns.name": "payments", "k8s.pod.name": "api-1", "container.id": f"c{number}", "proc.pid": number}
    said = {
        "hostname": "worker-1", "priority": "Notice", "rule": "Terminal shell in container", "source": "syscall",
        "output": "12:00:00.000000000: Notice A shell was opened", "output_fields": fields, "tags": ["shell"],
        "time": f"2026-11-24T11:59:00.{number:09d}Z",
    }  # fmt: skip
    return orjson.dumps({**said, **more})


@dataclass
class Container:
    """One run of Falco: its lines, and whether it has ended."""

    lines: list[tuple[datetime, bytes]] = field(default_factory=list)
    ended: bool = False


class LogApi:
    """The pods by name, each with its runs, the newest last. `asked` keeps the parameters of each request."""

    def __init__(self) -> None:
        self.pods: dict[str, list[Container]] = {}
        self.asked: list[dict[str, str]] = []
        self.refusals: list[tuple[int, str]] = []
        self.open: list[web.Request] = []
        self.changed = asyncio.Event()

    def start(self, name: str = "falco-1") -> None:
        """A container starts: the first one of a pod, or the next."""
        for before in self.pods.setdefault(name, []):
            before.ended = True
        self.pods[name].append(Container())
        self._news()

    def write(self, *lines: bytes, name: str = "falco-1", seconds: float = 0) -> None:
        """At `seconds` after noon by the node's clock."""
        self.pods[name][-1].lines.extend((NOON + timedelta(seconds=seconds), line) for line in lines)
        self._news()

    def remove(self, name: str = "falco-1") -> None:
        """The pod is gone, and its log with it."""
        for run in self.pods.pop(name):
            run.ended = True
        self._news()

    def cut(self) -> None:
        """Break the streams that are open, as a lost connection does."""
        for request in self.open:
            if request.transport:
                request.transport.abort()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request for a log."""
        self.asked.append(dict(request.query))
        if self.refusals:
            return _refused(*self.refusals.pop(0))
        runs = self.pods.get(request.match_info["name"])
        if runs is None:
            return _refused(404, "NotFound")
        place = -2 if request.query.get("previous") == "true" else -1
        if len(runs) < -place:
            return _refused(400, "BadRequest")
        response = web.StreamResponse(headers={"content-type": "text/plain"})
        await response.prepare(request)
        self.open.append(request)
        with suppress(ConnectionError):
            await self._send(response, runs[place], request.query)
        self.open.remove(request)
        return response

    async def _send(self, response: web.StreamResponse, run: Container, query: Mapping[str, str]) -> None:
        since, sent = datetime.fromisoformat(query["sinceTime"]), 0
        while True:
            changed = self.changed
            fresh, sent = run.lines[sent:], len(run.lines)
            for at, line in fresh:
                if at >= since:
                    await response.write(at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z ").encode() + line + b"\n")
            if run.ended or query.get("follow") != "true":
                return
            await changed.wait()

    def _news(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def _refused(status: int, reason: str) -> web.Response:
    message = 'User "reader" cannot get resource "pods/log"' if status == 403 else "no"
    body = {"kind": "Status", "code": status, "reason": reason, "message": message}
    return web.json_response(body, status=status)


@asynccontextmanager
async def log_api() -> AsyncIterator[tuple[LogApi, Session]]:
    """The endpoint, and a session with it."""
    api, app = LogApi(), web.Application()
    app.router.add_get(ROUTE, api.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    session = Session(configuration(f"http://127.0.0.1:{runner.addresses[0][1]}"))
    try:
        yield api, session
    finally:
        await session.close()
        await runner.cleanup()


def with_logs_elsewhere(cluster: Cluster, logs: Session) -> Cluster:
    """The same cluster, whose logs come from another server."""
    real = cluster.session.stream

    def stream(path: str, *given: Any, **more: Any) -> Any:
        return (logs.stream if path.endswith("/log") else real)(path, *given, **more)

    cluster.session.stream = stream  # type: ignore[method-assign]
    return cluster
