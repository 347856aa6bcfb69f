"""Policies that are right each for itself and likely a mistake together, or wider than anybody meant.

Pure. What is called unreachable or shadowed can certainly never decide; what is called contradicting may meet the same
alert, as far as globs and severities tell. The findings are warnings: see `checking` for what cannot work at all.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import combinations

from schemas.actions import Scale
from schemas.alerts import Severity
from schemas.events import Mode
from schemas.policy import Match, Policy, Step, severe
from services.reconciler.guards.base import TELLING
from services.reconciler.policies.globs import covers_all, may_meet
from services.reconciler.policies.schedules import following
from services.runtime.expr import Context, ExpressionError, compile_expression

READS = TELLING | {"evidence"}
OPPOSITES = (("suspend", "resume"), ("cordon", "uncordon"), ("drain", "uncordon"))
LISTS = ("cluster", "namespace", "kind", "name")
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)
"""What a schedule without any hour says."""


class Lint(StrEnum):
    """What may be wrong."""

    UNREACHABLE = "unreachable"
    SHADOWED = "shadowed"
    CONTRADICTING = "contradicting"
    TOO_WIDE = "too-wide"


@dataclass(frozen=True)
class Warned:
    """One finding. `other` is the policy that it has to do with, "" where it is about the policy alone."""

    policy: str
    lint: Lint
    message: str
    fix: str
    other: str = ""


def lint(policies: Iterable[Policy], baselines: frozenset[str] | None = None) -> tuple[Warned, ...]:
    """Every finding, by policy in the order of their precedence. `baselines` are those that there are, if known."""
    ordered = sorted(policies, key=lambda one: one.name)
    found = [warned for policy in ordered for warned in _alone(policy, baselines)]
    shadowed: set[str] = set()
    for earlier, later in combinations(ordered, 2):  # the first of several that shadow one is told
        if later.name not in shadowed and shadows_all(earlier, later):
            shadowed.add(later.name)
            found.append(_shadowed(later.name, earlier))
    for earlier, later in combinations(ordered, 2):
        if later.name not in shadowed:
            found += _contradicting(earlier, later)
    return tuple(sorted(found, key=lambda one: (one.policy, list(Lint).index(one.lint), one.other)))


def shadows_all(earlier: Policy, later: Policy) -> bool:
    """Whether whatever the later policy would decide is decided by the earlier one, which may be to wait (`for`)."""
    first, second = earlier.spec, later.spec
    if first.when is not None and first.when != second.when:
        return False
    if second.trigger.drift is not None:
        drift = first.trigger.drift
        same = drift is not None and drift.baseline in ("*", second.trigger.drift.baseline)
        acts = {step.action for step in first.do} >= {step.action for step in second.do}
        return same and acts and _match_covers(first.match, second.match)
    if first.trigger.alert is None or second.trigger.alert is None:
        return False
    alike = covers_all((first.trigger.alert,), (second.trigger.alert,))
    return (
        alike and covers_all(first.trigger.source, second.trigger.source) and _match_covers(first.match, second.match)
    )


def _match_covers(first: Match, second: Match) -> bool:
    lists = all(covers_all(getattr(first, name), getattr(second, name)) for name in LISTS)
    labels = all(name in second.labels and covers_all((glob,), (second.labels[name],))
                 for name, glob in first.labels.items())  # fmt: skip
    return lists and labels and _severities(second) <= _severities(first)


def _severities(match: Match) -> frozenset[Severity]:
    wanted = match.severity
    return frozenset(one for one in Severity if wanted is None or severe(one, wanted))


def _alone(policy: Policy, baselines: frozenset[str] | None) -> Iterator[Warned]:
    never = _never(policy, baselines)
    if never:
        yield Warned(policy.name, Lint.UNREACHABLE, never, "correct it, or remove the policy")
    if _too_wide(policy):
        message = "it acts everywhere, as often as it is triggered"
        fix = "add match.namespace or match.labels, or limits"
        yield Warned(policy.name, Lint.TOO_WIDE, message, fix)


def _never(policy: Policy, baselines: frozenset[str] | None) -> str | None:
    """Why the policy never decides anything, whatever happens."""
    trigger = policy.spec.trigger
    if trigger.drift is not None and baselines is not None and trigger.drift.baseline not in baselines | {"*"}:
        return f"there is no baseline '{trigger.drift.baseline}'"
    if trigger.schedule is not None and following(policy, SOME_DAY) == NEVER:
        return f"the schedule {trigger.schedule!r} has no hour"
    when = policy.spec.when
    return f"'{when}' is never true" if when is not None and _always_false(when) else None


def _always_false(source: str) -> bool:
    """Whether a condition is false, or fails, without any look at the event."""
    try:
        expression = compile_expression(source)
        return "event" not in expression.program.variables() and not expression.truth(Context({}))
    except ExpressionError:
        return True


def _too_wide(policy: Policy) -> bool:
    spec = policy.spec
    bounded = spec.match.namespace or spec.match.name or spec.match.labels
    limits = spec.limits
    limited = limits.once_per or limits.attempts or limits.rate or limits.blast_radius
    elsewhere = spec.trigger.schedule is not None or (spec.trigger.drift and spec.trigger.drift.baseline != "*")
    touches = any(step.action not in READS for step in spec.do)
    return spec.mode is Mode.ENFORCE and touches and not (bounded or limited or elsewhere)


def _shadowed(name: str, earlier: Policy) -> Warned:
    message = f"'{earlier.name}' comes first by name, and decides everything that this one would"
    return Warned(name, Lint.SHADOWED, message, "narrow that one, or rename this one", earlier.name)


def _contradicting(earlier: Policy, later: Policy) -> Iterator[Warned]:
    if not _may_meet(earlier, later):
        return
    for one in earlier.spec.do:
        for other in later.spec.do:
            words = _opposite(one, other)
            if words:
                message = f"the same alert may make '{earlier.name}' {words[0]} and this one {words[1]}"
                fix = "keep the two apart by match or trigger"
                yield Warned(later.name, Lint.CONTRADICTING, message, fix, earlier.name)
                return


def _may_meet(one: Policy, other: Policy) -> bool:
    """Whether the same alert may meet both policies, at different times or on different targets."""
    first, second = one.spec, other.spec
    if first.trigger.alert is None or second.trigger.alert is None:
        return False
    pairs: list[tuple[Sequence[str], Sequence[str]]] = [
        ((first.trigger.alert,), (second.trigger.alert,)), (first.trigger.source, second.trigger.source),
        *((getattr(first.match, name), getattr(second.match, name)) for name in LISTS),
        *(((first.match.labels[name],), (second.match.labels[name],))
          for name in first.match.labels.keys() & second.match.labels.keys()),
    ]  # fmt: skip
    severities = _severities(first.match) & _severities(second.match)
    return bool(severities) and all(may_meet(*pair) for pair in pairs)


def _opposite(one: Step, other: Step) -> tuple[str, str] | None:
    """What two steps do that undoes each other, in words; None where they may stand beside each other."""
    if not _same_object(one, other):
        return None
    if frozenset((one.action, other.action)) in {frozenset(pair) for pair in OPPOSITES}:
        return one.action, other.action
    first, second = one.parameters, other.parameters
    if isinstance(first, Scale) and isinstance(second, Scale) and _scaled(first) != _scaled(second):
        return _scaled(first), _scaled(second)
    return None


def _scaled(parameters: Scale) -> str:
    return f"scale by {parameters.by}" if parameters.replicas is None else f"scale to {parameters.replicas}"


def _same_object(one: Step, other: Step) -> bool:
    """Whether two steps may act on one object: what is taken from the event may be anything."""
    named = [getattr(step.parameters, about) if (about := type(step.parameters).about) else None
             for step in (one, other)]  # fmt: skip
    return None not in named and (named[0] == named[1] or any(isinstance(name, str) for name in named))
