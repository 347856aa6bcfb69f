"""Client certificates on a real TLS connection: who has one is known by its name, who has none may have a token."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.gateway.app import Ingest, make_app
from services.gateway.proof import BEARER, CLIENT_CERTIFICATE, PEER
from services.gateway.protocol import names_of
from services.gateway.secrets import Known
from services.gateway.server import Listener, serving
from services.gateway.source import Reading, Source
from services.runtime.clock import SystemClock
from services.runtime.errors import UsageError
from services.runtime.kafka import Outgoing
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.settings import Settings
from tests.certificates import Pair, authority, signed

SECRET = "a secret of some length"
SOURCES = {
    name: Source(name, 1000, proof, lambda inbound: Reading())
    for name, proof in (("falco", CLIENT_CERTIFICATE), ("token", BEARER))
}
SECRETS = {
    ("falco", "by-name"): Known((b"cn:falco",)),
    ("falco", "by-uri"): Known((b"cn:spiffe://cluster/falco",)),
    ("token", "c"): Known((SECRET.encode(),)),
}


class Nowhere:
    """A sink for nothing."""

    async def put(self, records: list[Outgoing]) -> None:
        assert not records


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    folder = tmp_path_factory.mktemp("certificates")
    ours, theirs = authority(folder, "ours"), authority(folder, "theirs")
    return {
        "ours": ours,
        "server": signed(folder, ours, "server", "/CN=gateway", "IP:127.0.0.1"),
        "falco": signed(folder, ours, "falco", "/CN=falco", "URI:spiffe://cluster/falco"),
        "other": signed(folder, ours, "other", "/CN=falco-2", "DNS:other"),
        "forged": signed(folder, theirs, "forged", "/CN=falco", "URI:spiffe://cluster/falco"),
    }


@asynccontextmanager
async def gateway(pairs: dict[str, Pair], client_ca: Path | None) -> AsyncIterator[str]:
    ingest = Ingest(
        SOURCES, lambda: SECRETS, Nowhere(), clock=SystemClock(), metrics=Metrics("gateway"), log=get_log("gateway")  # type: ignore[arg-type]
    )  # fmt: skip
    listener = Listener("127.0.0.1", 0, *pairs["server"], client_ca)
    async with serving(make_app(ingest), listener, ingest.refused_below) as port:
        yield f"https://127.0.0.1:{port}/v1/ingest"


async def send(url: str, pairs: dict[str, Pair], certificate: str = "", headers: Any = None) -> int:
    context = ssl.create_default_context(cafile=str(pairs["ours"].certificate))
    if certificate:
        context.load_cert_chain(*pairs[certificate])
    async with aiohttp.ClientSession() as session, session.post(url, ssl=context, headers=headers) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("path", "certificate", "status"),
    [
        pytest.param("falco/by-name", "falco", 202, id="common-name"),
        pytest.param("falco/by-uri", "falco", 202, id="alternative-name"),
        pytest.param("falco/by-name", "other", 401, id="another-name"),
        pytest.param("falco/by-name", "", 401, id="no-certificate"),
        pytest.param("token/c", "falco", 401, id="a-certificate-is-no-token"),
    ],
)
async def test_a_verified_name_is_a_proof(pairs: dict[str, Pair], path: str, certificate: str, status: int) -> None:
    """Falco itself can send nothing else."""
    async with gateway(pairs, pairs["ours"].certificate) as url:
        assert await send(f"{url}/{path}", pairs, certificate) == status


async def test_a_certificate_of_another_authority_ends_the_handshake(pairs: dict[str, Pair]) -> None:
    """Whatever name it has."""
    async with gateway(pairs, pairs["ours"].certificate) as url:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await send(f"{url}/falco/by-name", pairs, "forged")


async def test_a_token_needs_no_certificate(pairs: dict[str, Pair]) -> None:
    """Other senders share the port."""
    async with gateway(pairs, pairs["ours"].certificate) as url:
        assert await send(f"{url}/token/c", pairs, "", {"authorization": f"Bearer {SECRET}"}) == 202


async def test_without_an_authority_a_certificate_proves_nothing(pairs: dict[str, Pair]) -> None:
    """It is not even asked for."""
    async with gateway(pairs, None) as url:
        assert await send(f"{url}/falco/by-name", pairs, "falco") == 401


async def test_nobody_can_send_the_name_as_a_header() -> None:
    """Not through HTTP, where it is no header's name, and not where something else calls the app."""
    ingest = Ingest(
        SOURCES, lambda: SECRETS, Nowhere(), clock=SystemClock(), metrics=Metrics("gateway"), log=get_log("gateway")  # type: ignore[arg-type]
    )  # fmt: skip
    answers: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Any) -> None:
        answers.append(message)

    path = "/v1/ingest/falco/by-name"
    scope = {"type": "http", "method": "POST", "path": path, "root_path": "", "query_string": b"", "scheme": "http",
             "server": ("a", 1), "headers": [(PEER.encode(), b"falco")]}  # fmt: skip
    await make_app(ingest)(scope, receive, keep)
    assert answers[0]["status"] == 401


def test_a_name_that_could_look_like_two_is_left_out() -> None:
    """Names are joined by line ends on their way to the proof."""
    subject = ((("commonName", "falco\nadmin"),), (("commonName", "falco"),), (("organizationName", "o"),))
    assert names_of({"subject": subject, "subjectAltName": (("DNS", "a"), ("DNS", "falco"))}) == ("falco", "a")
    assert names_of(None) == names_of({}) == ()


def test_client_certificates_need_tls(tmp_path: Path) -> None:
    """Without it there is no certificate, and every such sender would be refused without a word why."""
    with pytest.raises(UsageError, match="TLS"):
        Listener.of(Settings(gateway_client_ca=tmp_path))
