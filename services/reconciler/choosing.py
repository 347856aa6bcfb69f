"""Which policy answers an alert, and why the others do not: the first by name whose every clause holds.

Policies are indexed by the alert's name, so that an event meets only those that could want it; CEL is evaluated last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from schemas.alerts import ALERT_GROUP, AlertFired
from schemas.ledger import Place
from schemas.policy import Policy, fits
from schemas.reference import reference_to
from schemas.target import Target
from services.runtime.expr import Context, ExpressionError, compile_expression

GLOB = frozenset("*?[")
SCHEDULE = "schedule"
"""The source of what is no alert but an hour that has come; its name is the policy's."""


@dataclass(frozen=True)
class Choice:
    """The policy that decides, None where none does; `errors` by the name of a policy whose condition failed."""

    policy: Policy | None
    errors: Mapping[str, str] = field(default_factory=dict)


class PolicyIndex:
    """The policies on alerts, in the order of their names; made once for a set of policies."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.exact: dict[str, list[Policy]] = {}
        self.globs: list[Policy] = []
        self.scheduled: dict[str, Policy] = {}
        for policy in sorted(policies, key=lambda one: one.name):
            name = policy.spec.trigger.alert
            if name is not None and GLOB.intersection(name):
                self.globs.append(policy)
            elif name is not None:
                self.exact.setdefault(name, []).append(policy)
            elif policy.spec.trigger.schedule is not None:
                self.scheduled[policy.name] = policy

    def candidates(self, name: str) -> list[Policy]:
        """Those whose trigger names this alert."""
        fitting = [policy for policy in self.globs if fnmatchcase(name, str(policy.spec.trigger.alert))]
        exact = self.exact.get(name, [])
        return sorted([*exact, *fitting], key=lambda one: one.name) if fitting and exact else exact or fitting

    def wanting(self, alert: AlertFired) -> list[Policy]:
        """Those that may decide an alert, as far as it can be told without an expression or the cluster. The hour of a
        schedule is its own policy's alone."""
        if alert.source == SCHEDULE:
            own = self.scheduled.get(alert.name)
            return [own] if own is not None and covers_cluster(own, alert.target.cluster) else []
        return [policy for policy in self.candidates(alert.name) if _structural(policy, alert) is None]


def choose(
    index: PolicyIndex, alert: AlertFired, place: Place | None, *, environment: str, now: datetime
) -> Choice:  # fmt: skip
    """The first candidate that matches."""
    context: Context | None = None
    errors: dict[str, str] = {}
    for policy in index.wanting(alert):
        if policy.spec.when is None:
            return Choice(policy, errors)
        context = context or Context(view_of(alert, place, environment=environment, now=now))
        try:
            if compile_expression(policy.spec.when).truth(context):
                return Choice(policy, errors)
        except ExpressionError as error:
            errors[policy.name] = str(error)
    return Choice(None, errors)


def explain(
    policy: Policy, alert: AlertFired, place: Place | None, *, environment: str, now: datetime
) -> str | None:  # fmt: skip
    """The first clause that does not hold, in words; None where the policy matches."""
    name = policy.spec.trigger.alert
    if name is None:
        return "trigger: it is not about alerts"
    if not fnmatchcase(alert.name, name):
        return f"trigger.alert: {name!r} is not {alert.name!r}"
    missed = _structural(policy, alert)
    if missed is not None:
        return missed
    if policy.spec.when is None:
        return None
    try:
        context = Context(view_of(alert, place, environment=environment, now=now))
        return None if compile_expression(policy.spec.when).truth(context) else f"when: {policy.spec.when} is false"
    except ExpressionError as error:
        return f"when: {error}"


def covers_cluster(policy: Policy, cluster: str) -> bool:
    """Whether a policy on a schedule is for a cluster."""
    return not policy.spec.match.cluster or fits(cluster, policy.spec.match.cluster)


def _structural(policy: Policy, alert: AlertFired) -> str | None:
    """The first clause beside the name and `when` that does not hold."""
    sources = policy.spec.trigger.source
    if sources and not fits(alert.source, sources):
        return "trigger.source"
    missed = policy.spec.match.misses_alert(alert)
    return f"match.{missed}" if missed else None


def view_of(alert: AlertFired, place: Place | None, *, environment: str, now: datetime) -> dict[str, Any]:
    """The event as expressions see it. What is not known is not there."""
    place = place or Place()
    found = {
        "object": place.object, "pod": place.pod, "workload": place.workload, "node": place.node,
        "application": place.application,
    }  # fmt: skip
    about: Target = place.object or alert.target
    return {
        "name": alert.name, "severity": alert.severity.rank, "source": alert.source, "sender": alert.sender,
        "cluster": alert.target.cluster, "namespace": about.namespace, "labels": alert.labels, "values": alert.values,
        "kind": "" if about.group == ALERT_GROUP else about.kind, "summary": alert.summary, "url": alert.url,
        "env": alert.labels.get("env") or alert.labels.get("environment") or environment, "lasting": alert.lasting,
        "onset": alert.onset, "age_s": max(0.0, (now - alert.onset).total_seconds()),
        **{name: str(reference_to(target)) for name, target in found.items() if target is not None},
    }  # fmt: skip
