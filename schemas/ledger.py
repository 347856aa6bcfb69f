"""The reconciler's durable state: one row per target, on the compacted ledger topic.

A row is everything that must survive a crash: the open drift, attempts, the fight's heat, and the action under way.
Values of Secrets are keyed hashes here as everywhere.
"""

from typing import Any

from pydantic import Field

from schemas.alerts import AlertFired
from schemas.base import EventModel, Timestamp
from schemas.events import DriftDetected, Mode, Outcome, Reason, Verdict
from schemas.target import Target


class Hold(EventModel):
    """Why the open drift is left alone for a while: the last attempt's failure, decided again once `until` passes.

    Without `until` it is decided again when the drift looks otherwise, or when a person resumes.
    """

    reason: Reason
    until: Timestamp | None
    message: str = ""


class Attempt(EventModel):
    """One attempt of a policy. `subject` is what was acted on, where that is not the row's own target."""

    policy: str
    at: Timestamp
    action: str = "revert"
    subject: str | None = None
    outcome: Outcome | None = Field(None, description="None while it is under way")
    reason: Reason | None = None
    step: int | None = Field(None, description="which of the policy's steps; None: not known")
    onset: Timestamp | None = Field(None, description="of the alert that it answered; None: not known, or no alert")


class Flight(EventModel):
    """A step under way on an alert or a schedule; whoever owns the partition finishes it.

    `parameters` are filled: they are what the guards passed, whatever the policy says by then. `waits_until` is set
    once the action is done and only the alert's end is waited for. `expects` is the plan's hash that was approved.
    """

    action_id: str
    decision_id: str
    policy: str
    action: str
    attempt: int
    step: int
    started_at: Timestamp
    mode: Mode = Mode.ENFORCE
    subject: Target | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    expects: str | None = None
    waits_until: Timestamp | None = None
    before: dict[str, Any] | None = Field(None, description="what an undo needs, once the action is done")
    undoing: bool = False


class Place(EventModel):
    """What the cluster says of an alert's target: the object as it is, and what it belongs to.

    `reason` is set where the object could not be found; the rest is empty then.
    """

    object: Target | None = None
    pod: Target | None = None
    workload: Target | None = None
    node: Target | None = None
    application: Target | None = None
    reason: Reason | None = None
    message: str = ""


class Question(EventModel):
    """An approval that is open, or was just given."""

    approval_id: str
    plan_hash: str
    asked_at: Timestamp
    ends_at: Timestamp
    by: tuple[str, ...] = ()
    count: int = 1
    yes: tuple[str, ...] = ()
    requester: str | None = None


class Case(EventModel):
    """One alert, and how far its policy has come with it."""

    alert: AlertFired
    event_id: str
    correlation_id: str
    repeats: int = Field(0, description="how often it was told again")
    place: Place | None = Field(None, description="None until it was looked up")
    over_at: Timestamp | None = Field(None, description="when it was resolved; kept for as long as a step is under way")
    policy: str | None = Field(None, description="at work on it, from the first step on")
    step: int = Field(0, description="the next one; those of the policy's 'else' come after those of its 'do'")
    gave_up: bool = Field(False, description="the policy's 'else' is what remains")
    rests_until: Timestamp | None = Field(None, description="all is done; tried again if it is not over by then")
    said: "Said | None" = None
    evaluation: int = 0
    retry_at: Timestamp | None = None
    retries: int = 0
    hold: Hold | None = None
    tries: int = 0
    question: Question | None = None
    approved: str | None = Field(None, description="hash of the plan that people said yes to")
    resumed_at: Timestamp | None = Field(None, description="a person wants it tried again: what was before counts less")
    resumed_by: str | None = Field(None, description="that person, whose own yes to it does not count")
    flight: Flight | None = None


class Lift(EventModel):
    """What is to be taken back once its time is over."""

    action_id: str
    policy: str
    action: str
    subject: Target | None
    alert_id: str
    correlation_id: str
    parameters: dict[str, Any]
    before: dict[str, Any]
    at: Timestamp
    tries: int = 0
    under_way: bool = False


class InFlight(EventModel):
    """The action under way; whoever owns the partition finishes it. One in `dry-run` mode only makes its plan."""

    action_id: str
    decision_id: str
    policy: str
    action: str = "revert"
    attempt: int
    started_at: Timestamp
    mode: Mode = Mode.ENFORCE
    drift_id: str | None = None
    correlation_id: str = ""
    manager: str | None = Field(None, description="who caused the drift, should the correction turn out a fight")


class Said(EventModel):
    """The last decision on the open drift, so that the same answer is not recorded twice."""

    policy: str
    verdict: Verdict
    reason: Reason
    until: Timestamp | None = None


class TargetState(EventModel):
    """One row. `drift` is None when the object is at its declared state."""

    target: Target
    drift: DriftDetected | None = None
    trigger_id: str | None = Field(None, description="id of the event that reported `drift` last")
    correlation_id: str = Field("", description="the open drift's first event; every event that follows carries it")
    closed_drift: str | None = Field(None, description="the life that ended last: a late copy does not open it again")
    closed_at: Timestamp | None = None
    digest: str | None = Field(None, description="the declared object that the counts below are about")
    seen_at: Timestamp | None = Field(None, description="when seen_version was raised last")
    seen_version: int = Field(0, description="highest resourceVersion this row has heard of; older events are stale")
    evaluation: int = 0
    said: Said | None = None
    retry_at: Timestamp | None = Field(None, description="when the open drift is decided again by itself")
    retries: int = Field(0, description="temporary failures in a row; sets the back-off")
    hold: Hold | None = None
    tries: int = Field(0, description="attempts on the open drift")
    ineffective: int = Field(0, description="attempts in a row that did not help, across drifts")
    attempts: tuple[Attempt, ...] = ()
    in_flight: InFlight | None = None
    heat: float = Field(0.0, description="fight detector: decayed count of corrections, see reconciler/guards/fight.py")
    heat_at: Timestamp | None = None
    fought_with: str | None = None
    fight_probes: int | None = Field(None, description="corrections tried during the fight; None while there is none")
    idle_since: Timestamp | None = None
    cases: tuple[Case, ...] = ()
    closed_cases: tuple[str, ...] = Field(
        (), description="alert ids that are over: a late copy does not open them again"
    )
    lifts: tuple[Lift, ...] = ()
    scheduled_at: Timestamp | None = Field(None, description="of a schedule: its last hour that was seen to")
