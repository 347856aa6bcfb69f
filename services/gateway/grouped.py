"""Groups of alerts as Alertmanager sends them, and as others do after its example.

The group is how it was sent, not what it is: each alert stands for itself, known by its fingerprint and its beginning.
A group comes again and again, from each of a pair, in any order, also as resolved before it was ever told as firing.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.alerts import Scalar
from schemas.base import rfc3339
from services.gateway.about import cluster_of, target_of
from services.gateway.alerts import alert_id_of, fired, resolved
from services.gateway.bodies import MOST_ALERTS, address, child, ended, first_text, moment, number, text, texts
from services.gateway.severity import severity_of
from services.gateway.source import Inbound, Made, Reading

NAMELESS = "unnamed"
SUMMARIES = ("summary", "message", "description", "title")
MOST_TRUNCATED = 1_000_000
Alert = Mapping[str, Any]


def _nothing(alert: Alert) -> Mapping[str, Scalar]:
    return {}


@dataclass(frozen=True)
class Dialect:
    """What one system does in its own way: `scope` makes fingerprints unique, `values` are beside the annotations'."""

    source: str
    links: tuple[str, ...] = ("generatorURL",)
    scope: Callable[[Alert, Mapping[str, Any]], str] = lambda alert, group: ""
    values: Callable[[Alert], Mapping[str, Scalar]] = _nothing


def read_group(dialect: Dialect, group: Mapping[str, Any], inbound: Inbound) -> Reading:
    """An event for each of `group["alerts"]`. An odd one is passed over: the others of its group are not to blame."""
    made, passed_over = [], Counter[str]()
    alerts = group["alerts"]
    for alert in alerts[:MOST_ALERTS]:
        found = _event(dialect, group, alert, inbound) if isinstance(alert, dict) else "unreadable"
        if isinstance(found, Made):
            made.append(found)
        else:
            passed_over[found] += 1
    unseen = group.get("truncatedAlerts")
    if isinstance(unseen, int) and unseen > 0:
        passed_over["truncated"] += min(unseen, MOST_TRUNCATED)
    if len(alerts) > MOST_ALERTS:
        passed_over["too-many"] += len(alerts) - MOST_ALERTS
    return Reading(tuple(made), passed_over)


def _event(dialect: Dialect, group: Mapping[str, Any], alert: Alert, inbound: Inbound) -> Made | str:
    """The event of one alert, or the word that says why there is none. A status that it lacks is its group's."""
    labels, notes = texts(child(alert, "labels")), child(alert, "annotations")
    status = text(alert, "status") or text(group, "status")
    began = moment(alert.get("startsAt"))
    if status not in ("firing", "resolved") or began is None:
        return "unreadable"
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return "cluster"
    scope = dialect.scope(alert, group)
    alert_id = alert_id_of(cluster, dialect.source, scope, _fingerprint(alert, labels), rfc3339(began))
    target = target_of(labels, cluster, alert_id)
    name = labels.get("alertname") or NAMELESS
    onset = min(began, inbound.now)
    if status == "resolved":
        return resolved(
            dialect.source, inbound.sender, target, alert_id=alert_id, name=name, onset=onset,
            resolved_at=ended(alert.get("endsAt"), onset, inbound.now),
        )  # fmt: skip
    return fired(
        dialect.source, inbound.sender, target, alert_id=alert_id, name=name,
        severity=severity_of(labels.get("severity")), lasting=True, onset=onset, now=inbound.now, labels=labels,
        values={**_measured(notes), **dialect.values(alert)}, summary=first_text(notes, *SUMMARIES),
        url=next(filter(None, (address(alert.get(link)) for link in dialect.links)), ""),
    )  # fmt: skip


def _fingerprint(alert: Alert, labels: Mapping[str, str]) -> str:
    """The sender's own, or the labels as JSON where an old one sends none."""
    return text(alert, "fingerprint") or orjson.dumps(sorted(labels.items())).decode()


def _measured(notes: Mapping[str, Any]) -> dict[str, Scalar]:
    """Annotations that are a number: rules write what they measured there, as `value: "{{ $value }}"`."""
    return {name: found for name, value in notes.items() if (found := number(value)) is not None}
