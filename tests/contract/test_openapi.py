"""The gateway does what its OpenAPI document says, whatever is sent: fuzzed by that document."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.app import Ingest, make_app
from services.gateway.openapi import BODIES, OPENAPI, document_of, text_of
from services.gateway.proof import BEARER
from services.gateway.secrets import Known
from services.gateway.source import Source
from services.gateway.sources import SOURCES
from services.runtime.clock import SystemClock
from services.runtime.kafka import Outgoing
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.sampleblocks import CONTENT_TYPE as BLOCK
from services.runtime.sampleblocks import unpack
from tests.remote_write import packed

ROOT = Path(__file__).parents[2]
SECRET = "a secret of some length"
CHECKS: list[Any] = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def test_the_document_in_the_repository_is_the_gateways_own() -> None:
    """Write it anew with: python -m services.gateway.openapi."""
    assert (ROOT / OPENAPI).read_text(encoding="utf-8") == text_of(SOURCES)


def test_every_source_says_what_it_takes_and_how_it_is_proved() -> None:
    """An undescribed source would be fuzzed with nothing that comes near it."""
    described = document_of(SOURCES)
    assert set(BODIES) == set(SOURCES)
    for name in SOURCES:
        security = described["paths"][f"/v1/ingest/{name}/{{name}}"]["post"]["security"]
        schemes = {scheme for way in security for scheme in way}
        assert schemes, name
        assert schemes <= set(described["components"]["securitySchemes"])


class Everybody(Mapping[tuple[str, str], Known]):
    """Whoever is asked for is known, so that the fuzz comes past the proof whatever name it draws."""

    def __getitem__(self, key: tuple[str, str]) -> Known:
        return Known((SECRET.encode(),))

    def __iter__(self) -> Any:
        return iter([("approvals", "alice")])

    def __len__(self) -> int:
        return 1


class Keeps:
    """A sink that takes everything."""

    async def put(self, records: Sequence[Outgoing]) -> None:
        for record in records:
            assert unpack(record.value or b"") if record.content_type == BLOCK else orjson.loads(record.value or b"")


@schemathesis.serializer("application/x-protobuf")
def compressed(context: Any, value: Any) -> bytes:
    """Whatever the fuzz draws comes past Snappy at least."""
    return packed(value if isinstance(value, bytes) else str(value).encode("utf-8", "replace"))


def gateway(sources: Mapping[str, Source]) -> ASGIApp:
    """One that knows everybody by the same secret."""
    ingest = Ingest(
        sources, lambda: Everybody(), Keeps(), clock=SystemClock(), metrics=Metrics("gateway"),  # type: ignore[arg-type]
        log=get_log("gateway"), rate=1e9,
    )  # fmt: skip
    return make_app(ingest)


def fuzzed() -> ASGIApp:
    """The gateway, where a token proves every source, and every request has it."""
    app = gateway({name: replace(source, proof=BEARER) for name, source in SOURCES.items()})

    async def proved(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [pair for pair in scope.get("headers", ()) if pair[0].lower() != b"authorization"]
        await app({**scope, "headers": [*headers, (b"authorization", f"Bearer {SECRET}".encode())]}, receive, send)

    return proved


schema = schemathesis.openapi.from_asgi("/v1/openapi.json", fuzzed())


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_request_is_answered_as_documented(case: Any) -> None:
    """Neither a status nor a body that the document does not know, and never a failure of the gateway's own."""
    case.call_and_validate(checks=CHECKS)


unproved = schemathesis.openapi.from_asgi("/v1/openapi.json", gateway(SOURCES))


@unproved.parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_is_taken_without_a_proof(case: Any) -> None:
    """Whatever a stranger sends to whatever address, with the proofs that each source really has."""
    answer = case.call_and_validate(checks=CHECKS)
    assert answer.status_code not in (202, 204)


def test_the_fuzz_would_see_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes past the proof, down to what reads the body."""
    seen: list[bytes] = []

    def broken(inbound: Any) -> Any:
        seen.append(inbound.body)
        raise RuntimeError("a defect")

    monkeypatch.setitem(SOURCES, "harbor", replace(SOURCES["harbor"], read=broken))
    operation = schemathesis.openapi.from_asgi("/v1/openapi.json", fuzzed())["/v1/ingest/harbor/{name}"]["POST"]
    case = operation.Case(path_parameters={"name": "c"}, body={"type": "x"}, media_type="application/json")
    with pytest.raises(BaseException, match=r"[Ss]erver error"):
        case.call_and_validate(checks=CHECKS)
    assert seen
