"""The gateway's HTTP interface: `POST /v1/ingest/{source}/{name}`, `POST /v1/approvals/{id}`, `GET /v1/openapi.json`,
and `POST /v1/metrics/write/{name}` (`remote_write.py`).

202 means that all replicas have it. 401, 404, 408, 413 and 422 say why not, 503 says "again later". What was sent is
never logged and never sent back. The name may have slashes, as clusters' names do.

Nothing is remembered of a request: a delivery that comes again, or is replayed within the time that its signature is
good for, is taken again, and makes events with the same ids, which whoever reads them takes for one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from services.gateway.answers import RETRY_AFTER_S, STATUS, UNKNOWN, Answer, Refused
from services.gateway.approvals import APPROVALS, MAX_BYTES, read_answer, user_of
from services.gateway.defects import place_of
from services.gateway.limits import Budget, Rates
from services.gateway.openapi import document_of
from services.gateway.proof import PEER, REPEATED, Proof
from services.gateway.remote_write import METRICS, Write, Writes
from services.gateway.secrets import NOBODY, Secrets
from services.gateway.sink import Sink
from services.gateway.source import Inbound, Made, Source, Unreadable
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import outgoing
from services.runtime.logging import Log
from services.runtime.metrics import Metrics

BODY_S = 30.0
PROVED_BYTES, UNPROVED_BYTES = 128 * 1024 * 1024, 32 * 1024 * 1024
"""Bodies in memory at a time. Who is not proved before its body is there cannot keep out who is."""
RATE = 200.0


class Ingest:
    """Answers requests. `secrets` gives the ones that are valid now."""

    def __init__(
        self, sources: Mapping[str, Source], secrets: Callable[[], Secrets], sink: Sink, *, clock: Clock,
        metrics: Metrics, log: Log, body_s: float = BODY_S, rate: float = RATE,
    ) -> None:  # fmt: skip
        self.sources, self.secrets, self.sink = sources, secrets, sink
        self.clock, self.metrics, self.log, self.body_s = clock, metrics, log, body_s
        self.rates = Rates(rate)
        self.proved, self.unproved = Budget(PROVED_BYTES), Budget(UNPROVED_BYTES)
        self.writes = Writes()

    async def handle(self, request: Request) -> Response:
        """One request of a source, whatever it holds."""
        source = self.sources.get(request.path_params["source"])
        name = source.name if source else UNKNOWN
        return await self._answered(name, self._take(request, source, request.path_params["name"]))

    async def approve(self, request: Request) -> Response:
        """A person's answer to a question."""
        return await self._answered(APPROVALS, self._take_answer(request, request.path_params["approval_id"]))

    async def write(self, request: Request) -> Response:
        """One request of Prometheus remote write."""
        write = Write(self, self.writes)
        return await self._answered(METRICS, write.take(request, request.path_params["name"]), write.response)

    async def prove(self, request: Request, source: str, name: str, proof: Proof) -> Mapping[str, str]:
        """The headers of a request whose sender is proved, without its body, and not too fast. Raises Refused."""
        headers, known = framed(headers_of(request.scope)), self.secrets().get((source, name), NOBODY)
        if not proof.holds(headers, b"", known.secrets, self.clock.now()):
            raise Refused(Answer.UNAUTHORIZED)
        await self._pace(source, name)
        return headers

    @asynccontextmanager
    async def body(self, request: Request, headers: Mapping[str, str], most: int) -> AsyncIterator[bytes]:
        """A proved sender's body, with room in memory for it for the length of a block. Raises Refused."""
        async with self.proved.hold(_size(headers, most)):
            yield await self._body(request, most)

    async def _answered(
        self, source: str, taken: Awaitable[int], respond: "Callable[[Answer, str, int], Response] | None" = None
    ) -> Response:
        began = self.clock.monotonic()
        answer, detail, count = Answer.ACCEPTED, "", 0
        try:
            count = await taken
        except Refused as refusal:
            answer, detail = refusal.answer, refusal.detail
        except Exception as error:  # noqa: BLE001 - the sender is answered, and the log names what failed
            answer = Answer.FAILED
            self.log.error("a request failed", source=source, kind=type(error).__name__, place=place_of(error))
        self._count(source, answer, detail)
        self.metrics.observe("ingest_seconds", self.clock.monotonic() - began)
        return (respond or _response)(answer, detail, count)

    def elsewhere(self, error: Exception) -> Response:
        """What no route takes: another address, a name with a line end in it, another method."""
        answer = (
            Answer.METHOD if isinstance(error, HTTPException) and error.status_code == 405 else Answer.UNKNOWN_SOURCE
        )
        self._count(UNKNOWN, answer, "")
        return _response(answer, "", 0)

    def refused_below(self, answer: Answer) -> None:
        """Count what was refused before it was a request: a connection too many, a head that did not come."""
        self._count(UNKNOWN, answer, "")

    def _count(self, source: str, answer: Answer, detail: str) -> None:
        self.metrics.inc("ingests_total", result=str(answer))
        if answer is Answer.ACCEPTED:
            return
        self.metrics.inc("refusals_total", source=source, why=str(answer))
        if answer is not Answer.FAILED:
            self.log.info("a request was refused", source=source, reason=str(answer), detail=detail)

    async def _take(self, request: Request, source: Source | None, name: str) -> int:
        """How many events the broker has taken."""
        if source is None:
            raise Refused(Answer.UNKNOWN_SOURCE, "there is no such source")
        known, headers = self.secrets().get((source.name, name), NOBODY), framed(headers_of(request.scope))
        late = source.proof.needs_body
        if not late and not source.proves(headers, b"", known.secrets, self.clock.now()):
            raise Refused(Answer.UNAUTHORIZED)
        if not late:
            await self._pace(source.name, name)
        size = _size(headers, source.max_bytes)
        async with (self.unproved if late else self.proved).hold(size):
            body = await self._body(request, source.max_bytes)
            if late and not source.proves(headers, body, known.secrets, self.clock.now()):
                raise Refused(Answer.UNAUTHORIZED)
            if late:
                await self._pace(source.name, name)
            inbound = Inbound(body, headers, known.sender(name), self.clock.now())
            del body
            return await self._publish(source, inbound)

    async def _take_answer(self, request: Request, approval_id: str) -> int:
        headers, now = framed(headers_of(request.scope)), self.clock.now()
        user = user_of(headers, self.secrets(), now)
        if user is None:
            raise Refused(Answer.UNAUTHORIZED)
        await self._pace(APPROVALS, user)
        async with self.proved.hold(_size(headers, MAX_BYTES)):
            body = await self._body(request, MAX_BYTES)
            return await self._put(APPROVALS, (self._read_answer(approval_id, user, body, now),))

    @staticmethod
    def _read_answer(approval_id: str, user: str, body: bytes, now: datetime) -> Made:
        try:
            return read_answer(approval_id, user, body, now)
        except Unreadable as error:
            raise Refused(Answer.UNREADABLE, str(error)) from None

    async def _pace(self, source: str, name: str) -> None:
        """Slow down who is a little too fast. Raises Refused for who is far too fast."""
        wait = self.rates.take((source, name), self.clock.monotonic())
        if wait is None:
            raise Refused(Answer.RATE, f"more than {self.rates.rate:g} requests a second")
        if wait > 0:
            await self.clock.sleep(wait)

    async def _publish(self, source: Source, inbound: Inbound) -> int:
        try:
            reading = source.read(inbound)
        except Unreadable as error:
            raise Refused(Answer.UNREADABLE, str(error)) from None
        del inbound
        count = await self._put(source.name, reading.made)
        for why, times in reading.passed_over.items():
            self.metrics.inc("passed_over_total", times, source=source.name, why=why)
        return count

    async def _put(self, source: str, made: tuple[Made, ...]) -> int:
        try:
            await self.sink.put([outgoing(one.topic, one.event, one.key) for one in made])
        except Temporary as error:
            raise Refused(Answer.BROKER_AWAY, str(error)) from None
        self.metrics.inc("ingested_events_total", len(made), source=source)
        return len(made)

    async def _body(self, request: Request, most: int) -> bytes:
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.body_s):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > most:
                        raise _too_large(most)
                    parts.append(chunk)
        except TimeoutError:
            raise Refused(Answer.TOO_SLOW, f"the body did not come within {self.body_s:g} s") from None
        except ClientDisconnect:
            raise Refused(Answer.DISCONNECTED) from None
        return b"".join(parts)


