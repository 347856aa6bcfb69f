"""Harbor's webhooks, in both formats (Default and CloudEvents): scans, quotas and replications that went wrong.

https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/. Harbor signs nothing: its
`auth header` is the one proof, so use TLS. It sends again after anything but 2xx.

Each is something that happened, without an end. What a scan found is known by the artifact and what was found: scanned
again with the same result it is the same alert, and a new finding is a new one. Pushes and pulls are passed over.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from schemas.alerts import Severity
from schemas.events import stable_id
from services.gateway.about import cluster_of, target_of
from services.gateway.alerts import alert_id_of, fired
from services.gateway.bodies import child, document, first_text, moment, text, texts
from services.gateway.proof import AUTHORIZATION
from services.gateway.severity import severity_of
from services.gateway.source import Inbound, Made, Reading, Source, Unreadable

NAME = "harbor"
MAX_BYTES = 2 * 1024 * 1024
CUSTOM = "not a webhook of Harbor's"
SCANNED, SCAN_FAILED = "HarborVulnerabilities", "HarborScanFailed"
QUOTA, REPLICATION = "HarborQuota", "HarborReplicationFailed"
TYPES = {
    "harbor.scan.completed": "SCANNING_COMPLETED", "harbor.scan.failed": "SCANNING_FAILED",
    "harbor.scan.stopped": "SCANNING_STOPPED", "harbor.quota.exceeded": "QUOTA_EXCEED",
    "harbor.quota.warned": "QUOTA_WARNING", "harbor.replication.status.changed": "REPLICATION",
}  # fmt: skip
"""The CloudEvents format's word → the Default format's."""
LAST_SECOND = 9_000_000_000
MOST_RESOURCES = 100
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """One message, whichever format it came in."""

    type: str
    at: datetime | None
    operator: str
    data: Body


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong: `identity` is what it is known by, within its repository."""

    name: str
    severity: Severity
    identity: tuple[str, ...]
    summary: str
    labels: Mapping[str, str]
    values: Mapping[str, int | float]


def read(inbound: Inbound) -> Reading:
    """An event for each artifact, quota or replication that something is wrong with."""
    said = _said(inbound.body)
    found = list(_wrong(said))
    labels = {"project": text(child(said.data, "repository"), "namespace"), "operator": said.operator}
    made, passed_over = [], Counter[str]()
    for wrong in found:
        event = _event(wrong, said, labels, inbound)
        if event is None:
            passed_over["cluster"] += 1
        else:
            made.append(event)
    return Reading(tuple(made), passed_over if found else Counter({"nothing-wrong": 1}))


def _said(body: bytes) -> Said:
    given = document(body, CUSTOM)
    kind = text(given, "type") if isinstance(given, dict) else ""
    if not kind:
        raise Unreadable(CUSTOM)
    operator = text(given, "operator")
    if "specversion" in given:
        return Said(TYPES.get(kind, kind), moment(given.get("time")), operator, child(given, "data"))
    second = given.get("occur_at")
    at = datetime.fromtimestamp(second, UTC) if isinstance(second, int) and 0 < second < LAST_SECOND else None
    return Said(kind, at, operator, child(given, "event_data"))


def _wrong(said: Said) -> Iterator[Wrong]:
    when = said.at.replace(microsecond=0).isoformat() if said.at else ""
    if said.type in ("SCANNING_COMPLETED", "SCANNING_FAILED"):
        resources = said.data.get("resources")
        for resource in (resources if isinstance(resources, list) else [])[:MOST_RESOURCES]:
            if isinstance(resource, dict):
                yield from _scan(resource, said, when)
    elif said.type in ("QUOTA_EXCEED", "QUOTA_WARNING"):
        severity = Severity.ERROR if said.type == "QUOTA_EXCEED" else Severity.WARNING
        details = first_text(child(said.data, "custom_attributes"), "Details", "details")
        yield Wrong(QUOTA, severity, (said.type, when), details or "a project's quota is used up", {}, {})
    elif said.type == "REPLICATION":
        yield from _replication(child(said.data, "replication"), when)


def _scan(resource: Body, said: Said, when: str) -> Iterator[Wrong]:
    digest, url = text(resource, "digest"), text(resource, "resource_url")
    labels = {"image": url, "digest": digest, "tag": text(resource, "tag")}
    if said.type == "SCANNING_FAILED":
        yield Wrong(SCAN_FAILED, Severity.WARNING, (digest, when), f"the scan of {url} failed", labels, {})
        return
    for report in child(resource, "scan_overview").values():
        severity = severity_of(report.get("severity")) if isinstance(report, dict) else Severity.INFO
        if severity.rank < Severity.WARNING.rank:
            continue
        counts = _counts(child(child(report, "summary"), "summary"))
        found = ", ".join(f"{number} {word}" for word, number in counts.items())
        identity = (digest, *(f"{word}={number}" for word, number in sorted(counts.items())))
        yield Wrong(SCANNED, severity, identity, f"{url} has vulnerabilities: {found}", labels, counts)


def _counts(given: Body) -> dict[str, int]:
    return {
        word.lower(): number
        for word, number in given.items()
        if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**31
    }


def _replication(given: Body, when: str) -> Iterator[Wrong]:
    status = text(given, "job_status")
    if status not in ("Failed", "Error"):
        return
    ends = [child(given, end) for end in ("src_resource", "dest_resource")]
    places = [f"{text(end, 'endpoint')}/{text(end, 'namespace')}" for end in ends]
    failed = given.get("failed_artifact")
    values = {"failed": len(failed)} if isinstance(failed, list) else {}
    labels = {"source": places[0], "destination": places[1], "policy": text(given, "policy_creator")}
    summary = f"the replication from {places[0]} to {places[1]} failed"
    yield Wrong(REPLICATION, Severity.ERROR, (*places, when), summary, labels, values)


def _event(wrong: Wrong, said: Said, common: Mapping[str, str], inbound: Inbound) -> Made | None:
    repository = child(said.data, "repository")
    given = {**texts(child(said.data, "custom_attributes")), **common, **wrong.labels}
    labels = {
        name: value for name, value in {**given, "repository": text(repository, "repo_full_name")}.items() if value
    }
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return None
    place = labels.get("repository") or labels.get("project", "")
    alert_id = alert_id_of(cluster, NAME, wrong.name, place, *wrong.identity)
    target = target_of({}, cluster, stable_id(cluster, NAME, wrong.name, place))
    return fired(
        NAME, inbound.sender, target, alert_id=alert_id, name=wrong.name, severity=wrong.severity, lasting=False,
        onset=min(said.at or inbound.now, inbound.now), now=inbound.now, labels=labels, values=wrong.values,
        summary=wrong.summary,
    )  # fmt: skip


HARBOR = Source(NAME, MAX_BYTES, AUTHORIZATION, read)
