"""Any system's alerts as CloudEvents 1.0 over HTTP: structured, binary, or a batch. With a bearer token, or signed.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md. `data` is a JSON object,
all of it optional: `name`, `severity`, `status` (`firing` or `resolved`), `startsAt`, `fingerprint`, `labels`,
`values`, `summary`, `url`, and `target` as policies write it: `Deployment/payments/api`.

Without `status` an event is something that happened, known by its `source` and `id`. With one it is a life, known by
`source`, `fingerprint` (or `name`, `target` and `labels`) and `startsAt`: who leaves that out has one life for ever.
This is the one format that is Setpoint's own, so what is wrong in it is said and not passed over; of a batch, the rest
counts.
"""

import base64
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from schemas.alerts import Scalar
from schemas.base import rfc3339
from schemas.reference import Reference, parse_reference
from services.gateway.about import cluster_of, target_of
from services.gateway.alerts import alert_id_of, fired, resolved
from services.gateway.bodies import MOST_ALERTS, address, child, document, ended, moment, text, texts
from services.gateway.proof import BEARER, STANDARD_WEBHOOKS, either
from services.gateway.severity import severity_of
from services.gateway.source import Inbound, Made, Reading, Source, Unreadable

NAME = "cloudevents"
MAX_BYTES = 2 * 1024 * 1024
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
REQUIRED = ("id", "source", "type")
CUSTOM = f"not a CloudEvent 1.0: send {STRUCTURED}, or the headers ce-specversion, ce-id, ce-source and ce-type"
Body = Mapping[str, Any]


def read(inbound: Inbound) -> Reading:
    """One event, or those of a batch."""
    media = inbound.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == BATCH:
        return _batch(document(inbound.body, CUSTOM), inbound)
    structured = media == STRUCTURED or "ce-specversion" not in inbound.headers  # some call it application/json
    event = document(inbound.body, CUSTOM) if structured else _binary(inbound)
    found = _made(event, inbound)
    return Reading((found,)) if isinstance(found, Made) else Reading(passed_over=Counter({found: 1}))


def _batch(events: Any, inbound: Inbound) -> Reading:
    if not isinstance(events, list):
        raise Unreadable("a batch is a list of CloudEvents")
    made, passed_over = [], Counter[str]()
    for event in events[:MOST_ALERTS]:
        try:
            found = _made(event, inbound)
        except Unreadable:
            found = "unreadable"
        if isinstance(found, Made):
            made.append(found)
        else:
            passed_over[found] += 1
    if len(events) > MOST_ALERTS:
        passed_over["too-many"] += len(events) - MOST_ALERTS
    return Reading(tuple(made), passed_over)


def _binary(inbound: Inbound) -> Body:
    """Attributes are headers, percent-encoded; the body is `data`."""
    attributes = {
        name.removeprefix("ce-"): unquote(value, errors="replace")
        for name, value in inbound.headers.items()
        if name.startswith("ce-")
    }
    return {**attributes, "data": document(inbound.body, "'data' is a JSON object") if inbound.body else {}}


def _made(event: Any, inbound: Inbound) -> Made | str:
    """The event of one CloudEvent, or the word that says why there is none. Raises Unreadable, naming what is wrong."""
    if (
        not isinstance(event, dict)
        or event.get("specversion") != "1.0"
        or not all(text(event, one) for one in REQUIRED)
    ):
        raise Unreadable(CUSTOM)
    data = _data(event)
    labels = _labels(event, data)
    status = data.get("status", "")
    if status not in ("", "firing", "resolved"):
        raise Unreadable("'status' is neither 'firing' nor 'resolved'")
    reference = _reference(data.get("target"))
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return "cluster"
    name = text(data, "name") or event["type"]
    began = moment(data.get("startsAt"))
    if began is None and data.get("startsAt") is not None:
        raise Unreadable("'startsAt' is no RFC 3339 time")
    life = _life(event, data, name) if status else ("event", event["id"])
    alert_id = alert_id_of(cluster, NAME, event["source"], *life)
    target = reference.in_cluster(cluster) if reference else target_of(labels, cluster, alert_id)
    onset = min(began or moment(event.get("time")) or inbound.now, inbound.now)
    if status == "resolved":
        at = ended(event.get("time"), onset, inbound.now)
        return resolved(NAME, inbound.sender, target, alert_id=alert_id, name=name, onset=onset, resolved_at=at)
    return fired(
        NAME, inbound.sender, target, alert_id=alert_id, name=name, severity=severity_of(data.get("severity")),
        lasting=bool(status), onset=onset, now=inbound.now, labels=labels, values=_values(data),
        summary=text(data, "summary"), url=address(data.get("url")),
    )  # fmt: skip


def _data(event: Body) -> Body:
    data = event.get("data", {})
    if "data_base64" in event:
        try:
            data = document(base64.b64decode(text(event, "data_base64"), validate=True))
        except ValueError:  # binascii.Error is one, and so is what is beyond ASCII
            raise Unreadable("'data_base64' is no base64") from None
    if not isinstance(data, dict):
        raise Unreadable("'data' is no JSON object")
    return data


def _life(event: Body, data: Body, name: str) -> tuple[str, str, str]:
    """What stays the same from an alert's beginning to its end."""
    began = moment(data.get("startsAt"))
    plain = [name, text(data, "target"), text(event, "subject"), sorted(texts(child(data, "labels")).items())]
    known = text(data, "fingerprint") or orjson.dumps(plain).decode()
    return "life", known, rfc3339(began) if began else ""


def _reference(value: object) -> Reference | None:
    if value is None:
        return None
    try:
        found = parse_reference(value)
    except ValueError:
        found = None
    if not isinstance(found, Reference):
        raise Unreadable("'target' names no object, write it like Deployment/payments/api")
    return found


def _labels(event: Body, data: Body) -> dict[str, str]:
    """The data's own, and the envelope's under names that those do not have."""
    envelope = {f"ce.{name}": text(event, name) for name in ("source", "type", "subject")}
    return {**texts(child(data, "labels")), **{name: value for name, value in envelope.items() if value}}


def _values(data: Body) -> dict[str, Scalar]:
    return {
        name: value
        for name, value in child(data, "values").items()
        if value is None or isinstance(value, str | int | float)
    }


CLOUDEVENTS = Source(NAME, MAX_BYTES, either(BEARER, STANDARD_WEBHOOKS), read)
