"""Every event that crosses a topic, as typed data, and the envelope around it.

The envelope is CloudEvents 1.0 in structured mode (https://github.com/cloudevents/spec, Kafka binding): one JSON
document per record. `id` is made from the source's own facts, so that a second delivery carries the same id.
"""

import hashlib
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import Field

from schemas.alerts import AlertFired, AlertResolved
from schemas.approvals import (
    ApprovalAnswered,
    ApprovalClosed,
    ApprovalRefused,
    ApprovalRequested,
)
from schemas.base import EventModel, Timestamp
from schemas.target import Target

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
PREFIX = "dev.setpoint."


class FieldChange(EventModel):
    """One field that differs. `path` is an RFC 6901 pointer; values of Secrets are keyed hashes, never plain."""

    path: str
    kind: Literal["changed", "removed", "added"]
    desired: Any = None
    live: Any = None
    manager: str | None = Field(
        None, description="field manager that owns the live value; None when nothing proves one"
    )
    operation: str | None = None
    since: Timestamp | None = None
    user: str | None = Field(None, description="who was behind the manager, where an audit event told")


class FindingReason(StrEnum):
    """Why a verdict is not the server's own word, or why there is none. Closed: each has its fix in docs/drift.md."""

    TERMINATING = "terminating"  # the object or its namespace is being deleted
    CLAIMED_TWICE = "claimed-twice"  # two baselines declare it
    FOREIGN_OWNED = "foreign-owned"  # Argo CD, Flux or a pause mark says that it is somebody else's
    NOT_SERVED = "not-served"  # the cluster has no such kind in this version
    UNKNOWN_FIELD = "unknown-field"  # the manifest has a field that the kind does not know
    IMMUTABLE = "immutable"  # an apply would have to change what cannot change
    INVALID = "invalid"  # the server refuses the manifest, or what it would make of the live object
    DRY_RUN_REFUSED = "dry-run-refused"  # a webhook takes no dry-run
    FORBIDDEN = "forbidden"  # the token lacks a right
    SUSPENDED = "suspended"  # an application of Argo CD or Flux is
    FAILING = "failing"  # an application of Argo CD or Flux is


class DriftState(StrEnum):
    """What is wrong with an object."""

    CHANGED = "changed"  # declared fields differ, or somebody added some
    MISSING = "missing"  # declared, and not there
    UNWANTED = "unwanted"  # there with the baseline's label, and not declared
    UNJUDGED = "unjudged"  # cannot be compared or must not be touched; `reason` says why


class DriftDetected(EventModel):
    """A difference between a baseline and the live object, or an update of one that is already open."""

    target: Target
    drift_id: str = Field(description="one life of one drift: the same from detected to cleared")
    baseline: str
    revision: str | None = Field(None, description="the source's own word for its state: a Git commit, a Helm revision")
    state: DriftState
    engine: Literal["dry-run", "local"]
    reason: FindingReason | None = Field(None, description="why the dry-run has not the last word, or there is none")
    message: str = Field("", description="the reason in words, without values")
    prune: Literal["report", "ask", "delete"] | None = Field(None, description="what its baseline wants, if unwanted")
    observe: str = Field("", description="why it is never corrected, whatever policies say; empty where it may be")
    onset: Timestamp
    detected_at: Timestamp
    update: int = Field(0, description="0 for the first event of a life, then counting")
    resource_version: str
    fields: tuple[FieldChange, ...] = ()


class ClearedReason(StrEnum):
    """Why a drift is no more."""

    IN_SYNC = "in-sync"
    NOT_DECLARED = "not-declared"


class DriftCleared(EventModel):
    """The live object is at its declared state again, or nobody declares it any more."""

    target: Target
    drift_id: str
    baseline: str
    onset: Timestamp
    cleared_at: Timestamp
    reason: ClearedReason
    resource_version: str
    manager: str | None = Field(None, description="field manager of the newest write, usually who corrected it")


