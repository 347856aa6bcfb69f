"""uvicorn's HTTP protocol with what it lacks for strangers: an end to waiting, a bound on connections, and who it is.

uvicorn waits for a request's head for ever, and reads on for ever what an answered request still sends. Here both have
a time, after which the connection is closed. Counts go to `refused`, since no request has come about.

The names in a client certificate that the TLS layer has verified are given to the app in `scope["extensions"]["tls"]`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import h11
import orjson
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.gateway.answers import RETRY_AFTER_S, STATUS, UNKNOWN, Answer
from services.gateway.limits import Peers

HEAD_S, REST_S = 10.0, 5.0
"""Seconds for a request's head to come, and for what is left of a body that is not wanted any more."""


@dataclass(frozen=True)
class Bounds:
    """What all connections of a server share. `refused` is told of what never became a request."""

    peers: Peers
    refused: Callable[[Answer], None]
    head_s: float = HEAD_S
    rest_s: float = REST_S


def protocol_of(bounds: Bounds) -> type[H11Protocol]:
    """A class, as uvicorn wants one, for connections within `bounds`."""

    class Protocol(Guarded):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.bounds = bounds

    return Protocol


class Guarded(H11Protocol):
    """One connection. `waits` says what it is waiting for, `deadline` until when."""

    bounds: Bounds
    deadline: asyncio.TimerHandle | None = None
    waits = ""
    address = UNKNOWN
    counted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else UNKNOWN
        self.counted = True
        if not self.bounds.peers.enter(self.address):
            self._refuse(Answer.CONNECTIONS)
            return
        if names := names_of(transport.get_extra_info("peercert")):
            self.app = naming(self.app, names)
        self._wait_for("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for("")
        if self.counted:
            self.bounds.peers.leave(self.address)
            self.counted = False
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Of what is not HTTP. What h11 says of it may quote it, so it is only counted."""
        self._refuse(Answer.INVALID)

    def _look(self) -> None:
        """What this connection waits for now. A head's time begins with its first byte; no later byte adds to it."""
        if self.transport.is_closing():
            self._wait_for("")
        elif self.conn.their_state is h11.IDLE:
            self._wait_for("head" if self.waits == "head" or self.conn.trailing_data[0] else "")
        else:
            answered = self.cycle is not None and self.cycle.response_complete
            self._wait_for("rest" if answered and self.conn.their_state is h11.SEND_BODY else "")

    def _wait_for(self, what: str) -> None:
        if what == self.waits:
            return
        if self.deadline is not None:
            self.deadline.cancel()
        seconds = {"head": self.bounds.head_s, "rest": self.bounds.rest_s}.get(what)
        self.waits = what
        self.deadline = self.loop.call_later(seconds, self._too_late) if seconds is not None else None

    def _too_late(self) -> None:
        if self.transport.is_closing():
            return
        if self.waits == "head":
            self._refuse(Answer.TOO_SLOW)
        else:
            self.transport.abort()

    def _refuse(self, answer: Answer) -> None:
        """Answer without an app, and close."""
        self.bounds.refused(answer)
        self._wait_for("")
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = orjson.dumps({"result": answer})
            again = [(b"retry-after", str(RETRY_AFTER_S).encode())] if STATUS[answer] == 503 else []
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()),
                       (b"connection", b"close"), *again]  # fmt: skip
            for event in (h11.Response(status_code=STATUS[answer], headers=headers), h11.Data(data=body),
                          h11.EndOfMessage()):  # fmt: skip
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def naming(app: ASGIApp, names: tuple[str, ...]) -> ASGIApp:
    """`app`, told whose certificate the connection has."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "extensions": {**scope.get("extensions", {}), "tls": {"names": names}}}, receive, send)

    return named


def names_of(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The common names and alternative names of a verified certificate (`ssl.SSLSocket.getpeercert`); none without one.

    A name with a character that cannot be seen is left out: it could be made to look like two.
    """
    found = certificate or {}
    common = [value for part in found.get("subject", ()) for key, value in part if key == "commonName"]
    names = [*common, *(value for _, value in found.get("subjectAltName", ()))]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name and name.isprintable()))
