"""GitLab's webhooks: deployments and pipelines that fail. A secret token, or a signing token (Standard Webhooks).

https://docs.gitlab.com/user/project/integrations/webhook_events/. A life is one deployment or one pipeline, by GitLab's
own number, so that a delivery that comes again (`Idempotency-Key`) and one of a second webhook tell one alert. A
success of the same number ends it: failed jobs of a pipeline are tried again under its number.

GitLab switches off webhooks that are answered slowly or with errors, so what is not needed is accepted and passed over.
"""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.alerts import Severity
from schemas.events import stable_id
from services.gateway.about import cluster_of, target_of
from services.gateway.alerts import alert_id_of, fired, resolved
from services.gateway.bodies import address, child, document, moment, text
from services.gateway.pointers import pointers
from services.gateway.proof import STANDARD_WEBHOOKS, either, token_header
from services.gateway.source import Inbound, Reading, Source, Unreadable

NAME = "gitlab"
MAX_BYTES = 2 * 1024 * 1024
DEPLOYMENT, PIPELINE = "GitLabDeploymentFailed", "GitLabPipelineFailed"
CUSTOM = "not GitLab's webhook: leave its custom template unset"
OFFSET = re.compile(r" (UTC|[+-]\d{2}:?\d{2})\Z")
MOST_JOBS = 5
Body = Mapping[str, Any]


def read(inbound: Inbound) -> Reading:
    """One event, or none for what nobody needs to act on."""
    body = document(inbound.body, CUSTOM)
    if not isinstance(body, dict) or not text(body, "object_kind"):
        raise Unreadable(CUSTOM)
    kind = body["object_kind"]
    if kind not in ("deployment", "pipeline"):
        return _none("event")
    about = body if kind == "deployment" else child(body, "object_attributes")
    number, status = about.get("deployment_id" if kind == "deployment" else "id"), text(about, "status")
    if not isinstance(number, int):
        return _none("unreadable")
    if status not in ("failed", "success"):
        return _none("state")
    return _event(kind, number, status == "failed", body, about, inbound)


def _event(kind: str, number: int, failed: bool, body: Body, about: Body, inbound: Inbound) -> Reading:
    labels = {**pointers(_variables(about), inbound.sender), **_labels(body, about)}
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return _none("cluster")
    project, thing = labels.get("project", ""), labels.get("environment" if kind == "deployment" else "ref", "")
    alert_id = alert_id_of(cluster, NAME, project, kind, number)
    target = target_of(labels, cluster, stable_id(cluster, NAME, project, kind, thing))
    name = DEPLOYMENT if kind == "deployment" else PIPELINE
    at = min(time_of(about.get("status_changed_at")) or time_of(about.get("finished_at")) or inbound.now, inbound.now)
    if not failed:
        onset = min(time_of(about.get("created_at")) or at, at)
        made = resolved(NAME, inbound.sender, target, alert_id=alert_id, name=name, onset=onset, resolved_at=at)
        return Reading((made,))
    made = fired(
        NAME, inbound.sender, target, alert_id=alert_id, name=name, severity=Severity.ERROR, lasting=True, onset=at,
        now=inbound.now, labels=labels, summary=_summary(kind, body, thing), url=_url(about, body),
    )  # fmt: skip
    return Reading((made,))


def time_of(value: object) -> datetime | None:
    """RFC 3339, or GitLab's older `2026-11-24 11:00:00 +0100` and `… UTC`."""
    if not isinstance(value, str):
        return None
    found = OFFSET.search(value)
    return moment(value if found is None else value[: found.start()] + found[1].replace("UTC", "Z"))


def _summary(kind: str, body: Body, thing: str) -> str:
    """What failed, with a pipeline's failed jobs; their names are whatever its project calls them."""
    jobs = body.get("builds")
    bad = [
        text(job, "name")
        for job in (jobs if isinstance(jobs, list) else ())
        if isinstance(job, dict) and job.get("status") == "failed" and job.get("allow_failure") is not True
    ]
    if bad:
        return f"the pipeline of {thing} failed in {', '.join(bad[:MOST_JOBS])}"
    return f"the {kind} {'to' if kind == 'deployment' else 'of'} {thing} failed"


def _url(about: Body, body: Body) -> str:
    return address(about.get("deployable_url")) or address(about.get("url")) or address(body.get("commit_url"))


def _variables(about: Body) -> dict[str, str]:
    """A pipeline's, which is where an object or a cluster can be named."""
    given = about.get("variables")
    pairs = given if isinstance(given, list) else []
    return {text(one, "key"): text(one, "value") for one in pairs if isinstance(one, dict)}


def _labels(body: Body, about: Body) -> dict[str, str]:
    known = {
        "project": text(child(body, "project"), "path_with_namespace"), "environment": text(about, "environment"),
        "environment_tier": text(about, "environment_tier"), "ref": text(about, "ref"),
        "sha": text(about, "short_sha") or text(about, "sha"), "trigger": text(about, "source"),
        "pipeline": text(about, "name"), "state": text(about, "status"),
    }  # fmt: skip
    return {name: value for name, value in known.items() if value}


def _none(why: str) -> Reading:
    return Reading(passed_over=Counter({why: 1}))


GITLAB = Source(NAME, MAX_BYTES, either(token_header("x-gitlab-token"), STANDARD_WEBHOOKS), read)