class DriftAttributed(EventModel):
    """Who was behind a drift that is over: audit comes some seconds late, and a correction does not wait for it.

    `fields` are those of which it is known now, or of which it turned out not to be known after all. Of an open drift
    an update says the same.
    """

    target: Target
    drift_id: str
    baseline: str
    onset: Timestamp
    attributed_at: Timestamp
    fields: tuple[FieldChange, ...]


class ChangeObserved(EventModel):
    """A watched object changed, by anyone. Names the paths, never the values."""

    target: Target
    operation: Literal["created", "updated", "deleted"]
    resource_version: str
    paths: tuple[str, ...] = ()
    manager: str | None = None
    time: Timestamp


class AuditObserved(EventModel):
    """A write to a cluster's API that succeeded, as its API server's audit says: who was behind it. Never a value.

    `manager` is the field manager that such a request writes as: its `fieldManager` parameter, or else the start of its
    user agent. `received` and `time` are the request's beginning and end on the API server; what it stamped into
    managedFields lies between them.
    """

    cluster: str
    group: str
    resource: str = Field(description="the plural in paths, such as deployments")
    namespace: str
    name: str = Field(description="empty for a delete of a whole collection")
    subresource: str = ""
    verb: Literal["create", "update", "patch", "delete", "deletecollection"]
    user: str
    acting_as: str | None = Field(None, description="whom the user impersonated")
    manager: str
    user_agent: str = ""
    received: Timestamp
    time: Timestamp
    resource_version: str | None = Field(None, description="that the write made, where the audit's level tells it")


class ControlKind(StrEnum):
    """What a control does to every decision in its scope."""

    PAUSE = "pause"
    KILL_SWITCH = "kill-switch"


class Scope(EventModel):
    """Where a control holds. An absent part means everywhere."""

    cluster: str
    namespace: str | None = None
    subject: str | None = None

    def covers(self, target: Target) -> bool:
        """True when the target lies in this scope."""
        if self.cluster != target.cluster or (self.subject and self.subject != target.subject):
            return False
        return self.namespace is None or self.namespace == target.namespace


class ControlSet(EventModel):
    """A pause or the kill switch, until somebody resumes or `until` passes."""

    name: str
    kind: ControlKind
    scope: Scope
    until: Timestamp | None = None
    by: str
    reason: str = ""


class ControlRemoved(EventModel):
    """A control was lifted by a person. On the compacted topic a tombstone follows it."""

    name: str
    scope: Scope
    by: str


class Mode(StrEnum):
    """How far a policy goes."""

    OBSERVE = "observe"
    DRY_RUN = "dry-run"
    ENFORCE = "enforce"


class Verdict(StrEnum):
    """What a policy made of a trigger."""

    ACT = "act"
    ASK = "ask"
    WAIT = "wait"
    DENY = "deny"
    OBSERVE = "observe"


