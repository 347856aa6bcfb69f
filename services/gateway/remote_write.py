"""Prometheus remote write: `POST /v1/metrics/write/{name}`, the samples of one sender.

204 means that all replicas have them. What can never be kept is answered with 400 and why, as the specification wants,
since a sender sends everything else again: too many requests, and a broker that is away, are 503 with `Retry-After`.
Samples that come again, or late, are taken again; the tables keep one of a series and a time.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from schemas.topics import TopicName
from services.gateway.answers import RETRY_AFTER_S, STATUS, Answer, Refused
from services.gateway.proof import BASIC, BEARER, CLIENT_CERTIFICATE, Proof, either
from services.gateway.remote_write_reading import Form, Reader, Written
from services.gateway.sink import Sink
from services.gateway.source import Unreadable
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import Outgoing
from services.runtime.metrics import Metrics
from services.runtime.sampleblocks import CONTENT_TYPE

METRICS = "metrics"
"""The name of the senders' secrets: `metrics.<name>`."""
PROOF = either(BEARER, BASIC, CLIENT_CERTIFICATE)
MOST_BYTES = 8 * 1024 * 1024
MEDIA = "application/x-protobuf"
WRITTEN = "x-prometheus-remote-write-{}-written"


class Door(Protocol):
    """What the gateway does for every request."""

    sink: Sink
    clock: Clock
    metrics: Metrics

    async def prove(self, request: Request, source: str, name: str, proof: Proof) -> Mapping[str, str]:
        """The headers of a request whose sender is proved and not too fast. Raises Refused."""

    def body(self, request: Request, headers: Mapping[str, str], most: int) -> AbstractAsyncContextManager[bytes]:
        """Its body, with room in memory for the length of a block. Raises Refused."""


class Writes:
    """What all requests of remote write share: one reader, which one request at a time has."""

    def __init__(self) -> None:
        self.reader = Reader()
        self.turn = asyncio.Lock()


class Write:
    """One request; `response` is to be asked once `take` has ended."""

    def __init__(self, door: Door, writes: Writes) -> None:
        self.door, self.writes = door, writes
        self.form, self.written = Form.ONE, Written()

    async def take(self, request: Request, name: str) -> int:
        """How many samples and histograms the broker has taken. Raises Refused, also where it is not all of them."""
        headers = await self.door.prove(request, METRICS, name, PROOF)
        self.form = form_of(headers)
        async with self.door.body(request, headers, MOST_BYTES) as body:
            found = await self._read(body, name)
        await self._put(name, found)
        if found.rejected:
            raise Refused(Answer.PARTLY, told(found))
        return found.samples + found.histograms

    async def _read(self, body: bytes, name: str) -> Written:
        """In a thread, so that a large one holds up nobody's alert."""
        async with self.writes.turn:
            try:
                return await asyncio.to_thread(
                    self.writes.reader.read, self.form, body, name, self.door.clock.now()
                )  # fmt: skip
            except Unreadable as error:
                raise Refused(Answer.UNREADABLE, str(error)) from None

    async def _put(self, name: str, found: Written) -> None:
        key = name.encode()
        records = [Outgoing(TopicName.SAMPLES, key, block, content_type=CONTENT_TYPE) for block in found.blocks]
        try:
            await self.door.sink.put(records)
        except Temporary as error:
            self.writes.reader.forget()
            raise Refused(Answer.BROKER_AWAY, str(error)) from None
        self.written, metrics = found, self.door.metrics
        metrics.inc("ingested_events_total", found.samples + found.histograms, source=METRICS)
        for why, times in {**found.rejected, "exemplar": found.exemplars}.items():
            metrics.inc("passed_over_total", times, source=METRICS, why=why)

    def response(self, answer: Answer, detail: str, count: int) -> Response:
        """For the sender: a status that says whether to send again, and for people why."""
        headers = self._counts() if self.form is Form.TWO else {}
        if answer is Answer.ACCEPTED:
            return Response(status_code=204, headers=headers)
        status = 400 if answer is Answer.UNREADABLE else STATUS[answer]
        if status == 503:
            headers["retry-after"] = str(RETRY_AFTER_S)
        if answer is Answer.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        if answer is Answer.INVALID:
            headers["connection"] = "close"
        return JSONResponse({"result": answer} | ({"detail": detail} if detail else {}), status, headers)

    def _counts(self) -> dict[str, str]:
        """2.0 asks for them, 1.0 knows none. Exemplars are not kept."""
        written = self.written
        counts = {"samples": written.samples, "histograms": written.histograms, "exemplars": 0}
        return {WRITTEN.format(what): str(count) for what, count in counts.items()}


def form_of(headers: Mapping[str, str]) -> Form:
    """Which message it is. Raises Refused for what is neither, and for another compression."""
    media, *parameters = (part.strip() for part in headers.get("content-type", "").split(";"))
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding != "snappy":
        raise Refused(Answer.UNSUPPORTED, "content-encoding must be snappy")
    named = dict(part.partition("=")[::2] for part in parameters).get("proto", Form.ONE).strip('"')
    if media.lower() != MEDIA or named not in list(Form):
        raise Refused(Answer.UNSUPPORTED, f"content-type must be {MEDIA} with proto {' or '.join(Form)}")
    return Form(named)


def told(written: Written) -> str:
    """What was not kept, and why."""
    return ", ".join(f"{times} not kept: {why}" for why, times in sorted(written.rejected.items()))
