"""Flux's notification-controller, providers `generic` (bearer token in its `headers`) and `generic-hmac`.

The body is Flux's event (fluxcd/pkg, apis/event/v1beta1). An error makes an alert about the object that it involves,
named by Flux's reason. It has no end: Flux says neither since when an object fails, nor which failure a later success
ends, and an end that is guessed would close the wrong one or leave one open for ever. So each error is something that
happened, and what is no error is passed over. Whether an object still fails, the cluster knows, and the watcher.

The signature, `X-Signature: sha256=<hex>`, covers no time: who replays one repeats an alert that is known.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from services.gateway.about import cluster_of, object_of, target_of
from services.gateway.alerts import alert_id_of, fired
from services.gateway.bodies import child, document, moment, text, texts
from services.gateway.proof import BEARER, either
from services.gateway.severity import severity_of
from services.gateway.signatures import hex_signature
from services.gateway.source import Inbound, Reading, Source, Unreadable

NAME = "flux"
MAX_BYTES = 512 * 1024
CUSTOM = "not Flux's event: use the provider 'generic' or 'generic-hmac'"


def read(inbound: Inbound) -> Reading:
    """One alert, or none for what is no error."""
    event = document(inbound.body, CUSTOM)
    if not isinstance(event, dict):
        raise Unreadable(CUSTOM)
    about, reason, onset = child(event, "involvedObject"), text(event, "reason"), moment(event.get("timestamp"))
    if not about or not reason or onset is None:
        raise Unreadable(CUSTOM)
    if text(event, "severity") != "error":
        return Reading(passed_over=Counter({"no-error": 1}))
    labels = _labels(event, about)
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return Reading(passed_over=Counter({"cluster": 1}))
    version, kind, namespace, name = (text(about, part) for part in ("apiVersion", "kind", "namespace", "name"))
    message, when = text(event, "message"), text(event, "timestamp")
    alert_id = alert_id_of(cluster, NAME, version, kind, namespace, name, text(about, "uid"), reason, when, message)
    group = version.rpartition("/")[0]
    target = object_of(cluster, group, kind, namespace, name, about.get("uid")) or target_of({}, cluster, alert_id)
    made = fired(
        NAME, inbound.sender, target, alert_id=alert_id, name=reason, severity=severity_of("error"), lasting=False,
        onset=min(onset, inbound.now), now=inbound.now, labels=labels, summary=message,
    )  # fmt: skip
    return Reading((made,))


def _labels(event: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, str]:
    """The Alert's own `eventMetadata` among them, which is where a cluster's name can be set."""
    metadata = {name.rpartition("/")[2]: value for name, value in texts(child(event, "metadata")).items()}
    known = {"controller": text(event, "reportingController"), "reason": text(event, "reason")}
    named = {part: text(about, part) for part in ("kind", "namespace", "name")}
    return {name: value for name, value in {**metadata, **known, **named}.items() if value}


FLUX = Source(NAME, MAX_BYTES, either(hex_signature("x-signature", "sha256="), BEARER), read)
