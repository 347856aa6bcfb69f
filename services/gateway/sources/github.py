"""GitHub's webhooks: deployments and workflow runs that fail. Content type `application/json`, with a secret.

https://docs.github.com/en/webhooks/webhook-events-and-payloads. A life is one deployment, or one attempt of a workflow
run; their numbers tell it, and not the delivery's GUID: a repository's and its organisation's webhook then tell one
alert. A success ends what it surely ends: the same deployment, and the earlier attempts of the same run. That a later
deployment made an earlier failure harmless, GitHub does not say.

Whoever makes a deployment can name the object in its `payload`: `namespace` and `deployment`, also `cluster` for a
webhook that speaks for several.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.alerts import Severity
from schemas.events import stable_id
from schemas.target import Target
from services.gateway.about import cluster_of, target_of
from services.gateway.alerts import alert_id_of, fired, resolved
from services.gateway.bodies import address, child, document, first_text, moment, text
from services.gateway.pointers import pointers
from services.gateway.proof import GITHUB as SIGNED
from services.gateway.source import Inbound, Made, Reading, Source, Unreadable

NAME = "github"
MAX_BYTES = 2 * 1024 * 1024
DEPLOYMENT, WORKFLOW = "GitHubDeploymentFailed", "GitHubWorkflowFailed"
BAD_STATES = frozenset({"failure", "error"})
BAD_CONCLUSIONS = frozenset({"failure", "timed_out", "startup_failure"})
MOST_ATTEMPTS = 10
"""That one success ends. Who tries more often than that has other worries."""
CUSTOM = "not GitHub's webhook as JSON: choose the content type application/json"
Body = Mapping[str, Any]


def read(inbound: Inbound) -> Reading:
    """The events of one delivery; `ping` and what nobody needs to act on make none."""
    body, event = document(inbound.body, CUSTOM), inbound.headers.get("x-github-event", "")
    if not isinstance(body, dict) or not event:
        raise Unreadable(CUSTOM)
    reader = {"deployment_status": _deployment, "workflow_run": _workflow}.get(event)
    if reader is None:
        return Reading(passed_over=Counter({"ping" if event == "ping" else "event": 1}))
    found = reader(body, inbound)
    return Reading(passed_over=Counter({found: 1})) if isinstance(found, str) else Reading(found)


def _deployment(body: Body, inbound: Inbound) -> tuple[Made, ...] | str:
    status, deployment = child(body, "deployment_status"), child(body, "deployment")
    state, number = text(status, "state"), deployment.get("id")
    if not isinstance(number, int):
        return "unreadable"
    if state not in BAD_STATES | {"success"}:
        return "state"
    environment = first_text(status, "environment") or text(deployment, "environment")
    labels = _labels(body, deployment, environment=environment, ref=text(deployment, "ref"), state=state)
    labels = {**pointers(child(deployment, "payload"), inbound.sender), **labels}
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return "cluster"
    alert_id = alert_id_of(cluster, NAME, text(child(body, "repository"), "full_name"), "deployment", number)
    target = _target(labels, cluster, "deployment", environment)
    at = min(moment(status.get("created_at")) or inbound.now, inbound.now)
    if state == "success":
        began = min(moment(deployment.get("created_at")) or at, at)
        ending = resolved(
            NAME, inbound.sender, target, alert_id=alert_id, name=DEPLOYMENT, onset=began, resolved_at=at
        )  # fmt: skip
        return (ending,)
    link = next(filter(None, (address(status.get(one)) for one in ("log_url", "target_url"))), "")
    summary = text(status, "description") or f"the deployment to {environment} ended with {state}"
    made = fired(
        NAME, inbound.sender, target, alert_id=alert_id, name=DEPLOYMENT, severity=Severity.ERROR, lasting=True,
        onset=at, now=inbound.now, labels=labels, summary=summary, url=link,
    )  # fmt: skip
    return (made,)


def _workflow(body: Body, inbound: Inbound) -> tuple[Made, ...] | str:
    run = child(body, "workflow_run")
    conclusion, attempt, number = text(run, "conclusion"), run.get("run_attempt", 1), run.get("id")
    if not isinstance(number, int) or not isinstance(attempt, int):
        return "unreadable"
    if text(body, "action") != "completed" or conclusion not in BAD_CONCLUSIONS | {"success"}:
        return "state"
    labels = _labels(
        body, run, workflow=text(run, "name"), ref=text(run, "head_branch"), trigger=text(run, "event"),
        state=conclusion,
    )  # fmt: skip
    cluster = cluster_of(inbound.sender, labels)
    if cluster is None:
        return "cluster"
    target = _target(labels, cluster, "workflow", labels.get("workflow", ""))
    if conclusion == "success":
        return tuple(_ends(labels, run, cluster, target, attempt, inbound)) or "state"
    at = min(moment(run.get("updated_at")) or inbound.now, inbound.now)
    made = fired(
        NAME, inbound.sender, target, alert_id=_run_id(labels, cluster, number, attempt), name=WORKFLOW,
        severity=Severity.ERROR, lasting=True, onset=at, now=inbound.now, labels=labels,
        values={"attempt": attempt}, summary=text(run, "display_title") or f"{text(run, 'name')}: {conclusion}",
        url=address(run.get("html_url")),
    )  # fmt: skip
    return (made,)


def _ends(
    labels: Mapping[str, str], run: Body, cluster: str, target: Target, attempt: int, inbound: Inbound
) -> Iterator[Made]:
    at = min(moment(run.get("updated_at")) or inbound.now, inbound.now)
    began = min(moment(run.get("created_at")) or at, at)
    for earlier in range(max(1, attempt - MOST_ATTEMPTS), attempt):
        alert_id = _run_id(labels, cluster, run["id"], earlier)
        yield resolved(NAME, inbound.sender, target, alert_id=alert_id, name=WORKFLOW, onset=began, resolved_at=at)


def _run_id(labels: Mapping[str, str], cluster: str, number: int, attempt: int) -> str:
    return alert_id_of(cluster, NAME, labels.get("repository", ""), "workflow", number, attempt)


def _labels(body: Body, about: Body, **more: str) -> dict[str, str]:
    sha = first_text(about, "sha", "head_sha")
    known = {"repository": text(child(body, "repository"), "full_name"), "sha": sha, **more}
    return {name: value for name, value in known.items() if value}


def _target(labels: Mapping[str, str], cluster: str, kind: str, name: str) -> Target:
    """The object that the labels name; else a stand-in for the environment or workflow, so that limits hold for it."""
    return target_of(labels, cluster, stable_id(cluster, NAME, labels.get("repository", ""), kind, name))


GITHUB = Source(NAME, MAX_BYTES, SIGNED, read)