def make_app(ingest: Ingest) -> Starlette:
    """Nothing but these: health and metrics have a port of their own that senders need not reach."""
    described = document_of(ingest.sources)

    async def openapi(request: Request) -> Response:
        return JSONResponse(described)

    async def elsewhere(request: Request, error: Exception) -> Response:
        return ingest.elsewhere(error)

    return Starlette(
        routes=[
            Route("/v1/ingest/{source}/{name:path}", ingest.handle, methods=["POST"]),
            Route("/v1/metrics/write/{name:path}", ingest.write, methods=["POST"]),
            Route("/v1/approvals/{approval_id}", ingest.approve, methods=["POST"]),
            Route("/v1/openapi.json", openapi, methods=["GET"]),
        ],
        exception_handlers={404: elsewhere, 405: elsewhere},
    )


def headers_of(scope: Scope) -> dict[str, str]:
    """By lower-case name; values of a name that came more than once are joined by a character that no value can have.

    The names in the sender's verified certificate, which the protocol found, are one of them, and nobody can send it.
    """
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1"), value.decode("latin-1")
        found[name] = f"{found[name]}{REPEATED}{text}" if name in found else text
    found.pop(PEER, None)
    names = scope.get("extensions", {}).get("tls", {}).get("names", ())
    return {**found, PEER: REPEATED.join(names)} if names else found


def framed(headers: dict[str, str]) -> dict[str, str]:
    """The headers of a body with one end. Raises Refused where a length and chunks say two: what stands before the
    gateway may have believed the other, and would take the rest for another request (RFC 9112, 6.3)."""
    if "content-length" in headers and "transfer-encoding" in headers:
        raise Refused(Answer.INVALID, "content-length and transfer-encoding")
    return headers


def _size(headers: Mapping[str, str], most: int) -> int:
    """How much a body may become; raises Refused where it says itself that it is too much."""
    told = headers.get("content-length", "")
    size = int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else most
    if not told and "transfer-encoding" not in headers:
        size = 0
    if size > most:
        raise _too_large(most)
    return size


def _too_large(most: int) -> Refused:
    return Refused(Answer.TOO_LARGE, f"more than {most} bytes")


def _response(answer: Answer, detail: str, count: int) -> Response:
    body: dict[str, object] = {"result": str(answer)}
    if answer is Answer.ACCEPTED:
        body["events"] = count
    elif detail:
        body["detail"] = detail
    headers = {"retry-after": str(RETRY_AFTER_S)} if STATUS[answer] == 503 else {}
    if answer is Answer.INVALID:
        headers["connection"] = "close"
    if answer is Answer.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(body, STATUS[answer], headers)