class Reason(StrEnum):
    """Why: the same word in the event, the log, the metric label and the ClickHouse column."""

    POLICY = "policy"  # the policy says act and every guard passed
    OBSERVE_MODE = "observe-mode"
    DRY_RUN_MODE = "dry-run-mode"
    NO_POLICY = "no-policy"
    KILL_SWITCH = "kill-switch"
    OUT_OF_SCOPE = "out-of-scope"
    PROTECTED_NAMESPACE = "protected-namespace"
    NO_LONGER_TRUE = "no-longer-true"
    PAUSED = "paused"
    IN_FLIGHT = "in-flight"
    COOLDOWN = "cooldown"
    ATTEMPTS_SPENT = "attempts-spent"
    INEFFECTIVE_CHAIN = "ineffective-chain"
    FIGHT = "fight"
    FORBIDDEN = "forbidden"
    INVALID = "invalid"
    IMMUTABLE = "immutable"
    UNKNOWN_FIELD = "unknown-field"
    NOT_SERVED = "not-served"
    TERMINATING = "terminating"
    CLAIMED_TWICE = "claimed-twice"
    FOREIGN_OWNED = "foreign-owned"
    DRY_RUN_REFUSED = "dry-run-refused"
    SUSPENDED = "suspended"
    FAILING = "failing"
    UNWANTED = "unwanted"  # nobody declares it; what its baseline's `prune` wants is done about it
    HOLDS_DATA = "holds-data"  # a volume, a claim, a namespace, a definition: never deleted
    QUOTA = "quota"
    ADMISSION_DENIED = "admission-denied"  # a ValidatingAdmissionPolicy, Pod Security, a LimitRange
    WEBHOOK_REFUSED = "webhook-refused"
    WEBHOOK_FAILED = "webhook-failed"  # the webhook itself does not answer
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    NOT_VERIFIED = "not-verified"
    VERIFIED = "verified"
    UNDO_FAILED = "undo-failed"
    NOT_DECLARED = "not-declared"
    UNRESOLVED = "unresolved"  # the object is not looked up yet, or the cluster did not answer
    TARGET_UNKNOWN = "target-unknown"  # the trigger names no object that the action could be about
    TARGET_GONE = "target-gone"
    TARGET_AMBIGUOUS = "target-ambiguous"
    RESOLVED = "resolved"  # the alert is over
    TOO_YOUNG = "too-young"  # it has not been firing for as long as the policy wants
    PARAMETERS = "parameters"  # a value from the event is not what the action's parameter wants
    CONDITION = "condition"  # an expression of the policy failed where that must not mean yes
    MAINTENANCE = "maintenance"
    RATE = "rate"
    STORM = "storm"
    BLAST_RADIUS = "blast-radius"
    DISRUPTION_BUDGET = "disruption-budget"
    BREAKER = "breaker"
    APPROVAL = "approval"  # people are asked
    APPROVED = "approved"
    DENIED = "denied"  # by a person
    EXPIRED = "expired"  # nobody answered in time
    PLAN_CHANGED = "plan-changed"  # what would be done is not what was approved
    ALREADY_SO = "already-so"  # there is nothing to do
    LATER = "later"  # somebody else does it in their own time, or asks to come again
    LIFTED = "lifted"  # its time is over
    ESCALATED = "escalated"  # the policy gave up, and does what it has for that
    INTERNAL = "internal-error"  # a defect of Setpoint's own; the log has the trace


class TriggerRef(EventModel):
    """The event that a decision answers."""

    type: str
    id: str


class DecisionMade(EventModel):
    """What a policy made of a trigger. `decision_id` is the same however often the same trigger is decided."""

    decision_id: str
    target: Target
    trigger: TriggerRef
    drift_id: str | None = None
    alert_id: str | None = None
    policy: str
    mode: Mode
    verdict: Verdict
    reason: Reason
    message: str = ""
    until: Timestamp | None = None
    action_id: str | None = None
    action: str | None = Field(None, description="what is, or would be, done")
    subject: Target | None = Field(None, description="what it is done to, where that is not the target")
    evaluation: int = 0


class ActionStarted(EventModel):
    """An action is under way; exactly one `action.finished` follows, whatever crashes in between."""

    action_id: str
    decision_id: str
    target: Target
    drift_id: str | None = None
    alert_id: str | None = None
    subject: Target | None = Field(None, description="what is acted on, where that is not the target")
    action: str
    policy: str
    attempt: int
    step: int = Field(0, description="which of the policy's steps, from 0; those of its 'else' follow")
    undoes: str | None = Field(None, description="the action that this one takes back, once its time is over")


class Outcome(StrEnum):
    """How an action ended."""

    SUCCEEDED = "succeeded"
    INEFFECTIVE = "ineffective"
    FAILED = "failed"
    UNDONE = "undone"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class ActionFinished(EventModel):
    """An action ended. Durations are milliseconds of this run; a run taken up after a crash counts from there."""

    action_id: str
    target: Target
    drift_id: str | None = None
    alert_id: str | None = None
    subject: Target | None = None
    action: str
    policy: str
    attempt: int
    step: int = 0
    undoes: str | None = None
    outcome: Outcome
    reason: Reason
    message: str = ""
    started_at: Timestamp
    finished_at: Timestamp
    plan_ms: float = 0.0
    apply_ms: float = 0.0
    verify_ms: float = 0.0
    resumed: bool = False


