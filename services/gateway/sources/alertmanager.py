"""Alertmanager's webhook, version 4 (`webhook_config`; prometheus/alertmanager, notify/webhook/webhook.go).

It sends again after 5xx only, and can be told to send another body altogether, which cannot be read here.
"""

from services.gateway.bodies import document
from services.gateway.grouped import Dialect, read_group
from services.gateway.proof import BEARER
from services.gateway.source import Inbound, Reading, Source, Unreadable

NAME, VERSION = "alertmanager", "4"
MAX_BYTES = 8 * 1024 * 1024
HERE = Dialect(NAME)
CUSTOM = "not Alertmanager's webhook of version 4: leave the receiver's 'payload' unset"
BARE = (
    "a bare list is what Alertmanager's own API takes: let Flux use the provider 'generic-hmac' and the source 'flux'"
)
GRAFANA = "this is Grafana's: send it to the source 'grafana'"


def read(inbound: Inbound) -> Reading:
    """An event for each alert of the group."""
    body = document(inbound.body, CUSTOM)
    if isinstance(body, list):
        raise Unreadable(BARE)
    if not isinstance(body, dict) or not isinstance(body.get("alerts"), list):
        raise Unreadable(CUSTOM)
    if body.get("version") != VERSION:
        raise Unreadable(GRAFANA if "orgId" in body else CUSTOM)
    return read_group(HERE, body, inbound)


ALERTMANAGER = Source(NAME, MAX_BYTES, BEARER, read)
