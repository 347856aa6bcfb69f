"""`/live`, `/ready` and `/metrics` of a service. Ready means: it can do its work now, not only that it runs.

Each part of a service states its own condition as a function that returns None (fine) or one line that says what is
missing. `/ready` is 200 with all fine, else 503 with the lines. A note is told there as well, and counts for nothing:
it is for what a service can do its work without.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import web

from services.runtime.clock import Clock
from services.runtime.metrics import Metrics

Condition = Callable[[], str | None]


class Health:
    """The conditions of one service."""

    def __init__(self, service: str, clock: Clock) -> None:
        self.service = service
        self.clock = clock
        self.conditions: dict[str, Condition] = {}
        self.notes: dict[str, Condition] = {}
        self.beats: dict[str, float] = {}

    def require(self, name: str, condition: Condition) -> None:
        """Add a condition, or put another one in its place."""
        self.conditions[name] = condition

    def note(self, name: str, condition: Condition) -> None:
        """Tell a condition that readiness does not depend on."""
        self.notes[name] = condition

    def beat(self, name: str, *, within: float) -> None:
        """Say that loop `name` has just gone round; not ready once that is longer ago than `within` seconds."""
        self.beats[name] = self.clock.monotonic()
        self.conditions.setdefault(name, lambda: self._silent(name, within))

    def forget(self, name: str) -> None:
        """Drop a condition or a loop that has ended as it should."""
        self.conditions.pop(name, None)
        self.beats.pop(name, None)

    def problems(self) -> dict[str, str]:
        """What stands against being ready, by condition. Nobody is ready before it has said what that takes."""
        return _told(self.conditions) if self.conditions else {"start": "is starting"}

    def noted(self) -> dict[str, str]:
        """What is missing and does not stand against being ready, by condition."""
        return _told(self.notes)

    def _silent(self, name: str, within: float) -> str | None:
        age = self.clock.monotonic() - self.beats[name]
        return f"the loop has not gone round for {age:.0f} s" if age > within else None


def _told(conditions: Mapping[str, Condition]) -> dict[str, str]:
    found = {name: condition() for name, condition in conditions.items()}
    return {name: problem for name, problem in found.items() if problem}


@asynccontextmanager
async def serve_health(health: Health, metrics: Metrics, host: str, port: int | None) -> AsyncIterator[int | None]:
    """Serve for the length of a block; yields the port, None where `port` is None (not wanted)."""
    if port is None:
        yield None
        return
    app = web.Application()
    app.router.add_get("/live", _live)
    app.router.add_get("/ready", partial(_ready, health))
    app.router.add_get("/metrics", partial(_metrics, metrics))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _live(_: web.Request) -> web.Response:
    return web.json_response({"live": True})


async def _ready(health: Health, _: web.Request) -> web.Response:
    problems = health.problems()
    body = {"service": health.service, "ready": not problems, "problems": problems}
    if notes := health.noted():
        body["notes"] = notes
    return web.json_response(body, status=503 if problems else 200)


async def _metrics(metrics: Metrics, _: web.Request) -> web.Response:
    return web.Response(body=metrics.text(), headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})