class EvidenceKept(EventModel):
    """A part of what was seen of an object before it was acted on. Values of Secrets are hashes."""

    action_id: str
    target: Target
    what: str = Field(description="log, object, events")
    name: str = Field("", description="the container, of a log")
    part: int = Field(0, description="from 0, where it did not fit into one event")
    parts: int = 1
    text: str
    taken_at: Timestamp


class PeopleTold(EventModel):
    """A policy wants people to know; the messengers take it up."""

    action_id: str
    target: Target
    policy: str
    to: str
    message: str
    at: Timestamp


class Sample(EventModel):
    """One value of one series at one time."""

    name: str
    value: float
    time: Timestamp
    labels: dict[str, str] = Field(default_factory=dict)


class MetricSampled(EventModel):
    """A batch of samples from one service."""

    source: str
    samples: tuple[Sample, ...]


DataT = TypeVar("DataT", bound=EventModel)


class Event(EventModel, Generic[DataT]):
    """The CloudEvents envelope. `subject` is the target's text form where there is one."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: Timestamp
    datacontenttype: Literal["application/json"] = "application/json"
    correlationid: str
    causationid: str | None = None
    traceparent: str | None = None
    data: DataT


TYPES: dict[type[EventModel], str] = {
    DriftDetected: PREFIX + "drift.detected.v1",
    DriftCleared: PREFIX + "drift.cleared.v1",
    DriftAttributed: PREFIX + "drift.attributed.v1",
    ChangeObserved: PREFIX + "change.observed.v1",
    AuditObserved: PREFIX + "audit.observed.v1",
    ControlSet: PREFIX + "control.set.v1",
    ControlRemoved: PREFIX + "control.removed.v1",
    DecisionMade: PREFIX + "decision.made.v1",
    ActionStarted: PREFIX + "action.started.v1",
    ActionFinished: PREFIX + "action.finished.v1",
    MetricSampled: PREFIX + "metric.sampled.v1",
    AlertFired: PREFIX + "alert.fired.v1",
    AlertResolved: PREFIX + "alert.resolved.v1",
    ApprovalRequested: PREFIX + "approval.requested.v1",
    ApprovalAnswered: PREFIX + "approval.answered.v1",
    ApprovalRefused: PREFIX + "approval.refused.v1",
    ApprovalClosed: PREFIX + "approval.closed.v1",
    EvidenceKept: PREFIX + "evidence.kept.v1",
    PeopleTold: PREFIX + "people.told.v1",
}
MODELS: dict[str, type[EventModel]] = {name: model for model, name in TYPES.items()}


@cache
def envelope_of(model: type[DataT]) -> "type[Event[DataT]]":
    """The envelope around one model. Kept, since pydantic forgets it and would build it anew, at a millisecond each."""
    return cast(type[Event[DataT]], Event.__class_getitem__(model))


def stable_id(*parts: object) -> str:
    """A 32-digit hex id made from facts, so that the same facts give the same id in every process."""
    text = "\x1f".join(map(str, parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def make_event(
    data: DataT,
    *,
    id: str,
    source: str,
    subject: str,
    time: datetime,
    correlationid: str,
    causationid: str | None = None,
) -> Event[DataT]:
    """Wrap `data` in its envelope; `type` follows from the model."""
    return envelope_of(type(data))(
        id=id,
        source=source,
        type=TYPES[type(data)],
        subject=subject,
        time=time,
        correlationid=correlationid,
        causationid=causationid,
        data=data,
    )


def parse_event(value: bytes) -> Event[Any] | None:
    """Read a record's value. None for a type this version does not know; ValueError when it is no valid event."""
    head = EventHead.model_validate_json(value)
    model = MODELS.get(head.type)
    return envelope_of(model).model_validate_json(value) if model else None


class EventHead(EventModel):
    """As much of the envelope as routing needs."""

    type: str
