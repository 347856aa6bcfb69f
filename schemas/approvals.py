"""Questions to people: one question is about one plan, is answered once, and ends by itself, which means no."""

from enum import StrEnum

from pydantic import Field

from schemas.base import EventModel, Timestamp
from schemas.target import Target


class ApprovalRequested(EventModel):
    """May this plan be carried out? `plan_hash` is what an approval is bound to: another plan is another question."""

    approval_id: str
    target: Target
    decision_id: str
    alert_id: str | None = None
    drift_id: str | None = None
    policy: str
    action: str = Field(description="the actions of the plan, in order, joined by ', '")
    why: str = Field("", description="the trigger in words")
    plan: str = Field(description="what would be done, as a server-side diff in words; values of Secrets are hashes")
    plan_hash: str
    by: tuple[str, ...] = Field((), description="who may answer: users, and 'group:NAME'; empty: any known user")
    count: int = Field(1, description="how many different people must say yes")
    where: str = Field("", description="the channel in which to ask")
    asked_at: Timestamp
    ends_at: Timestamp
    requester: str | None = Field(None, description="who caused it; that person's own yes does not count")


class AnswerKind(StrEnum):
    """What a person said."""

    APPROVE = "approve"
    DENY = "deny"


class ApprovalAnswered(EventModel):
    """A person's answer, as authenticated by who took it; whether it counts is decided by the reconciler."""

    approval_id: str
    cluster: str
    answer: AnswerKind
    by: str = Field(description="the user's name as the taker knows it")
    via: str = Field(description="cli, http, slack")
    at: Timestamp
    note: str = ""


class RefusedAnswer(StrEnum):
    """Why an answer did not count."""

    UNKNOWN = "unknown"  # there is no such question, or not any more
    ENDED = "ended"  # its time was over
    NOT_AN_APPROVER = "not-an-approver"
    OWN_REQUEST = "own-request"  # four eyes
    TWICE = "twice"  # the same person said so before


class ApprovalRefused(EventModel):
    """An answer that did not count, and why."""

    approval_id: str
    target: Target
    by: str
    via: str
    at: Timestamp
    why: RefusedAnswer


class ApprovalEnd(StrEnum):
    """How a question ended."""

    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"  # the trigger is over, or the plan is another by now


class ApprovalClosed(EventModel):
    """A question is over; exactly one for each that was asked."""

    approval_id: str
    target: Target
    outcome: ApprovalEnd
    by: tuple[str, ...] = ()
    at: Timestamp
    note: str = ""
