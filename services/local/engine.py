"""Serve the embedded engine's read side on loopback, in ClickHouse's own HTTP interface.

The engine belongs to the process of `setpoint up`; through this, other commands, clickhouse-connect, curl and a Grafana
on the same machine read it as they would a server (https://clickhouse.com/docs/interfaces/http). Reading only: see
`engine_guard`. Settings in the URL are accepted and ignored; what a query may cost is fixed here.
"""

import re
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

import orjson
from aiohttp import web

from services.local.engine_guard import Refusal, status_of
from services.local.engine_handles import DEFAULT_FORMAT, Bounds, Handles, Result, failure
from services.recorder.store import EMBEDDED, ClickHouse, database_of
from services.runtime.errors import UsageError

MOST_QUERY_BYTES = 1024 * 1024
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
FORMAT_NAME = re.compile(r"[A-Za-z0-9]+")
HANDLES: web.AppKey[Handles] = web.AppKey("handles", Handles)
HOST: web.AppKey[str] = web.AppKey("host", str)


@asynccontextmanager
async def serve_engine(
    store: ClickHouse, host: str = "127.0.0.1", port: int = 0, bounds: Bounds | None = None
) -> AsyncIterator[str]:
    """Serve for the length of a block; yields the URL, database included, as `--clickhouse` takes it."""
    parts = urlsplit(store.url)
    if parts.scheme != EMBEDDED:
        raise UsageError("only the embedded engine needs its read side served")
    database = database_of(store.url)
    handles = Handles(unquote(parts.path), database, bounds or Bounds())
    app = web.Application(client_max_size=MOST_QUERY_BYTES)
    app[HANDLES], app[HOST] = handles, host
    for path in ("/ping", "/replicas_status"):
        app.router.add_get(path, _ok)
    app.router.add_route("*", "/", _query)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}/{database}"
    finally:
        await runner.cleanup()
        await handles.close()


async def _ok(_: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


async def _query(request: web.Request) -> web.StreamResponse:
    query_id = request.query.get("query_id") or str(uuid.uuid4())
    try:
        _check_host(request)
        values, sql = await _read(request)
        if not sql.strip():
            return await _ok(request)
        form = values.get("default_format") or request.headers.get("X-ClickHouse-Format") or DEFAULT_FORMAT
        if not FORMAT_NAME.fullmatch(form):
            raise Refusal(73, "UNKNOWN_FORMAT", "no such format")
        database = values.get("database") or request.headers.get("X-ClickHouse-Database")
        parameters = {name.removeprefix("param_"): value for name, value in values.items() if name[:6] == "param_"}
        result = await request.app[HANDLES].run(sql, database, form, parameters)
    except Refusal as refusal:
        return _failed(refusal.code, f"{refusal}\n", query_id)
    except RuntimeError as error:
        code, message = failure(error)
        return _failed(code, f"{message}\n", query_id)
    return _answer(request, result, form, query_id)


async def _read(request: web.Request) -> tuple[Mapping[str, str], str]:
    """The request's values, and its query: the `query` value with the body behind it, as a server joins them."""
    values = dict(request.query)
    if request.content_type.startswith("multipart/"):
        values |= {name: str(value) for name, value in (await request.post()).items()}
        return values, values.get("query", "")
    body = await request.text()
    return values, f"{values['query']}\n{body}" if "query" in values else body


def _answer(request: web.Request, result: Result, form: str, query_id: str) -> web.Response:
    summary = {
        "read_rows": str(result.rows_read()),
        "read_bytes": str(result.bytes_read()),
        "written_rows": "0",
        "written_bytes": "0",
        "elapsed_ns": str(int(result.elapsed() * 1e9)),
    }
    headers = _headers(query_id) | {
        "X-ClickHouse-Format": form,
        "X-ClickHouse-Summary": orjson.dumps(summary).decode(),
        "Content-Type": _content_type(form),
    }
    response = web.Response(body=None if request.method == "HEAD" else result.bytes(), headers=headers)
    wanted = request.query.get("enable_http_compression", "1") == "1"
    if wanted and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def _failed(code: int, message: str, query_id: str) -> web.Response:
    headers = _headers(query_id) | {"X-ClickHouse-Exception-Code": str(code)}
    return web.Response(text=message, status=status_of(code), headers=headers)


def _headers(query_id: str) -> dict[str, str]:
    return {
        "X-ClickHouse-Query-Id": query_id if query_id.isprintable() else "",
        "X-ClickHouse-Server-Display-Name": "setpoint",
        "X-ClickHouse-Timezone": "UTC",
    }


def _content_type(form: str) -> str:
    if form.startswith("JSON"):
        return "application/json; charset=UTF-8"
    text = form.startswith(("TabSeparated", "TSV", "CSV", "Pretty", "Values", "Vertical", "Markdown", "XML"))
    return "text/plain; charset=UTF-8" if text else "application/octet-stream"


def _check_host(request: web.Request) -> None:
    """Refuse a browser that was pointed here under another name (DNS rebinding)."""
    name = urlsplit(f"//{request.host}").hostname or ""
    if name not in LOCAL_NAMES | {request.app[HOST]}:
        raise Refusal(164, "READONLY", f"this is not {name}")
