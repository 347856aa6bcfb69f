"""What an error of the API server means for an action: a reason, whether the same may work later, and words.

The words never quote values of a Secret: for those only the status and the server's own reason are told.
"""

import re
from dataclasses import dataclass

from schemas.events import Reason
from schemas.target import Target
from services.kube.api.errors import ApiError, Conflict, Forbidden, Gone, Invalid, NotFound, TimedOut, Unavailable
from services.reconciler.actions.rights import plural

MOST_CHARACTERS = 400
VERBS = {"plan": "get", "apply": "patch", "verify": "get", "undo": "update"}
VERB = re.compile(r"cannot (\w+) resource")  # as every authorizer says it
RIGHT = re.compile(r'cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?')
MAY_PASS = frozenset({Reason.QUOTA, Reason.TERMINATING, Reason.WEBHOOK_FAILED})  # without a change to the manifest


@dataclass(frozen=True)
class Failure:
    """`temporary`: nothing is wrong with the action itself. `retry_after` in seconds, where the server named one."""

    reason: Reason
    message: str
    temporary: bool
    retry_after: float | None = None


def failure_of(error: ApiError | TimeoutError, target: Target, phase: str, seconds: float) -> Failure:
    """The failure that an error in a phase (plan, apply, verify, undo) is; `seconds` was the action's time-out."""
    if isinstance(error, TimeoutError):
        return Failure(Reason.TIMEOUT, f"no end of '{phase}' within {seconds:g} s", True)
    words = _words(error, target)
    match error:
        case Forbidden():
            verb = VERB.search(error.message)
            right = _other_right(error.message, target) or f"{verb[1] if verb else VERBS[phase]} {_kind(target)}"
            return Failure(Reason.FORBIDDEN, f"missing right: {right}: {words}", False)
        case Invalid():
            return Failure(error.cause, words, error.cause in MAY_PASS)
        case NotFound():
            return Failure(Reason.NOT_SERVED if error.kind_is_gone else Reason.INVALID, words, error.kind_is_gone)
        case Conflict() | Gone():
            return Failure(Reason.CONFLICT, words, True)
        case TimedOut():
            return Failure(Reason.TIMEOUT, words, True, error.retry_after)
        case Unavailable():
            return Failure(Reason.UNAVAILABLE, words, True, error.retry_after)
    return Failure(Reason.UNAVAILABLE, words, True)


def _words(error: ApiError, target: Target) -> str:
    if target.kind == "Secret" and not target.group and not isinstance(error, Forbidden):
        return f"{error.status} {error.reason or 'refused'}; what the server said of this Secret is not repeated"
    return error.message[:MOST_CHARACTERS]


def _other_right(message: str, target: Target) -> str | None:
    """The right as a Role has it, by the server's own words, where it is about something else than the target, as the
    pods of a node are; None where it is about the target."""
    found = RIGHT.search(message)
    if found is None or (found[2], found[3]) == (plural(target.kind), target.group):
        return None
    verb, resource, group, namespace = found.groups()
    return f"{verb} {resource}{'.' + group if group else ''}" + (f" in namespace {namespace}" if namespace else "")


def _kind(target: Target) -> str:
    where = f" in namespace {target.namespace}" if target.namespace else ""
    return f"{target.kind}{'.' + target.group if target.group else ''}{where}"
