"""What one alert of Falco's says, whichever way it came: sent to the gateway, or read from the log of Falco's pod.

The same alert on several ways has one identity, so that it is one. Fields: Falco's `format_event`
(userspace/engine/formats.cpp), of which falcosidekick's `FalcoPayload` is a copy.

Such an alert is something that happened: it has no end, and its time is its own to the nanosecond. A field that Falco
could not fill (null, `<NA>`) is absent, so that no condition takes it for a value.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.alerts import AlertFired, Scalar
from schemas.events import Event
from services.runtime.alerts.about import target_of
from services.runtime.alerts.loose import as_json, child, first_text, moment, text, texts
from services.runtime.alerts.made import alert_id_of, fired
from services.runtime.alerts.severity import severity_of

MAKER = "falco"
"""What policies know such alerts by, whichever way they came."""
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


class Passed(StrEnum):
    """Why something that Falco said makes no event."""

    INTERNAL = "internal"
    CLUSTER = "cluster"


class NoAlert(Exception):
    """Not one alert of Falco's. The message never quotes it."""


def falco_alert(
    said: object, *, origin: str, sender: str, cluster: Callable[[Mapping[str, str]], str | None], now: datetime
) -> Event[AlertFired] | Passed:
    """One alert, or why what Falco says of itself is none. `cluster` tells it from the fields. Raises NoAlert."""
    if not isinstance(said, dict):
        raise NoAlert("not one alert of Falco's")
    rule, time = text(said, "rule"), text(said, "time")
    onset = moment(time)
    if not rule or onset is None:
        raise NoAlert("no 'rule' or no 'time' of an alert of Falco's")
    source = SPELLINGS.get(text(said, "source"), text(said, "source"))
    if source == "internal" or rule.lower().startswith("falco internal"):
        return Passed.INTERNAL
    fields = _fields(child(said, "output_fields"))
    named = texts(fields)
    where = cluster(named)
    if where is None:
        return Passed.CLUSTER
    hostname = text(said, "hostname")
    identity = (hostname, source, rule, _exact(time), *(f"{name}={fields.get(name)}" for name in IDENTITY))
    alert_id = alert_id_of(where, MAKER, *identity)
    return fired(
        origin, MAKER, sender, target_of(_about(named, source, hostname), where, alert_id), alert_id=alert_id,
        name=rule, severity=severity_of(said.get("priority")), lasting=False, onset=min(onset, now), now=now,
        labels=_labels(said, source, named), values=fields,
        summary=PREFIX.sub("", first_text(said, "message", "output"), count=1),
    )  # fmt: skip


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
