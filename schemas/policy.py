"""What users allow: which drift, where, how often, how verified, how far."""

from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field

from schemas.base import Duration, StrictModel
from schemas.baseline import Metadata
from schemas.events import Mode
from schemas.target import Target


class Trigger(StrictModel):
    """What starts the policy: drift from a baseline (`*` for any)."""

    drift: "DriftTrigger"


class DriftTrigger(StrictModel):
    """Drift of one baseline, or of all with `*`."""

    baseline: str = "*"


class Match(StrictModel):
    """Which targets; lists of globs, an absent one matches everything."""

    namespace: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    name: tuple[str, ...] = ()

    def matches(self, target: Target) -> bool:
        """True when every given list has a glob that fits."""
        pairs = ((self.namespace, target.namespace), (self.kind, target.kind), (self.name, target.name))
        return all(not globs or any(fnmatchcase(value, glob) for glob in globs) for globs, value in pairs)


class Attempts(StrictModel):
    """At most `max` attempts on one target within a sliding window, whatever their outcome."""

    max: int = Field(ge=1)
    within: Duration


class Limits(StrictModel):
    """How often. Without `attempts` only ineffective attempts are bounded."""

    once_per: Duration = timedelta(0)
    attempts: Attempts | None = None
    ineffective: int = Field(3, ge=1, description="attempts in a row that did not help, until a person resumes")


class Until(StrEnum):
    """What must be seen for an action to count as succeeded."""

    IN_SYNC = "inSync"
    AVAILABLE = "available"


class Verify(StrictModel):
    """How long to look, and for what."""

    within: Duration = timedelta(seconds=10)
    until: tuple[Until, ...] = (Until.IN_SYNC,)


class RevertStep(StrictModel):
    """Put the object back to its baseline, by server-side apply."""

    revert: "Revert"
    verify: Verify = Verify()
    undo: Literal["auto", "never"] = "never"


class Revert(StrictModel):
    """Parameters of the revert action."""

    timeout: Duration = timedelta(seconds=30)


class PolicySpec(StrictModel):
    """See the example in the README."""

    trigger: Trigger
    match: Match = Match()
    limits: Limits = Limits()
    do: tuple[RevertStep, ...] = Field((RevertStep(revert=Revert()),), min_length=1, max_length=1)
    mode: Mode = Mode.OBSERVE


class Policy(StrictModel):
    """What to do about a trigger. The first policy that matches, by name, decides."""

    api_version: Literal["setpoint.dev/v1alpha1"]
    kind: Literal["Policy"]
    metadata: Metadata
    spec: PolicySpec

    @property
    def name(self) -> str:
        """The policy's name, as decisions carry it."""
        return self.metadata.name

    def applies(self, baseline: str, target: Target) -> bool:
        """True when this policy answers drift of `baseline` on `target`."""
        return self.spec.trigger.drift.baseline in ("*", baseline) and self.spec.match.matches(target)
