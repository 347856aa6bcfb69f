"""Falco's alerts: one JSON object a request, from Falco itself (`http_output`) or through falcosidekick's webhook.

Falco can send no header of one's own, so what proves it is its client certificate; falcosidekick sends a bearer token
(`webhook.customheaders`). Neither sends again what was not taken. What an alert says is read by
`services/runtime/alerts/falco.py`, as the watcher that follows Falco's logs does.
"""

from collections import Counter

from services.gateway.about import cluster_of
from services.gateway.alerts import origin, to_topic
from services.gateway.bodies import document
from services.gateway.proof import BEARER, CLIENT_CERTIFICATE
from services.gateway.source import Inbound, Reading, Source, Unreadable
from services.runtime.alerts.falco import MAKER, NoAlert, Passed, falco_alert

MAX_BYTES = 1024 * 1024
HINT = "set json_output: true in falco.yaml"


def read(inbound: Inbound) -> Reading:
    """One alert, or none for what Falco says of itself."""
    sender = inbound.sender
    try:
        said = falco_alert(
            document(inbound.body, HINT), origin=origin(MAKER), sender=sender.name,
            cluster=lambda fields: cluster_of(sender, fields), now=inbound.now,
        )  # fmt: skip
    except NoAlert as error:
        raise Unreadable(str(error)) from None
    return Reading(passed_over=Counter({str(said): 1})) if isinstance(said, Passed) else Reading((to_topic(said),))


FALCO = Source("falco", MAX_BYTES, CLIENT_CERTIFICATE, read)
FALCOSIDEKICK = Source("falcosidekick", MAX_BYTES, BEARER, read)
