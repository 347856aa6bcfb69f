"""Jenkins' Notification plugin (format JSON, protocol HTTP): builds that fail.

https://github.com/jenkinsci/notification-plugin. It can set no header, but sends what stands before the `@` of its URL
as basic authentication: `https://setpoint:SECRET@gateway…`, kept as a secret-text credential. A pipeline's own `curl`
can send a bearer token, or to the source `cloudevents` instead.

A build's life is its own: COMPLETED and FINALIZED tell one alert. A build that succeeds ends the failure of the build
right before it. Of several failures in a row that is the last; that the others are over, nobody says. What limits are
counted for is the job, and not each build. A parameter can name the object: `NAMESPACE`, `DEPLOYMENT`.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.alerts import Severity
from schemas.events import stable_id
from services.gateway.about import cluster_of, target_of
from services.gateway.alerts import alert_id_of, fired, resolved
from services.gateway.bodies import address, child, document, first_text, moment, text
from services.gateway.pointers import pointers
from services.gateway.proof import BASIC, BEARER, either
from services.gateway.source import Inbound, Made, Reading, Source, Unreadable

NAME = "jenkins"
MAX_BYTES = 2 * 1024 * 1024
ALERT = "JenkinsBuildFailed"
DONE = frozenset({"COMPLETED", "FINALIZED"})
CUSTOM = "not the Notification plugin's: choose the format JSON"
LAST_MS = 9_000_000_000_000
Body = Mapping[str, Any]


def read(inbound: Inbound) -> Reading:
    """The failure of a build, or the end of the failure of the one before it."""
    body = document(inbound.body, CUSTOM)
    build = child(body, "build") if isinstance(body, dict) else {}
    number = build.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or not text(body, "name"):
        raise Unreadable(CUSTOM)
    status = text(build, "status")
    if text(build, "phase") not in DONE:
        return _none("phase")
    if status not in ("FAILURE", "SUCCESS"):
        return _none("state")
    labels = {**pointers(child(build, "parameters"), inbound.sender), **_labels(body, build)}
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return _none("cluster")
    return Reading((_made(body, build, number, cluster, labels, inbound),))


def _made(body: Body, build: Body, number: int, cluster: str, labels: Mapping[str, str], inbound: Inbound) -> Made:
    job = first_text(body, "url", "name")
    target = target_of(labels, cluster, stable_id(cluster, NAME, job))
    at = min(_time(build.get("timestamp")) or inbound.now, inbound.now)
    if build["status"] == "SUCCESS":
        before = alert_id_of(cluster, NAME, job, number - 1)
        return resolved(NAME, inbound.sender, target, alert_id=before, name=ALERT, onset=at, resolved_at=at)
    return fired(
        NAME, inbound.sender, target, alert_id=alert_id_of(cluster, NAME, job, number), name=ALERT,
        severity=Severity.ERROR, lasting=True, onset=at, now=inbound.now, labels=labels, values={"build": number},
        summary=text(build, "notes") or f"build {number} of {text(body, 'name')} failed",
        url=address(build.get("full_url")),
    )  # fmt: skip


def _time(value: object) -> datetime | None:
    """RFC 3339, or milliseconds since 1970; None where it is neither, as in some versions."""
    if isinstance(value, int) and 0 < value < LAST_MS:
        return datetime.fromtimestamp(value / 1000, UTC)
    return moment(value)


def _labels(body: Body, build: Body) -> dict[str, str]:
    scm = child(build, "scm")
    known = {
        "job": text(body, "name"), "ref": text(scm, "branch"), "sha": text(scm, "commit"),
        "repository": text(scm, "url"), "state": text(build, "status"),
    }  # fmt: skip
    return {name: value for name, value in known.items() if value}


def _none(why: str) -> Reading:
    return Reading(passed_over=Counter({why: 1}))


JENKINS = Source(NAME, MAX_BYTES, either(BEARER, BASIC), read)
