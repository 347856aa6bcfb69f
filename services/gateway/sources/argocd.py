"""Argo CD's notifications, as deploy/argocd/notifications.yaml makes it send them: the state of one Application.

Two things can be wrong with an Application, its health and its last sync, and each failure's life begins when Argo CD
says it did. That it is over is told by a later message, which knows nothing of the beginning but for Argo CD's own
record of what it has notified of: an annotation of the Application with each failure's beginning in it. The message
carries that record, so nothing needs to be remembered here, and each end meets its own beginning.

A message that was lost after Argo CD's retries never comes again; the next end closes it all the same.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from schemas.alerts import Severity
from schemas.base import rfc3339
from schemas.target import Target
from services.gateway.about import cluster_of, object_of, target_of
from services.gateway.alerts import alert_id_of, fired, resolved
from services.gateway.bodies import address, child, document, ended, first_text, moment, text
from services.gateway.proof import BEARER
from services.gateway.source import Inbound, Made, Reading, Source, Unreadable

NAME, SCHEMA = "argocd", "setpoint.dev/argocd/v1"
MAX_BYTES = 512 * 1024
CUSTOM = f"not a body of {SCHEMA}: use the template of deploy/argocd/notifications.yaml, which sends it by POST"
MOST_ENDS = 10
"""Of each kind: who knows more failures without an end than that has lost messages long ago."""


@dataclass(frozen=True)
class Failure:
    """One thing that can be wrong: `state` and `since` are the body's keys, `trigger` is the ConfigMap's name of it."""

    name: str
    state: str
    bad: frozenset[str]
    good: str
    since: str
    message: str
    trigger: str


FAILURES = (
    Failure(
        "ApplicationDegraded", "health", frozenset({"Degraded"}), "Healthy", "healthSince", "healthMessage",
        "setpoint-degraded",
    ),
    Failure(
        "ApplicationSyncFailed", "phase", frozenset({"Error", "Failed"}), "Succeeded", "phaseSince", "phaseMessage",
        "setpoint-sync-failed",
    ),
)  # fmt: skip


def read(inbound: Inbound) -> Reading:
    """What is wrong now, and the end of what was."""
    body = document(inbound.body, CUSTOM)
    if not isinstance(body, dict) or body.get("schema") != SCHEMA or not text(body, "name"):
        raise Unreadable(CUSTOM)
    labels = _labels(body)
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return Reading(passed_over=Counter({"cluster": 1}))
    made = tuple(one for failure in FAILURES for one in _events(failure, body, cluster, labels, inbound))
    return Reading(made, Counter() if made else Counter({"nothing-wrong": 1}))


def _events(
    failure: Failure, body: Mapping[str, Any], cluster: str, labels: Mapping[str, str], inbound: Inbound
) -> Iterator[Made]:
    state = text(body, failure.state)
    if state in failure.bad:
        yield _fired(failure, body, cluster, labels, inbound)
    elif state == failure.good:
        for began in told_of(failure, body)[-MOST_ENDS:]:
            yield _resolved(failure, body, cluster, began, inbound)


def _fired(
    failure: Failure, body: Mapping[str, Any], cluster: str, labels: Mapping[str, str], inbound: Inbound
) -> Made:
    """One that does not say since when has no end either, and is told once for each revision."""
    began = moment(body.get(failure.since))
    alert_id = _id(failure, body, cluster, rfc3339(began) if began else f"at {text(body, 'revision')}")
    return fired(
        NAME, inbound.sender, _target(body, cluster, alert_id), alert_id=alert_id, name=failure.name,
        severity=Severity.ERROR, lasting=began is not None, onset=min(began or inbound.now, inbound.now),
        now=inbound.now, labels=labels, summary=first_text(body, failure.message, failure.state),
        url=address(body.get("url")),
    )  # fmt: skip


def _resolved(failure: Failure, body: Mapping[str, Any], cluster: str, began: datetime, inbound: Inbound) -> Made:
    alert_id, onset = _id(failure, body, cluster, rfc3339(began)), min(began, inbound.now)
    return resolved(
        NAME,
        inbound.sender,
        _target(body, cluster, alert_id),
        alert_id=alert_id,
        name=failure.name,
        onset=onset,
        resolved_at=ended(body.get(failure.since), onset, inbound.now),
    )


def told_of(failure: Failure, body: Mapping[str, Any]) -> list[datetime]:
    """When the failures began that Argo CD has told of, oldest first.

    The record's keys begin with `oncePer` and the trigger's name: `2026-11-24T10:00:00Z:setpoint-degraded:[0].…`.
    """
    try:
        record = orjson.loads(text(body, "notified"))
    except orjson.JSONDecodeError:
        return []
    marker = re.compile(r"([-0-9T:.]{19,30}Z):" + re.escape(failure.trigger) + ":")
    found = [marker.search(key) for key in record] if isinstance(record, dict) else []
    return sorted({began for match in found if match and (began := moment(match[1]))})


def _id(failure: Failure, body: Mapping[str, Any], cluster: str, life: str) -> str:
    return alert_id_of(cluster, NAME, *(text(body, part) for part in ("uid", "namespace", "name")), failure.name, life)


def _target(body: Mapping[str, Any], cluster: str, alert_id: str) -> Target:
    found = object_of(
        cluster, "argoproj.io", "Application", text(body, "namespace"), text(body, "name"), uid=body.get("uid")
    )
    return found or target_of({}, cluster, alert_id)


def _labels(body: Mapping[str, Any]) -> dict[str, str]:
    """`cluster` is one that a template may add, for a sender that speaks for several."""
    names = ("project", "revision", "health", "sync", "phase", "cluster")
    where = child(body, "destination")
    found = {name: text(body, name) for name in names} | {"application": text(body, "name")}
    found |= {f"destination_{part}": text(where, part) for part in ("name", "server", "namespace")}
    return {name: value for name, value in found.items() if value}


ARGOCD = Source(NAME, MAX_BYTES, BEARER, read)
