"""What is made of one trigger, and why: each policy's first clause that does not hold, and the decision.

Pure: the decision comes out of a rehearsal, by the very code that decides in a partition. The words of clauses are the
fields of the policy's file, those of decisions the enums that events, logs and columns carry.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.actions import ACTIONS
from schemas.alerts import AlertFired
from schemas.events import ActionStarted, DecisionMade, DriftDetected, Event, Mode, Reason, Verdict
from schemas.ledger import Place
from schemas.policy import Policy
from schemas.reference import text_of
from services.reconciler.policies.choosing import explain
from services.reconciler.policies.eventview import view_of
from services.reconciler.policies.manual import written
from services.reconciler.policies.rehearsal import Rehearsal
from services.runtime.errors import UsageError
from services.runtime.expr import Context
from services.runtime.filling import NotFilled, fill

PLANNED = frozenset({Verdict.OBSERVE, Verdict.ASK, Verdict.WAIT})


@dataclass(frozen=True)
class Decided:
    """A decision. `do` is what is done, or would be, in order: `restart Deployment/payments/api`."""

    policy: str
    verdict: Verdict | None
    reason: Reason | None
    message: str = ""
    do: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explained:
    """What one policy says. `clause` is the first that does not hold, "" where all do; `decided` where it decides."""

    policy: str
    mode: Mode
    clause: str
    decided: Decided | None = None


def explain_all(
    policies: Iterable[Policy], event: Event[Any], decided: Decided, place: Place, environment: str, now: datetime
) -> tuple[Explained, ...]:  # fmt: skip
    """Each policy in the order of precedence. Raises UsageError for an event that no policy answers."""
    found = []
    for policy in sorted(policies, key=lambda one: one.name):
        clause = clause_of(policy, event, place, environment, now)
        own = decided if policy.name == decided.policy else None
        if not clause and own is None and decided.policy:
            clause = f"'{decided.policy}' comes first"
        found.append(Explained(policy.name, policy.spec.mode, clause, own))
    return tuple(found)


def clause_of(policy: Policy, event: Event[Any], place: Place, environment: str, now: datetime) -> str:
    """The first clause of a policy that a trigger does not meet, "" where it meets all."""
    data = event.data
    if isinstance(data, AlertFired):
        return explain(policy, data, place, environment=environment, now=now) or ""
    if isinstance(data, DriftDetected):
        return _drift_clause(policy, data)
    raise UsageError(f"no policy answers {event.type}", "Give an alert.fired or a drift.detected event")


def decision_on(rehearsal: Rehearsal, event: Event[Any], place: Place) -> Decided:
    """What a rehearsal has made of a trigger by now: the first answer that did not only put it off."""
    data = event.data
    trigger = getattr(data, "alert_id", None) or getattr(data, "drift_id", None)
    mine = [one.data for one in rehearsal.told if trigger in _ids(one.data)]
    made = [one for one in mine if isinstance(one, DecisionMade)]
    if not made:
        return Decided("", None, None)
    last = next((one for one in made if one.verdict is not Verdict.WAIT), made[-1])
    policy = next((one for one in rehearsal.rules.policies if one.name == last.policy), None)
    done = tuple(_words(one) for one in mine if isinstance(one, ActionStarted) and one.undoes is None)
    planned = _planned(policy, rehearsal, event, place) if policy and last.verdict in PLANNED else ()
    return Decided(last.policy, last.verdict, last.reason, last.message, done or planned)


def _planned(policy: Policy, rehearsal: Rehearsal, event: Event[Any], place: Place) -> tuple[str, ...]:
    """What a policy's steps come to, filled from the trigger."""
    data = event.data
    if isinstance(data, DriftDetected):
        step = policy.step_for(data.state)
        return (f"{step.action} {text_of(data.target)}",) if step else ()
    context = Context(view_of(data, place, environment=rehearsal.supposed.environment, now=rehearsal.now))
    found = []
    for step in policy.spec.do:
        try:
            about = fill(step.parameters, context).subject()
            found.append(f"{written(step.action)} {about or ''}".rstrip())
        except NotFilled as error:
            found.append(f"{written(step.action)} (not filled: {error})")
    return tuple(found)


def _words(started: ActionStarted) -> str:
    """An action and its object; what is about no object of the cluster has none."""
    action = written(started.action)
    on_something = started.drift_id is not None or ACTIONS[started.action].about is not None
    return f"{action} {text_of(started.subject or started.target)}" if on_something or started.subject else action


def _ids(data: Any) -> tuple[str | None, str | None]:
    return getattr(data, "alert_id", None), getattr(data, "drift_id", None)


def _drift_clause(policy: Policy, data: DriftDetected) -> str:
    drift = policy.spec.trigger.drift
    if drift is None:
        return "trigger: it is not about drift"
    if drift.baseline not in ("*", data.baseline):
        return f"trigger.drift.baseline: {drift.baseline!r} is not {data.baseline!r}"
    missed = policy.spec.match.misses(data.target)
    if missed is not None:
        return f"match.{missed}"
    return "" if policy.step_for(data.state) else f"do: it has no step for an object that is {data.state}"
