"""uvicorn for the length of a block: on one address, with TLS where a certificate is given, and deaf to signals.

Client certificates are asked for where there is a CA for them, and nobody must have one: who has none proves itself by
other means. One that the CA has not signed ends the handshake.

Leaving the block stops listening, lets requests that are under way end, and closes what is idle.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from services.gateway.answers import Answer
from services.gateway.limits import Peers
from services.gateway.protocol import HEAD_S, REST_S, Bounds, protocol_of
from services.runtime.errors import Permanent, Temporary, UsageError
from services.runtime.settings import Settings

DRAIN_S = 10
IDLE_S = 120  # longer than an API server's pause between two batches
CONNECTIONS, CONNECTIONS_EACH = 1024, 64


@dataclass(frozen=True)
class Listener:
    """Where to listen; port 0 takes a free one. With `certificate` (PEM) and `key` it speaks TLS.

    `client_ca` (PEM) signs senders' certificates. `connections` are what one address may have open.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    connections: int = CONNECTIONS_EACH
    head_s: float = HEAD_S
    rest_s: float = REST_S

    @staticmethod
    def of(settings: Settings) -> "Listener":
        """From settings. Raises UsageError for what is no HOST:PORT, and for half a certificate."""
        host, _, port = settings.gateway_listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise UsageError(f"no address to listen on: {settings.gateway_listen!r}", "Write HOST:PORT")
        certificate, key = settings.gateway_tls_certificate, settings.gateway_tls_key
        if bool(certificate) != bool(key):
            raise UsageError("a certificate needs its key", "Set both gateway_tls_certificate and gateway_tls_key")
        client_ca = settings.gateway_client_ca
        if client_ca and not certificate:
            raise UsageError(
                "client certificates need TLS",
                "Set gateway_tls_certificate and gateway_tls_key beside gateway_client_ca",
            )
        return Listener(host.strip("[]"), int(port), certificate, key, client_ca, settings.gateway_connections)


class Server(uvicorn.Server):
    """Leaves SIGTERM to who runs it, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(
    app: Any, listener: Listener, refused: Callable[[Answer], None] = lambda answer: None
) -> AsyncIterator[int]:
    """Serve `app`; yields the port. `refused` is told of what never becomes a request.

    Raises Permanent for an unusable certificate, Temporary where the port is taken.
    """
    bounds = Bounds(Peers(listener.connections, CONNECTIONS), refused, listener.head_s, listener.rest_s)
    config = uvicorn.Config(
        app, lifespan="off", http=protocol_of(bounds), ws="none", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=IDLE_S, timeout_graceful_shutdown=DRAIN_S,
        ssl_certfile=listener.certificate, ssl_keyfile=listener.key, ssl_ca_certs=_text(listener.client_ca),
        ssl_cert_reqs=ssl.CERT_OPTIONAL if listener.client_ca else ssl.CERT_NONE,
    )  # fmt: skip
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise Permanent(f"the gateway's certificate cannot be used: {error}", "Check the PEM files") from error
    bound = bind(listener)
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        await server.listens.wait()
        yield int(bound.getsockname()[1])
    finally:
        server.should_exit = True
        await asyncio.wait({task})
        bound.close()


def _text(path: Path | None) -> str | None:
    return str(path) if path else None


def bind(listener: Listener) -> socket.socket:
    """The socket to listen on. That it is TCP must be said: asyncio sends at once (TCP_NODELAY) only then, and else an
    answer's body would wait for the acknowledgement of its head, which takes 40 ms. Raises Temporary."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((listener.host, listener.port))
    except OSError as error:
        bound.close()
        raise Temporary(f"cannot listen on {listener.host}:{listener.port}: {error.strerror}") from error
    return bound
