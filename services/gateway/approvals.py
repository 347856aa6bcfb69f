"""A person's answer to a question, over HTTP: `POST /v1/approvals/{approval_id}` with that person's own bearer token.

Who sent it is who the token belongs to, never what the body says. Whether the answer counts is decided elsewhere, where
the question, its end and those who may answer are known; so that an answer is taken does not mean that it counted.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.alerts import ALERT_GROUP
from schemas.approvals import AnswerKind, ApprovalAnswered
from schemas.events import make_event, stable_id
from schemas.target import Target
from schemas.topics import TopicName
from services.gateway.about import CLUSTER
from services.gateway.alerts import LONGEST_SUMMARY, one_line
from services.gateway.bodies import document, text
from services.gateway.proof import BEARER
from services.gateway.secrets import Secrets
from services.gateway.source import Made, Unreadable

APPROVALS = "approvals"
"""Takes the place of a source in the secrets; a sender's name there is a user's."""
MAX_BYTES = 16 * 1024
APPROVAL_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
FIELDS = {"cluster", "answer", "note"}


def user_of(headers: Mapping[str, str], secrets: Secrets, now: datetime) -> str | None:
    """Whose token it is; None for a stranger, and for a token that two users share. All are compared, whoever it is."""
    found = [
        name
        for (source, name), known in secrets.items()
        if source == APPROVALS and BEARER.holds(headers, b"", known.secrets, now)
    ]
    return found[0] if len(found) == 1 else None


def read_answer(approval_id: str, user: str, body: bytes, now: datetime) -> Made:
    """The event; the same answer of the same user to the same question is the same event. Raises Unreadable."""
    said = document(body, 'send {"cluster": …, "answer": "approve"}')
    if not isinstance(said, dict):
        raise Unreadable("not a JSON object")
    if unknown := set(said) - FIELDS:
        raise Unreadable(f"{len(unknown)} unknown fields; known are {', '.join(sorted(FIELDS))}")
    if not APPROVAL_ID.fullmatch(approval_id):
        raise Unreadable("this is no question's id")
    cluster = text(said, "cluster")
    if not CLUSTER.fullmatch(cluster) or not cluster.isprintable():
        raise Unreadable("'cluster' is no cluster's name")
    data = ApprovalAnswered(
        approval_id=approval_id, cluster=cluster, answer=_kind(said), by=user, via="http", at=now,
        note=one_line(text(said, "note"), LONGEST_SUMMARY),
    )  # fmt: skip
    return Made(TopicName.APPROVALS, cluster, _event(data))


def _kind(said: Mapping[str, Any]) -> AnswerKind:
    try:
        return AnswerKind(text(said, "answer"))
    except ValueError:
        raise Unreadable("'answer' is neither 'approve' nor 'deny'") from None


def _event(data: ApprovalAnswered) -> Any:
    target = Target(cluster=data.cluster, group=ALERT_GROUP, kind="Approval", namespace="", name=data.approval_id)
    return make_event(
        data, id=stable_id(data.approval_id, data.by, data.answer), source="setpoint/gateway/approvals",
        subject=target.subject, time=data.at, correlationid=data.approval_id,
    )  # fmt: skip
