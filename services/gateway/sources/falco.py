"""Falco's alerts: one JSON object a request, from Falco itself (`http_output`) or through falcosidekick's webhook.

Both say the same, so that the same alert on both ways is one. Falco can send no header of one's own, so what proves it
is its client certificate; falcosidekick sends a bearer token (`webhook.customheaders`). Neither sends again what was
not taken. Their fields: Falco's `format_event` (userspace/engine/formats.cpp) and falcosidekick's `FalcoPayload`.

Such an alert is something that happened: it has no end, and its time is its own to the nanosecond. A field that Falco
could not fill (null, `<NA>`) is absent, so that no condition takes it for a value.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from schemas.alerts import Scalar
from services.gateway.about import cluster_of, target_of
from services.gateway.alerts import alert_id_of, fired
from services.gateway.bodies import as_json, child, document, first_text, moment, text, texts
from services.gateway.proof import BEARER, CLIENT_CERTIFICATE
from services.gateway.severity import severity_of
from services.gateway.source import Inbound, Reading, Source, Unreadable

MAKER = "falco"
"""What policies know such alerts by, whichever way they came."""
MAX_BYTES = 1024 * 1024
HINT = "set json_output: true in falco.yaml"
UNKNOWN = "<NA>"
SPELLINGS = {"syscalls": "syscall", "": "syscall"}
"""falcosidekick's default, and old versions' silence."""
IDENTITY = (
    "container.id", "evt.type", "proc.pid", "thread.tid", "ka.auditid", "ka.verb", "ka.user.name",
    "ka.target.namespace", "ka.target.resource", "ka.target.name",
)  # fmt: skip
"""Fields that tell two alerts of one rule and one moment apart; short ones, since falcosidekick cuts long ones."""
LABELLED = ("k8s.", "container.", "ka.target.", "user.name", "proc.name")
PREFIX = re.compile(r"\A\S{1,40}: (Emergency|Alert|Critical|Error|Warning|Notice|Informational|Debug) ")


def read(inbound: Inbound) -> Reading:
    """One alert, or none for what Falco says of itself."""
    said = document(inbound.body, HINT)
    if not isinstance(said, dict):
        raise Unreadable("not one alert of Falco's")
    rule, time = text(said, "rule"), text(said, "time")
    onset = moment(time)
    if not rule or onset is None:
        raise Unreadable("no 'rule' or no 'time' of an alert of Falco's")
    source = SPELLINGS.get(text(said, "source"), text(said, "source"))
    if source == "internal" or rule.lower().startswith("falco internal"):
        return Reading(passed_over=Counter({"internal": 1}))
    fields = _fields(child(said, "output_fields"))
    named = texts(fields)
    cluster = cluster_of(inbound.sender, named)
    if cluster is None:
        return Reading(passed_over=Counter({"cluster": 1}))
    hostname = text(said, "hostname")
    identity = (hostname, source, rule, _exact(time), *(f"{name}={fields.get(name)}" for name in IDENTITY))
    alert_id = alert_id_of(cluster, MAKER, *identity)
    made = fired(
        MAKER, inbound.sender, target_of(_about(named, source, hostname), cluster, alert_id), alert_id=alert_id,
        name=rule, severity=severity_of(said.get("priority")), lasting=False, onset=min(onset, inbound.now),
        now=inbound.now, labels=_labels(said, source, named), values=fields,
        summary=PREFIX.sub("", first_text(said, "message", "output"), count=1),
    )  # fmt: skip
    return Reading((made,))


def _fields(given: Mapping[str, Any]) -> dict[str, Scalar]:
    """What Falco could fill, by its own names; a list or a map is kept as JSON text."""
    plain = {name: as_json(value) if isinstance(value, list | dict) else value for name, value in given.items()}
    return {name: value for name, value in plain.items() if value is not None and value != UNKNOWN}


def _exact(time: str) -> str:
    """The nanosecond, in one spelling: Falco writes all nine digits, falcosidekick leaves out zeros at the end."""
    return re.sub(r"\.?0*Z$", "Z", time) if "." in time else time


def _about(named: Mapping[str, str], source: str, hostname: str) -> dict[str, str]:
    """A system call that no pod made was made on the node that Falco runs on, which is its host's name."""
    return {**named, "node": hostname} if source == "syscall" else dict(named)


def _labels(said: Mapping[str, Any], source: str, named: Mapping[str, str]) -> dict[str, str]:
    """What policies match without an expression; `tags` is one text, since labels are."""
    tags = said.get("tags")
    known = {
        "source": source, "priority": text(said, "priority").lower(), "hostname": text(said, "hostname"),
        "tags": ",".join(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else "",
    }  # fmt: skip
    fields = {name: value for name, value in named.items() if name.startswith(LABELLED)}
    return {name: value for name, value in {**known, **fields}.items() if value}


FALCO = Source("falco", MAX_BYTES, CLIENT_CERTIFICATE, read)
FALCOSIDEKICK = Source("falcosidekick", MAX_BYTES, BEARER, read)
