"""Serve the report live on loopback, for `setpoint up`: asked for anew when somebody looks, at most every few seconds.

Only the machine's own names are answered (DNS rebinding), and only GET. The variables are those that dashboards have;
their values reach SQL as quoted literals alone.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from html import escape
from urllib.parse import urlsplit

from aiohttp import web

from schemas.base import parse_duration
from services.local.engine import LOCAL_NAMES
from services.local.report_page.asking import Look, ask
from services.local.report_page.page import render
from services.recorder.dashboards.model import Dashboard
from services.recorder.reader import open_reader
from services.runtime.clock import Clock
from services.runtime.errors import SetpointError

KEPT_S = 5.0
DEFAULT_SPAN = "24h"
LONGEST = timedelta(days=400)
VARIABLE = "var-"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class LivePage:
    """Makes the page for a request. `kept` are pages that were just made, so that ten open tabs cost one."""

    def __init__(self, url: str, dashboards: Sequence[Dashboard], clock: Clock) -> None:
        self.url = url
        self.dashboards = dashboards
        self.clock = clock
        self.lock = asyncio.Lock()
        self.kept: dict[str, tuple[float, str]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """The page, or in words why there is none."""
        name = urlsplit(f"//{request.host}").hostname or ""
        if name not in LOCAL_NAMES:
            return _said(403, f"this is not {name}")
        try:
            span, since = _span(request.query.get("since", DEFAULT_SPAN))
        except ValueError as error:
            return _said(400, str(error))
        try:
            async with self.lock:
                page = await self._page(request.query_string, span, since, _chosen(request, self.dashboards))
        except SetpointError as error:
            return _said(503, str(error))
        return web.Response(text=page, content_type="text/html", charset="utf-8", headers=HEADERS)

    async def _page(self, key: str, span: str, since: timedelta, chosen: Mapping[str, Sequence[str]]) -> str:
        now = self.clock.monotonic()
        self.kept = {name: kept for name, kept in self.kept.items() if now - kept[0] < KEPT_S}
        if key not in self.kept:
            until = self.clock.now()
            async with open_reader(self.url) as reader:
                page = await ask(reader, self.dashboards, Look(until - since, until, chosen), until)
            self.kept[key] = self.clock.monotonic(), render(page, live=span)
        return self.kept[key][1]


@asynccontextmanager
async def serve_report(
    url: str, dashboards: Sequence[Dashboard], clock: Clock, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Serve for the length of a block; yields the page's address. `url` is where the record is read."""
    app = web.Application()
    app.router.add_get("/", LivePage(url, dashboards, clock).answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def _span(text: str) -> tuple[str, timedelta]:
    """Raises ValueError with what may be written."""
    try:
        length = parse_duration(text)
    except (ValueError, OverflowError):
        length = None
    if not isinstance(length, timedelta) or not timedelta(minutes=1) <= length <= LONGEST:
        raise ValueError("since: write 1h, 24h or 7d, 400d at most")
    return text, length


def _chosen(request: web.Request, dashboards: Sequence[Dashboard]) -> dict[str, list[str]]:
    """The variables that the address sets, of those that dashboards have."""
    known = {variable.name for dashboard in dashboards for variable in dashboard.variables}
    names = [name.removeprefix(VARIABLE) for name in request.query if name.startswith(VARIABLE)]
    return {name: request.query.getall(VARIABLE + name) for name in names if name in known}


def _said(status: int, words: str) -> web.Response:
    return web.Response(text=f"<!doctype html><title>Setpoint</title><p>{escape(words)}</p>\n", status=status,
                        content_type="text/html", headers=HEADERS)  # fmt: skip
