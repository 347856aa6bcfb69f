"""The reconciler's durable state: one row per target, on the compacted ledger topic.

A row is everything that must survive a crash: the open drift, attempts, the fight's heat, and the action under way.
Values of Secrets are keyed hashes here as everywhere.
"""

from pydantic import Field

from schemas.base import EventModel, Timestamp
from schemas.events import DriftDetected, Mode, Outcome, Reason, Verdict
from schemas.target import Target


class Hold(EventModel):
    """Why the open drift is left alone for a while: the last attempt's failure, decided again once `until` passes."""

    reason: Reason
    until: Timestamp
    message: str = ""


class Attempt(EventModel):
    """One attempt of a policy on this target."""

    policy: str
    at: Timestamp
    outcome: Outcome | None = Field(None, description="None while it is under way")
    reason: Reason | None = None


class InFlight(EventModel):
    """The action under way; whoever owns the partition finishes it. One in `dry-run` mode only makes its plan."""

    action_id: str
    decision_id: str
    policy: str
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
