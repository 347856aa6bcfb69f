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


class DriftDetected(EventModel):
    """A difference between a baseline and the live object, or an update of one that is already open."""

    target: Target
    drift_id: str = Field(description="one life of one drift: the same from detected to cleared")
    baseline: str
    state: Literal["changed", "missing"]
    engine: Literal["dry-run", "local"]
    engine_reason: str | None = Field(None, description="why the local engine judged, where the dry-run could not")
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


class ChangeObserved(EventModel):
    """A watched object changed, by anyone. Names the paths, never the values."""

    target: Target
    operation: Literal["created", "updated", "deleted"]
    resource_version: str
    paths: tuple[str, ...] = ()
    manager: str | None = None
    time: Timestamp


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
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    NOT_VERIFIED = "not-verified"
    VERIFIED = "verified"
    UNDO_FAILED = "undo-failed"
    NOT_DECLARED = "not-declared"
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
    policy: str
    mode: Mode
    verdict: Verdict
    reason: Reason
    message: str = ""
    until: Timestamp | None = None
    action_id: str | None = None
    evaluation: int = 0


class ActionStarted(EventModel):
    """An action is under way; exactly one `action.finished` follows, whatever crashes in between."""

    action_id: str
    decision_id: str
    target: Target
    drift_id: str | None = None
    action: str
    policy: str
    attempt: int


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
    action: str
    policy: str
    attempt: int
    outcome: Outcome
    reason: Reason
    message: str = ""
    started_at: Timestamp
    finished_at: Timestamp
    plan_ms: float = 0.0
    apply_ms: float = 0.0
    verify_ms: float = 0.0
    resumed: bool = False


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
    ChangeObserved: PREFIX + "change.observed.v1",
    ControlSet: PREFIX + "control.set.v1",
    ControlRemoved: PREFIX + "control.removed.v1",
    DecisionMade: PREFIX + "decision.made.v1",
    ActionStarted: PREFIX + "action.started.v1",
    ActionFinished: PREFIX + "action.finished.v1",
    MetricSampled: PREFIX + "metric.sampled.v1",
}
MODELS: dict[str, type[EventModel]] = {name: model for model, name in TYPES.items()}


@cache
def envelope_of(model: type[DataT]) -> "type[Event[DataT]]":
    """The envelope around one model. Kept, since pydantic forgets it and would build it anew, at a millisecond each."""
    return cast(type[Event[DataT]], Event.__class_getitem__(model))


def stable_id(*parts: object) -> str:
    """A 32-digit hex id made from facts, so that the same facts give the same id in every process."""
    text = "\x1f".join(str(part) for part in parts)
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
