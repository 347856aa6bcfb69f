"""The gateway's interface as an OpenAPI 3.1 document, made from the sources; no secret and no sender is in it.

Served at `/v1/openapi.json`. `python -m services.gateway.openapi [FILE]` writes it, as docs/openapi.json. A request
body is described as far as its source looks at it before it reads on: what it lacks there is answered with 422.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from services.gateway.answers import STATUS, Answer
from services.gateway.proof import Proof
from services.gateway.remote_write import MEDIA, PROOF
from services.gateway.source import Source

VERSION = "3.1.0"
OPENAPI = "docs/openapi.json"
TEXT, OBJECT = {"type": "string"}, {"type": "object"}
NAME = {"type": "string", "minLength": 1}


def _body(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


GROUP = {"type": "array", "items": _body("startsAt", status={"enum": ["firing", "resolved"]}, labels=OBJECT)}
CLOUD_EVENT = _body(
    "specversion", "id", "source", "type", specversion={"const": "1.0"}, id=TEXT, source=TEXT, type=TEXT,
    time=TEXT, subject=TEXT, data_base64={"type": "string", "contentEncoding": "base64"}, data=_body(
        name=TEXT, severity=TEXT, status={"enum": ["firing", "resolved"]}, startsAt=TEXT, fingerprint=TEXT,
        labels={"type": "object", "additionalProperties": TEXT}, values=OBJECT, summary=TEXT, url=TEXT, target=TEXT,
    ),
)  # fmt: skip
JSON = "application/json"
BODIES: Mapping[str, Mapping[str, Any]] = {
    "alertmanager": {JSON: _body("version", "alerts", version={"const": "4"}, alerts=GROUP)},
    "argocd": {JSON: _body("schema", "name", schema={"const": "setpoint.dev/argocd/v1"}, name=TEXT)},
    "audit": {
        JSON: _body(
            "apiVersion", "kind", "items", apiVersion={"const": "audit.k8s.io/v1"}, kind={"const": "EventList"},
            items={"type": "array", "items": OBJECT},
        )
    },
    "cloudevents": {
        "application/cloudevents+json": CLOUD_EVENT,
        "application/cloudevents-batch+json": {"type": "array", "items": CLOUD_EVENT},
    },
    "falco": {JSON: _body("rule", "time", rule=TEXT, time=TEXT, priority=TEXT, output_fields=OBJECT)},
    "falcosidekick": {JSON: _body("rule", "time", rule=TEXT, time=TEXT, priority=TEXT, output_fields=OBJECT)},
    "flux": {
        JSON: _body(
            "involvedObject", "reason", "timestamp", involvedObject=OBJECT, reason=TEXT, timestamp=TEXT, severity=TEXT
        )
    },
    "github": {JSON: OBJECT},
    "gitlab": {JSON: _body("object_kind", object_kind=TEXT, object_attributes=OBJECT, project=OBJECT)},
    "grafana": {JSON: _body("version", "alerts", version={"const": "1"}, alerts=GROUP)},
    "harbor": {JSON: _body("type", type=TEXT, event_data=OBJECT, data=OBJECT)},
    "jenkins": {JSON: _body("name", "build", name=TEXT, build=_body("number", number={"type": "integer"}))},
}  # fmt: skip
APPROVAL = {
    **_body("cluster", "answer", cluster=TEXT, answer={"enum": ["approve", "deny"]}, note=TEXT),
    "additionalProperties": False,
}
WORDS = {
    202: "all replicas of the broker have it", 400: "not HTTP, or the sender went away",
    401: "the proof is wrong, or the sender is unknown",
    404: "there is no such source, or nothing at all at this address", 405: "send it with another method",
    408: "it did not come in time", 413: "it is larger than what the source may send",
    422: "it is not what the source sends", 503: "send it again, after `Retry-After`",
}  # fmt: skip
WRITE_WORDS = {
    **{status: words for status, words in WORDS.items() if status not in (202, 400, 422)},
    204: "all replicas of the broker have it", 415: "another message, or not compressed by Snappy",
    400: "some or all of it can never be kept: do not send it again",
}  # fmt: skip
EXTRA_HEADERS = {"github": "x-github-event"}


def document_of(sources: Mapping[str, Source]) -> dict[str, Any]:
    """The document: a path a source, and those of the gateway itself."""
    paths = {f"/v1/ingest/{source.name}/{{name}}": {"post": _ingest(source)} for source in sources.values()}
    proofs = [*(source.proof for source in sources.values()), PROOF]
    shown = {one for proof in proofs for one in _shown(proof)}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Setpoint gateway", "version": "v1",
            "description": "Where other systems say what is wrong, and people answer questions.",
        },
        "paths": {**dict(sorted(paths.items())), **_own()},
        "components": {
            "securitySchemes": {one: _scheme(one) for one in sorted(shown)},
            "schemas": {"Answer": _answer()},
        },
    }  # fmt: skip


def _ingest(source: Source) -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "description": "which sender", "schema": NAME}
    header = EXTRA_HEADERS.get(source.name)
    more = [{"name": header, "in": "header", "required": True, "schema": TEXT}] if header else []
    return {
        "operationId": f"ingest_{source.name}",
        "summary": f"What {source.name} sends; at most {source.max_bytes} bytes",
        "parameters": [name, *more],
        "security": [{one: []} for one in _shown(source.proof)],
        "requestBody": _content(BODIES.get(source.name, {JSON: OBJECT})),
        "responses": _responses(),
    }


def _own() -> dict[str, Any]:
    question = {"name": "approval_id", "in": "path", "required": True, "description": "which question", "schema": NAME}
    approve = {
        "operationId": "approve",
        "summary": "A person's answer to a question, with that person's own token",
        "parameters": [question],
        "security": [{"bearer": []}],
        "requestBody": _content({JSON: APPROVAL}),
        "responses": _responses(),
    }
    described = {
        "operationId": "openapi",
        "summary": "This document",
        "responses": {"200": {"description": "this document", "content": {JSON: {"schema": OBJECT}}}},
    }
    return {
        "/v1/approvals/{approval_id}": {"post": approve},
        "/v1/metrics/write/{name}": {"post": _write()},
        "/v1/openapi.json": {"get": described},
    }


def _write() -> dict[str, Any]:
    name = {"name": "name", "in": "path", "required": True, "description": "which sender", "schema": NAME}
    encoding = {"name": "content-encoding", "in": "header", "required": True, "schema": {"const": "snappy"}}
    schema = {JSON: {"schema": {"$ref": "#/components/schemas/Answer"}}}
    return {
        "operationId": "write",
        "summary": "Prometheus remote write, 1.0 and 2.0",
        "parameters": [name, encoding],
        "security": [{one: []} for one in _shown(PROOF)],
        "requestBody": _content({MEDIA: {"type": "string", "format": "binary"}}),
        "responses": {
            str(status): {"description": words} | ({} if status == 204 else {"content": schema})
            for status, words in sorted(WRITE_WORDS.items())
        },
    }


def _content(bodies: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": schema} for media, schema in bodies.items()}}


def _responses() -> dict[str, Any]:
    schema = {JSON: {"schema": {"$ref": "#/components/schemas/Answer"}}}
    return {str(status): {"description": words, "content": schema} for status, words in WORDS.items()}


def _answer() -> dict[str, Any]:
    told = sorted(answer for answer in Answer if STATUS[answer] in {**WORDS, **WRITE_WORDS})
    return _body("result", result={"enum": told}, events={"type": "integer"}, detail=TEXT)


def _shown(proof: Proof) -> Iterator[str]:
    yield from ([proof.shown] if proof.shown else [])
    for other in proof.others:
        yield from _shown(other)


def _scheme(shown: str) -> dict[str, str]:
    if shown in ("bearer", "basic"):
        return {"type": "http", "scheme": shown}
    return {"type": "mutualTLS"} if shown == "certificate" else {"type": "apiKey", "in": "header", "name": shown}


def text_of(sources: Mapping[str, Source]) -> str:
    """The document as its file has it."""
    return orjson.dumps(document_of(sources), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


if __name__ == "__main__":
    from services.gateway.sources import SOURCES

    Path(sys.argv[1] if len(sys.argv) > 1 else OPENAPI).write_text(text_of(SOURCES), encoding="utf-8")
