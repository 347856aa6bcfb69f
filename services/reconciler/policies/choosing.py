"""Which policy answers an alert, and why the others do not: the first by name whose every clause holds.

Policies are indexed by the alert's name, and their globs are compiled once, so that an event meets only those that
could want it, at the cost of a few look-ups each; CEL is evaluated last. `explain` reads the same clauses word by word,
and is what the quick way must agree with.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase, translate

from schemas.alerts import AlertFired, Severity
from schemas.ledger import Place
from schemas.policy import Policy, fits, severe
from services.reconciler.policies.eventview import view_of
from services.runtime.expr import Context, ExpressionError, compile_expression

GLOB = frozenset("*?[")
SCHEDULE = "schedule"
"""The source of what is no alert but an hour that has come; its name is the policy's."""
MOST_KNOWN = 4096  # names and namespaces whose candidates are remembered: they come from outside
Clause = Callable[[AlertFired], bool]
Fitter = Callable[[str | None], bool]


@dataclass(frozen=True)
class Choice:
    """The policy that decides, None where none does; `errors` by the name of a policy whose condition failed."""

    policy: Policy | None
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Indexed:
    """A policy on alerts, and its match made ready: the name, the namespace, and then all else."""

    policy: Policy
    named: Fitter
    within: Fitter
    clauses: tuple[Clause, ...]

    def wants(self, alert: AlertFired) -> bool:
        """Whether all else holds that can be told without an expression."""
        return all(clause(alert) for clause in self.clauses)


class PolicyIndex:
    """The policies on alerts, in the order of their names; made once for a set of policies."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        ordered = sorted(policies, key=lambda one: one.name)
        self.on_alerts = [_indexed(policy) for policy in ordered if policy.spec.trigger.alert is not None]
        self.scheduled = {policy.name: policy for policy in ordered if policy.spec.trigger.schedule is not None}
        self.known: dict[tuple[str, str], list[Indexed]] = {}

    def wanting(self, alert: AlertFired) -> list[Policy]:
        """Those that may decide an alert, as far as it can be told without an expression or the cluster. The hour of a
        schedule is its own policy's alone."""
        if alert.source == SCHEDULE:
            own = self.scheduled.get(alert.name)
            return [own] if own is not None and covers_cluster(own, alert.target.cluster) else []
        return [one.policy for one in self._candidates(alert.name, alert.target.namespace) if one.wants(alert)]

    def _candidates(self, name: str, namespace: str) -> list[Indexed]:
        """Those for alerts of this name in this namespace."""
        found = self.known.get((name, namespace))
        if found is None:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            found = [one for one in self.on_alerts if one.named(name) and one.within(namespace)]
            self.known[name, namespace] = found
        return found


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


def _indexed(policy: Policy) -> Indexed:
    namespaces = policy.spec.match.namespace or ("*",)
    return Indexed(policy, _fitter((str(policy.spec.trigger.alert),)), _fitter(namespaces), tuple(_clauses(policy)))


def _clauses(policy: Policy) -> Iterable[Clause]:
    """What `_structural` asks of an alert beside its namespace, without what the policy leaves open."""
    match = policy.spec.match
    if match.kind:
        yield _clause(lambda alert: alert.target.kind, match.kind)
    if match.name:
        yield _clause(lambda alert: alert.target.name, match.name)
    if match.cluster:
        yield _clause(lambda alert: alert.target.cluster, match.cluster)
    if policy.spec.trigger.source:
        yield _clause(lambda alert: alert.source, policy.spec.trigger.source)
    for label, glob in match.labels.items():
        yield _clause(lambda alert, label=label: alert.labels.get(label), (glob,))  # type: ignore[misc]
    if match.severity:
        enough = frozenset(severity for severity in Severity if severe(severity, match.severity))
        yield lambda alert: alert.severity in enough


def _clause(value_of: Callable[[AlertFired], str | None], globs: tuple[str, ...]) -> Clause:
    fitting = _fitter(globs)
    return lambda alert: fitting(value_of(alert))


def _fitter(globs: tuple[str, ...]) -> Fitter:
    """`schemas.policy.fits`, compiled."""
    if not GLOB.intersection("".join(globs)):
        return frozenset(globs).__contains__
    fitting = re.compile("|".join(map(translate, globs))).match
    return lambda value: value is not None and fitting(value) is not None


def _structural(policy: Policy, alert: AlertFired) -> str | None:
    """The first clause beside the name and `when` that does not hold."""
    sources = policy.spec.trigger.source
    if sources and not fits(alert.source, sources):
        return "trigger.source"
    missed = policy.spec.match.misses_alert(alert)
    return f"match.{missed}" if missed else None
