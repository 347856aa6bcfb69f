"""What policies would have made of the recorded past: every trigger again, in order, through the real decisions.

Pure. All policies count as if they enforced, each cluster for itself, and limits count what would have been done. What
is supposed of the world is `rehearsal`'s; where nobody recorded what an alert was about, `supposing` says it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.alerts import AlertFired
from schemas.events import ControlRemoved, ControlSet, DecisionMade, Event, Mode, Reason, Verdict
from schemas.target import Target
from services.reconciler.guards import Bounds
from services.reconciler.policies.rehearsal import AS_RECORDED, Rehearsal, Supposed, enforced
from services.reconciler.policies.rulebook import Rulebook
from services.reconciler.policies.supposing import suppose

NAMED = 5


@dataclass(frozen=True)
class Trigger:
    """One recorded event: when, in which cluster, and what was acted on because of it."""

    at: datetime
    cluster: str
    event: Event[Any]
    acted_on: tuple[Target, ...] = ()


@dataclass
class Line:
    """How often a policy would have said one thing. `targets` are what it would have acted on, some of them."""

    policy: str
    mode: Mode | None
    verdict: Verdict | None
    reason: Reason | None
    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    targets: list[str] = field(default_factory=list)
    distinct: int = 0
    actions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """`assumed`: alerts whose workload is only assumed."""

    lines: tuple[Line, ...]
    triggers: int
    assumed: int


def backtest(
    rules: Rulebook, triggers: Iterable[Trigger], *, since: datetime, until: datetime, bounds: Mapping[str, Any],
    supposed: Supposed = AS_RECORDED,
) -> Report:  # fmt: skip
    """Play triggers, which are in order of time, and count. `bounds` are those of a reconciler without its cluster."""
    rehearsals: dict[str, Rehearsal] = {}
    acting, played, assumed = enforced(rules), 0, set[str]()
    for trigger in triggers:
        rehearsal = rehearsals.get(trigger.cluster)
        if rehearsal is None:
            begins = min(since, trigger.at)
            rehearsal = Rehearsal(acting, Bounds(trigger.cluster, **bounds), begins, supposed)
            rehearsals[trigger.cluster] = rehearsal
        played += _play(rehearsal, trigger, assumed)
    for rehearsal in rehearsals.values():
        rehearsal.advance(until)
    return Report(_lines(rules, rehearsals.values(), since), played, len(assumed))


def _play(rehearsal: Rehearsal, trigger: Trigger, assumed: set[str]) -> int:
    """Whether it was a trigger, and no control."""
    data = trigger.event.data
    if isinstance(data, ControlSet | ControlRemoved):
        rehearsal.control(f"{data.scope.cluster}/{data.name}".encode(), trigger.event, trigger.at)
        return 0
    place = None
    if isinstance(data, AlertFired):
        place, guessed = suppose(data, trigger.acted_on)
        if guessed and rehearsal.rules.index.wanting(data):
            assumed.add(data.alert_id)
    rehearsal.take(trigger.event, trigger.at, place)
    return 1


def _lines(rules: Rulebook, rehearsals: Iterable[Rehearsal], since: datetime) -> tuple[Line, ...]:
    """By policy in order of precedence, the commonest answer first; one empty line for a policy that never answered."""
    modes = {policy.name: policy.spec.mode for policy in rules.policies}
    found: dict[tuple[str, Verdict, Reason], Line] = {}
    seen: dict[tuple[str, Verdict, Reason], set[str]] = {}
    for rehearsal in rehearsals:
        for told in rehearsal.told:
            made = told.data
            if isinstance(made, DecisionMade) and told.at >= since:
                key = (made.policy, made.verdict, made.reason)
                line = found.setdefault(key, Line(made.policy, modes.get(made.policy), made.verdict, made.reason))
                _count(line, told.at, made, seen.setdefault(key, set()))
    silent = [Line(name, mode, None, None) for name, mode in modes.items() if name not in {key[0] for key in found}]
    return tuple(sorted([*found.values(), *silent], key=_order))


def _order(line: Line) -> tuple[bool, str, int, int, str]:
    verdict = list(Verdict).index(line.verdict) if line.verdict else 0
    return not line.policy, line.policy, -line.count, verdict, str(line.reason)


def _count(line: Line, at: datetime, made: DecisionMade, seen: set[str]) -> None:
    line.count += 1
    line.first = min(line.first or at, at)
    line.last = max(line.last or at, at)
    seen.add((made.subject or made.target).subject)
    line.distinct = len(seen)
    line.targets = sorted(seen)[:NAMED]
    if made.action:
        line.actions[made.action] = line.actions.get(made.action, 0) + 1
