"""Grafana alerting's webhook contact point (grafana/alerting, receivers/webhook/v1 and http/hmac.go).

Proved by a bearer token or by Grafana's HMAC: hex SHA-256 over the body, or over `seconds:body` where the contact point
names a timestamp header. That header must be called X-Grafana-Alerting-Timestamp; what was signed with a time is taken
for five minutes. Without one a replay cannot be told, and only repeats an alert that is known.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.alerts import Scalar
from services.gateway.bodies import child, document
from services.gateway.grouped import Alert, Dialect, read_group
from services.gateway.proof import BEARER, Headers, either, sent
from services.gateway.signatures import hex_signature, recent
from services.gateway.source import Inbound, Reading, Source, Unreadable

NAME, VERSION = "grafana", "1"
MAX_BYTES = 8 * 1024 * 1024
SIGNATURES = ("x-grafana-alerting-signature", "x-grafana-alert-signature")
"""As it is today, and the default of some versions."""
TIMESTAMP = "x-grafana-alerting-timestamp"
CUSTOM = "not Grafana's webhook: leave the contact point's custom payload unset"
ALERTMANAGER = "this is Alertmanager's: send it to the source 'alertmanager'"


def read(inbound: Inbound) -> Reading:
    """An event for each alert of the group."""
    body = document(inbound.body, CUSTOM)
    if not isinstance(body, dict) or not isinstance(body.get("alerts"), list):
        raise Unreadable(CUSTOM)
    if body.get("version") != VERSION:
        raise Unreadable(ALERTMANAGER if body.get("version") == "4" else CUSTOM)
    return read_group(HERE, body, inbound)


def covers(headers: Headers, body: bytes) -> bytes:
    """What the signature is over."""
    return sent(headers, TIMESTAMP) + b":" + body if TIMESTAMP in headers else body


def fresh(headers: Headers, now: datetime) -> bool:
    """Whether what was signed with a time is of now."""
    return TIMESTAMP not in headers or recent(sent(headers, TIMESTAMP), now)


def _organisation(alert: Alert, group: Mapping[str, Any]) -> str:
    """Fingerprints are unique within an organisation."""
    known = alert.get("orgId", group.get("orgId"))
    return str(known) if isinstance(known, int | str) else ""


def _values(alert: Alert) -> dict[str, Scalar]:
    """What the rule's queries measured, by their letters: `event.values.B`."""
    return {
        name: value
        for name, value in child(alert, "values").items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


HERE = Dialect(NAME, ("generatorURL", "panelURL", "dashboardURL"), _organisation, _values)
PROOF = either(*(hex_signature(name, covers=covers, fresh=fresh) for name in SIGNATURES), BEARER)
GRAFANA = Source(NAME, MAX_BYTES, PROOF, read)
