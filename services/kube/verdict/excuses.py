"""Differences that are no drift, though the declared value is not there: what controllers and shipped rules excuse.

Called only where something differs, so that an object in sync costs nothing. What is excused is also left alone by a
correction of the same object: otherwise putting one field back would reset the autoscaler's replicas next to it.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from services.kube.comparison.equality import is_empty
from services.kube.objects import Object, ObjectKey, metadata_of
from services.kube.pointer import FieldDiff, Segments, matches, parse_pointer
from services.kube.writers.ownership import Writers
from services.kube.writers.trust import OURS, is_person, may_change, shipped

IGNORE = "setpoint.dev/ignore"


class Verdicts(NamedTuple):
    """The differences that count, and the pointers of those that do not."""

    drift: list[FieldDiff]
    left: tuple[str, ...]


def excuse(
    diffs: Iterable[FieldDiff], live: Object, key: ObjectKey, trusted: frozenset[str], applier: str | None
) -> Verdicts:
    """Sort differences into drift and what is left to others."""
    kept, left, writers = [], [], Writers(live)
    for diff in diffs:
        if _by_controller(diff, writers, trusted, applier) or _by_rule(diff, writers, key):
            left.append(diff.path)
        else:
            kept.append(diff)
    return Verdicts(kept, tuple(left))


def own_rules(manifest: Object) -> tuple[str, ...]:
    """Pointers that a manifest's own annotation leaves to others: `setpoint.dev/ignore: /spec/replicas,/metadata/…`.

    Only the declaration's annotation counts. One that anybody can put on the live object would hide what they did.
    """
    annotations = metadata_of(manifest).get("annotations")
    text = annotations.get(IGNORE) if isinstance(annotations, dict) else None
    return (
        tuple(part for part in text.replace(",", " ").split() if part.startswith("/")) if isinstance(text, str) else ()
    )


def _by_controller(diff: FieldDiff, known: Writers, trusted: frozenset[str], applier: str | None) -> bool:
    """True where controllers alone hold the live value."""
    if diff.kind == "removed":
        return False  # managedFields proves nobody for what is not there
    writers = {owner.manager for owner in known.of(diff.path)} - OURS - {applier or ""}
    return bool(writers) and all(may_change(trusted, applier, writer) for writer in writers)


def _by_rule(diff: FieldDiff, known: Writers, key: ObjectKey) -> bool:
    at = parse_pointer(diff.path)
    kind = f"{key.kind}.{key.group}" if key.group else key.kind
    for rule in shipped("ignored.yaml"):
        if fnmatchcase(kind, rule["kind"]) and matches(_segments(rule["path"]), at):
            return rule.get("live", diff.live) == diff.live and _holds(rule["by"], diff, known)
    return False


def _holds(by: str, diff: FieldDiff, known: Writers) -> bool:
    """Whether a rule is meant for whoever wrote the field."""
    if by == "nobody":
        return diff.kind != "removed" and not known.of(diff.path)
    return by == "anyone" or _by_no_person(diff, known)


def _by_no_person(diff: FieldDiff, known: Writers) -> bool:
    """False for what is gone or empty: controllers write such fields, they do not take them away."""
    return (
        diff.kind != "removed"
        and not is_empty(diff.live)
        and not any(is_person(owner.manager) for owner in known.of(diff.path))
    )


def _segments(path: str) -> Segments:
    return parse_pointer(path)
