"""What a scene has shown so far, and in what it differs from what the scene states. Pure; called by the director."""

from dataclasses import dataclass

from schemas.events import ActionFinished, DecisionMade, DriftDetected, FieldChange
from services.local.scenes import Expected, Said


@dataclass(frozen=True)
class Seen:
    """What was seen of one scene. `noticed`: the watcher reported the other client's write."""

    noticed: bool = False
    drifts: tuple[DriftDetected, ...] = ()
    decisions: tuple[DecisionMade, ...] = ()
    finished: tuple[ActionFinished, ...] = ()
    under_way: bool = False
    at_declared: bool = True
    corrected_ms: float | None = None

    @property
    def drift(self) -> DriftDetected | None:
        """The first report of the drift."""
        return self.drifts[0] if self.drifts else None

    @property
    def action(self) -> ActionFinished | None:
        """The last action that ended."""
        return self.finished[-1] if self.finished else None

    @property
    def fields(self) -> tuple[FieldChange, ...]:
        """The fields of the first report."""
        return self.drift.fields if self.drift else ()


def judge(expected: Expected, seen: Seen) -> tuple[str, ...]:
    """In what the two differ, one line each; nothing when all is as stated."""
    problems = [*_about_drift(expected, seen), *_about_decisions(expected, seen), *_about_end(expected, seen)]
    return tuple(problems)


def key_decision(expected: Expected, seen: Seen) -> DecisionMade | None:
    """The decision that matters most: the one the scene is about where it was made, else the last one."""
    if expected.decisions:
        wanted = expected.decisions[expected.key]
        for decision in seen.decisions:
            if said(decision) == wanted:
                return decision
    return seen.decisions[-1] if seen.decisions else None


def said(decision: DecisionMade) -> Said:
    """A decision cut down to what scenes state."""
    return Said(decision.verdict, decision.reason)


def find_field(expected: Expected, fields: tuple[FieldChange, ...]) -> FieldChange | None:
    """The reported field that the scene is about: its path, or one below it."""
    return next((f for f in fields if f.path == expected.path or f.path.startswith(expected.path + "/")), None)


def _about_drift(expected: Expected, seen: Seen) -> list[str]:
    if not expected.drift:
        problems = [] if seen.noticed else ["the change was not noticed"]
        return problems + (["drift was reported, there is none"] if seen.drift else [])
    if seen.drift is None:
        return ["no drift was reported"]
    if seen.drift.state != expected.state:
        return [f"the object is reported as {seen.drift.state}, not {expected.state}"]
    return _about_field(expected, seen) if expected.kind else []


def _about_field(expected: Expected, seen: Seen) -> list[str]:
    field = find_field(expected, seen.fields)
    if field is None:
        return [f"{expected.path} is not among the fields {[f.path for f in seen.fields]}"]
    problems = [] if field.kind == expected.kind else [f"{field.path} is reported as {field.kind}, not {expected.kind}"]
    if field.manager != expected.manager:
        problems.append(f"{field.path} was put down to {field.manager or 'nobody'}, not {expected.manager or 'nobody'}")
    return problems


def _about_decisions(expected: Expected, seen: Seen) -> list[str]:
    if not expected.decisions:
        return [f"decided {d.verdict}/{d.reason}, nothing was to decide" for d in seen.decisions]
    made = iter([said(decision) for decision in seen.decisions])
    missing = [wanted for wanted in expected.decisions if not any(one == wanted for one in made)]
    return [f"no decision {wanted.verdict}/{wanted.reason} was made in its place" for wanted in missing]


def _about_end(expected: Expected, seen: Seen) -> list[str]:
    problems = ["an action is still under way"] if seen.under_way else []
    outcome = seen.action.outcome if seen.action else None
    if outcome != expected.outcome:
        problems.append(f"the outcome is {outcome or 'none'}, not {expected.outcome or 'none'}")
    if seen.at_declared != (expected.ends == "declared"):
        problems.append("the object is at its declared state" if seen.at_declared else "the object is not as declared")
    return problems
