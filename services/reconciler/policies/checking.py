"""What of a policy or a window cannot work, though its form is right: told when it is read, not when it is needed.

Given to whoever reads the files (`services.runtime.rulefiles`), by the services and by `setpoint check` alike, so that
nothing that is found here ever comes into force. Findings that are only likely mistakes are `linting`'s.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic.alias_generators import to_camel

from schemas.ledger import Place
from schemas.policy import Approve, Match, Policy, Step, Trigger, Until
from schemas.reference import Reference
from schemas.window import MaintenanceWindow
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.actions.restart import WORKLOADS
from services.reconciler.cases.ask import GROUP
from services.reconciler.policies.eventview import view_of
from services.reconciler.policies.schedules import Schedules
from services.reconciler.policies.windows import check_cron, compile_windows
from services.runtime.errors import UsageError
from services.runtime.expr import Context, ExpressionError, compile_expression
from services.runtime.filechecks import closest
from services.runtime.filling import NotFilled, fill, templates_in
from services.runtime.rules import Written, Wrong

Path = tuple[str | int, ...]
LOOKS = frozenset({Until.AVAILABLE, Until.ROLLOUT_COMPLETE, Until.GONE})
ROLLS = frozenset({Until.AVAILABLE, Until.ROLLOUT_COMPLETE})
NEVER_ROLLS = frozenset({"pod", "node", "application", "cron_job"})
"""Fields that name objects which have no replicas."""
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
CRON = "write five fields such as '0 3 * * 1'"


def wrongs(document: Policy | MaintenanceWindow, written: Written) -> Iterator[Wrong]:
    """Everything of one document that cannot work; `written` are all documents, since they name each other."""
    if isinstance(document, MaintenanceWindow):
        yield from _window(document, written)
        return
    spec = document.spec
    yield from _trigger(spec.trigger)
    if spec.trigger.schedule is not None:
        yield from _unscheduled(spec.match)
    if spec.when is not None:
        yield from _expression(("spec", "when"), spec.when)
    if spec.approve is not None:
        yield from _approve(spec.approve, written)
    for name, steps in (("do", spec.do), ("else", spec.otherwise)):
        for number, step in enumerate(steps):
            yield from _step(("spec", name, number), step, document)


def _window(window: MaintenanceWindow, written: Written) -> Iterator[Wrong]:
    if window.spec.calendar is not None and window.name not in written.calendars:
        return  # it could not be read, which whoever read it has told
    try:
        compile_windows((window,), lambda one: written.calendars[one.name])
    except UsageError as error:
        where = "calendar" if window.spec.schedule is None else "schedule"
        yield Wrong(("spec", where), str(error.__cause__), error.fix)


def _trigger(trigger: Trigger) -> Iterator[Wrong]:
    try:
        ZoneInfo(trigger.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = f"no time zone {trigger.time_zone!r}"
        yield Wrong(("spec", "trigger", "timeZone"), zone, "write one such as Europe/Berlin")
    if trigger.schedule is None:
        return
    try:
        check_cron(trigger.schedule)
    except ValueError as error:
        yield Wrong(("spec", "trigger", "schedule"), str(error), CRON)


def _unscheduled(match: Match) -> Iterator[Wrong]:
    """What would look like a bound and be none: an hour is about no object and has no labels."""
    given = match.model_fields_set - {"cluster"}
    for name in Match.model_fields:
        if name in given:
            yield Wrong(("spec", "match", name), "a schedule is about no object", "name the object in each step")


def _approve(approve: Approve, written: Written) -> Iterator[Wrong]:
    if isinstance(approve.condition, str):
        yield from _expression(("spec", "approve", "if"), approve.condition)
    for number, name in enumerate(approve.by):
        group = name.removeprefix(GROUP)
        if name.startswith(GROUP) and group not in written.groups:
            yield Wrong(("spec", "approve", "by", number), f"unknown group '{group}'", _group(group, written))
    people = _people(approve, written)
    if people is not None and len(people) < approve.count:
        message = f"{approve.count} must say yes, and only {len(people)} may"
        yield Wrong(("spec", "approve", "count"), message, "name more people in 'by', or lower it")


def _people(approve: Approve, written: Written) -> frozenset[str] | None:
    """Everybody who may answer; None where that is anybody, or not known."""
    groups = [name.removeprefix(GROUP) for name in approve.by if name.startswith(GROUP)]
    if not approve.by or any(group not in written.groups for group in groups):
        return None
    users = frozenset(name for name in approve.by if not name.startswith(GROUP))
    return users.union(*(written.groups[group] for group in groups))


def _group(name: str, written: Written) -> str:
    near = closest(name, written.groups)
    known = f"known are {', '.join(sorted(written.groups))}" if written.groups else "write a Group document"
    return f"did you mean {near}?" if near else known


def _step(path: Path, step: Step, policy: Policy) -> Iterator[Wrong]:
    action = to_camel(step.action.replace("-", "_"))
    trigger, sources = policy.spec.trigger, dict.fromkeys(templates_in(step.parameters))
    broken = [wrong for source in sources for wrong in _expression((*path, action), source)]
    yield from broken
    if trigger.schedule is not None and not broken:
        yield from _unfilled((*path, action), step, policy)
    operation = OPERATIONS.get(step.action)
    if operation is None:
        return  # what is about drift is the schema's to check
    if step.undo == "auto" and not operation.reversible:
        yield Wrong((*path, "undo"), f"{action} cannot be undone", "leave it out, or write never")
    for number, until in enumerate(step.verify.until):
        why = _unseen(step, until, trigger)
        if why:
            yield Wrong((*path, "verify", "until", number), f"{action} is never seen {until}: {why}", "leave it out")


def _unfilled(path: Path, step: Step, policy: Policy) -> Iterator[Wrong]:
    """What an hour cannot fill, since it is about no object: it is the same every time."""
    hour = Schedules("").hour(policy, SOME_DAY, SOME_DAY)
    try:
        fill(step.parameters, Context(view_of(hour.data, Place(), environment="", now=SOME_DAY)))
    except NotFilled as error:
        yield Wrong(path, f"a schedule is about no object: {error}", "name the object")


def _unseen(step: Step, until: Until, trigger: Trigger) -> str | None:
    """Why a condition says nothing after such a step; None where it may."""
    about = type(step.parameters).about
    if until is Until.ALERT_RESOLVED and trigger.schedule is not None:
        return "a schedule has no alert that could resolve"
    if until in LOOKS and about is None:
        return "it acts on no object of the cluster"
    if until not in ROLLS:
        return None
    named = getattr(step.parameters, about) if about else None
    if isinstance(named, Reference) and (named.group, named.kind) not in WORKLOADS:
        return f"a {named.kind} has no replicas"
    return f"a {about} has no replicas" if about in NEVER_ROLLS else None


def _expression(path: Path, source: str) -> Iterator[Wrong]:
    try:
        compile_expression(source)
    except ExpressionError as error:
        yield Wrong(path, str(error))
