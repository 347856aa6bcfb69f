"""What users allow: on which trigger, where, how often, who must agree, what to do, how it is verified, how far.

The first policy by name that matches a trigger decides; one that does not match says nothing.
"""

from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator
from pydantic.alias_generators import to_camel

from schemas import actions as act
from schemas.actions import Parameters, PruneAction, Revert
from schemas.alerts import AlertFired, Severity
from schemas.base import Duration, StrictModel
from schemas.baseline import Metadata
from schemas.events import DriftState, Mode
from schemas.target import Target

AT_LEAST = ">="


class DriftTrigger(StrictModel):
    """Drift of one baseline, or of all with `*`."""

    baseline: str = "*"


class Trigger(StrictModel):
    """What starts the policy: exactly one of drift from a baseline, an alert (a name or a glob), a schedule."""

    drift: DriftTrigger | None = None
    alert: str | None = None
    schedule: str | None = Field(None, description="five-field cron, in timeZone")
    time_zone: str = Field("UTC", description="of a schedule")
    sustained: Duration = Field(timedelta(0), alias="for", description="how long an alert must have been firing")
    source: tuple[str, ...] = Field((), description="which sources' alerts, such as falco; all where none is named")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Trigger":
        named = [name for name in ("drift", "alert", "schedule") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError("name exactly one trigger: drift, alert or schedule")
        if self.alert is None and (self.sustained or self.source):
            raise ValueError("'for' and 'source' belong to alerts")
        return self


def _severity(value: object) -> object:
    """`>=warning`, or one severity alone."""
    if isinstance(value, str):
        word = value.removeprefix(AT_LEAST).strip()
        if word not in list(Severity):
            raise ValueError(
                f"unknown severity {word!r}, known are {', '.join(Severity)}; '>=warning' means that or more"
            )
    return value


SeverityMatch = Annotated[
    str,
    BeforeValidator(_severity),
    WithJsonSchema({"type": "string", "pattern": f"^(>=)?({'|'.join(Severity)})$", "examples": [">=warning"]}),
]


class Match(StrictModel):
    """Which targets; lists of globs, an absent one matches everything. A label that is not there never matches."""

    cluster: tuple[str, ...] = ()
    namespace: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    severity: SeverityMatch | None = Field(None, description="of alerts: '>=warning', or 'critical' for exactly that")
    labels: dict[str, str] = Field(default_factory=dict, description="of alerts: globs by label")

    def matches(self, target: Target) -> bool:
        """True when every given list has a glob that fits."""
        return self.misses(target) is None

    def misses(self, target: Target) -> str | None:
        """The first list without a glob that fits, None where all fit."""
        pairs = (
            ("cluster", self.cluster, target.cluster), ("namespace", self.namespace, target.namespace),
            ("kind", self.kind, target.kind), ("name", self.name, target.name),
        )  # fmt: skip
        return next((name for name, globs, value in pairs if globs and not fits(value, globs)), None)

    def misses_alert(self, alert: AlertFired) -> str | None:
        """The first clause that an alert does not meet, `labels.team` say; None where it meets all."""
        missed = self.misses(alert.target)
        if missed is None and self.severity and not severe(alert.severity, self.severity):
            return "severity"
        wrong = (f"labels.{name}" for name, glob in self.labels.items() if not fits(alert.labels.get(name), (glob,)))
        return missed or next(wrong, None)


def fits(value: str | None, globs: tuple[str, ...]) -> bool:
    """Whether one of the globs fits; none fits what is not there."""
    return value is not None and any(fnmatchcase(value, glob) for glob in globs)


def severe(severity: Severity, wanted: str) -> bool:
    """Whether a severity is what a match wants."""
    word = wanted.removeprefix(AT_LEAST).strip()
    return severity.rank >= Severity(word).rank if wanted.startswith(AT_LEAST) else severity == word


class Attempts(StrictModel):
    """At most `max` attempts on one target within a sliding window, whatever their outcome; `then` what."""

    max: int = Field(ge=1)
    within: Duration
    then: Literal["wait", "escalate"] = "wait"


class Rate(StrictModel):
    """At most `max` of this policy's attempts within a sliding window, over all targets in the same cluster or
    namespace."""

    max: int = Field(ge=1)
    within: Duration
    per: Literal["cluster", "namespace"] = "cluster"


class BlastRadius(StrictModel):
    """How much may be out at once. Amounts are numbers or shares, such as `2` or `50%`."""

    min_ready: str | int | None = Field(None, pattern=r"^\d+%?$", description="ready replicas that must stay")
    max_nodes: str | int | None = Field(
        None, pattern=r"^\d+%?$", description="nodes unready or cordoned, this included"
    )
    max_in_namespace: str | int | None = Field(
        None, pattern=r"^\d+%?$", description="workloads acted on within an hour"
    )

    @field_validator("min_ready", "max_nodes", "max_in_namespace", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Breaker(StrictModel):
    """After `failures` failed actions of one kind in a row in a cluster, none for `wait`."""

    failures: int = Field(5, ge=1)
    wait: Duration = timedelta(minutes=10)


class Limits(StrictModel):
    """How often. Without `attempts` only ineffective attempts are bounded."""

    once_per: Duration = timedelta(0)
    attempts: Attempts | None = None
    ineffective: int = Field(3, ge=1, description="attempts in a row that did not help, until a person resumes")
    stays: Duration = Field(
        timedelta(minutes=30),
        description="an alert that comes back sooner was not helped, whatever the action's verification said",
    )  # fmt: skip
    rate: Rate | None = None
    blast_radius: BlastRadius | None = None
    breaker: Breaker = Breaker()


class Until(StrEnum):
    """What must be seen for an action to count as succeeded."""

    IN_SYNC = "inSync"
    AVAILABLE = "available"
    ROLLOUT_COMPLETE = "rolloutComplete"  # every replica is of the newest template and available
    GONE = "gone"  # the object acted on is no more, or another has its name
    ALERT_RESOLVED = "alertResolved"  # the trigger is over


class Verify(StrictModel):
    """How long to look, and for what; an action's own check of its write is always part of it."""

    within: Duration = timedelta(seconds=10)
    until: tuple[Until, ...] = ()


class Approve(StrictModel):
    """Ask people first. An error in `if` means that they are asked; no answer in time means no."""

    condition: str | bool = Field(True, alias="if", description="CEL on the event, or true or false")
    where: str = Field("", alias="in", description="the channel in which to ask")
    by: tuple[str, ...] = Field((), description="users, and group:NAME; any known user where none is named")
    count: int = Field(1, ge=1, description="how many different people must say yes")
    timeout: Duration = timedelta(minutes=30)


class Step(StrictModel):
    """One action, how it is verified, and whether it is undone where it did not help."""

    revert: Revert | None = None
    prune: PruneAction | None = None
    restart: act.Restart | None = None
    scale: act.Scale | None = None
    delete_pod: act.DeletePod | None = None
    rollback: act.Rollback | None = None
    cordon: act.Cordon | None = None
    uncordon: act.Uncordon | None = None
    drain: act.Drain | None = None
    isolate: act.Isolate | None = None
    label: act.Label | None = None
    annotate: act.Annotate | None = None
    patch: act.Patch | None = None
    apply_manifest: act.ApplyManifest | None = None
    suspend: act.Suspend | None = None
    resume: act.Resume | None = None
    argocd_sync: act.ArgocdSync | None = None
    flux_reconcile: act.FluxReconcile | None = None
    velero_backup: act.VeleroBackup | None = None
    kafka_restart: act.KafkaRestart | None = None
    run_job: act.RunJob | None = None
    evidence: act.Evidence | None = None
    webhook: act.Webhook | None = None
    silence: act.Silence | None = None
    notify: act.Notify | None = None
    verify: Verify = Verify()
    undo: Literal["auto", "never"] = "never"
    on_failure: Literal["stop", "continue"] = Field("stop", description="whether the steps after this one follow")

    @model_validator(mode="after")
    def _one_action(self) -> "Step":
        named = self._named()
        if len(named) != 1:
            known = ", ".join(to_camel(name.replace("-", "_")) for name in act.ACTIONS)
            raise ValueError(f"name exactly one action ({', '.join(named) or 'none is named'}); known are {known}")
        gone = {Until.AVAILABLE, Until.ROLLOUT_COMPLETE} & set(self.verify.until)
        if self.prune and (self.undo == "auto" or gone):
            raise ValueError("what is pruned is gone: it can be neither undone nor available")
        if Until.IN_SYNC in self.verify.until and not (self.revert or self.prune):
            raise ValueError("only revert and prune bring an object to its baseline, so only they can be inSync")
        return self

    def _named(self) -> list[str]:
        return [name for name in act.ACTIONS if getattr(self, name.replace("-", "_")) is not None]

    @cached_property
    def action(self) -> str:
        """The action's name, as events carry it."""
        return self._named()[0]

    @property
    def parameters(self) -> Parameters:
        """As written: templates are not filled yet."""
        found = getattr(self, self.action.replace("-", "_"))
        assert isinstance(found, Parameters)
        return found

    @property
    def timeout(self) -> timedelta:
        """How long the action may take, verification aside."""
        return self.parameters.timeout

    @property
    def until(self) -> tuple[Until, ...]:
        """What must be seen; what the action itself is for, where the policy says nothing."""
        return self.verify.until or ((Until.IN_SYNC,) if self.revert or self.prune else ())

    @property
    def recreates(self) -> bool:
        """Whether an object may be deleted and made anew."""
        return self.revert is not None and self.revert.recreate


PLAIN = {"revert": Step(revert=Revert()), "prune": Step(prune=PruneAction())}
ON_DRIFT = frozenset(PLAIN)
"""The actions that are about a declared state; all others are about an alert or a schedule."""


class PolicySpec(StrictModel):
    """See the example in the README."""

    trigger: Trigger
    match: Match = Match()
    when: str | None = Field(None, description="CEL on the event; an error in it means that the policy does not match")
    limits: Limits = Limits()
    approve: Approve | None = None
    do: tuple[Step, ...] = Field((PLAIN["revert"],), min_length=1, description="in this order")
    otherwise: tuple[Step, ...] = Field(
        (), alias="else", description="once, where the policy gives up: it was denied, spent, or did not help"
    )
    mode: Mode = Mode.OBSERVE

    @model_validator(mode="after")
    def _steps_fit(self) -> "PolicySpec":
        names = [step.action for step in self.do]
        if self.trigger.drift is None:
            if "do" not in self.model_fields_set:
                raise ValueError("name what to do: only drift has an answer of its own")
            wrong = ON_DRIFT.intersection(names + [step.action for step in self.otherwise])
            if wrong:
                raise ValueError(f"{', '.join(sorted(wrong))} is about drift, and the trigger is none")
            return self
        if not ON_DRIFT.issuperset(names):
            raise ValueError("drift is answered by revert and prune; other actions answer alerts and schedules")
        if len(set(names)) < len(names):
            raise ValueError("name each action once")
        if self.when or self.approve or self.otherwise or self.match.labels or self.match.severity:
            raise ValueError("when, approve, else, labels and severity belong to alerts and schedules")
        return self


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
        drift = self.spec.trigger.drift
        return drift is not None and drift.baseline in ("*", baseline) and self.spec.match.matches(target)

    def step_for(self, state: DriftState) -> Step | None:
        """What this policy does about an object in this state: only `prune` deletes what is unwanted, and it does
        nothing else."""
        action = "prune" if state is DriftState.UNWANTED else "revert"
        return next((step for step in self.spec.do if step.action == action), None)
