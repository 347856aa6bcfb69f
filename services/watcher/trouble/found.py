"""What a look at one object finds: a trouble, what it is about, since when; and the small questions that looks ask.

A look is a pure function from an object, as the API server sent it, and the time to a trouble or None. It never fails
for an odd object: what has not the expected shape is as good as absent. Whether a trouble becomes an alert, and when
that is over, is decided in `lives.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from schemas.alerts import Scalar, Severity
from schemas.reference import PART
from services.kube.objects import Object, ObjectKey, key_of, metadata_of, split_api_version
from services.kube.pointer import resolve as at
from services.runtime.alerts.loose import child, moment, text

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
OWN_LABELS = 24
"""Of the object's own labels, so many go with the alert."""
ZERO = timedelta(0)


class Alert(NamedTuple):
    """One kind of alert. `hold` is how long it must last before it is told, so that a normal start-up is none; `linger`
    how long it must be away before it is over, so that what comes and goes is one life."""

    name: str
    severity: Severity
    hold: timedelta = ZERO
    linger: timedelta = ZERO


class Controller(NamedTuple):
    """Who controls an object, by its ownerReferences."""

    group: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class Subject:
    """The object that is in trouble. `known` is False where only a reference to it was seen: its uid or who
    controls it has to be looked up."""

    key: ObjectKey
    uid: str = ""
    controller: Controller | None = None
    known: bool = True


@dataclass(frozen=True)
class Trouble:
    """`since` may lie ahead: then it begins by itself. From `until` on it is over, even if the object stays."""

    alert: Alert
    about: Subject
    since: datetime
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Scalar] = field(default_factory=dict)
    until: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        """Whether it is there at this moment."""
        return self.since <= now and (self.until is None or now < self.until)


def subject_of(obj: Object) -> Subject:
    """The object itself."""
    return Subject(key_of(obj), text(metadata_of(obj), "uid"), controller_of(obj))


def involved(event: Object, kinds: Iterable[str]) -> Subject | None:
    """The object that an Event is about, if it is of one of these kinds. Whoever may write Events may write anything
    into one: so it is about its own namespace, and about what can be a name."""
    one = child(event, "involvedObject")
    group = split_api_version(text(one, "apiVersion"))[0]
    key = ObjectKey(group, text(one, "kind"), text(metadata_of(event), "namespace"), text(one, "name"))
    if key.kind not in kinds or not can_be(key):
        return None
    return Subject(key, text(one, "uid"), known=key.kind not in OWNED)


def can_be(key: ObjectKey) -> bool:
    """Whether its parts can be parts of a path and of a subject; references are not validated by the API server."""
    parts = (key.group or key.kind, key.kind, key.namespace or key.name, key.name)
    return all(PART.fullmatch(part) and ".." not in part for part in parts)


OWNED = frozenset({"Pod", "ReplicaSet", "Job", "ReplicationController"})
"""Kinds whose controller is who an alert is about."""


def controller_of(obj: Object) -> Controller | None:
    """The one that controls it, None where nobody does."""
    owners = metadata_of(obj).get("ownerReferences")
    for one in owners if isinstance(owners, list) else ():
        if isinstance(one, dict) and one.get("controller"):
            group = split_api_version(text(one, "apiVersion"))[0]
            return Controller(group, text(one, "kind"), text(one, "name"), text(one, "uid"))
    return None


def own_labels(obj: Object) -> dict[str, str]:
    """The object's own labels, which policies may match; without the hash that every roll-out changes."""
    labels = child(metadata_of(obj), "labels")
    known = ((name, value) for name, value in labels.items() if isinstance(value, str) and not name.endswith("-hash"))
    return dict(sorted(known)[:OWN_LABELS])


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The condition of that type, an empty one where there is none."""
    return next((one for one in maps(at(obj, ("status", "conditions"))) if one.get("type") == kind), {})


def maps(value: object) -> Iterator[Mapping[str, Any]]:
    """The entries of a list that are maps."""
    return (one for one in (value if isinstance(value, list) else ()) if isinstance(one, dict))


def containers(pod: Object) -> Iterator[Mapping[str, Any]]:
    """The states of a pod's containers, the first ones to run first."""
    yield from maps(at(pod, ("status", "initContainerStatuses")))
    yield from maps(at(pod, ("status", "containerStatuses")))


def count(value: object) -> int:
    """A whole number that is none below zero, 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def first_moment(*values: object) -> datetime:
    """The first of these that is a time."""
    return next((found for value in values if (found := moment(value)) is not None), NO_TIME)


def created(obj: Object) -> object:
    """When it was made, as it is written."""
    return metadata_of(obj).get("creationTimestamp")


def event_times(event: Object) -> tuple[datetime, datetime]:
    """When an Event was first and last seen; both ways of counting repeats are read."""
    series = child(event, "series")
    first = first_moment(event.get("firstTimestamp"), event.get("eventTime"), created(event))
    last = first_moment(series.get("lastObservedTime"), event.get("lastTimestamp"))
    return first, max(first, last)


def event_count(event: Object) -> int:
    """How often it was seen."""
    return max(count(event.get("count")), count(child(event, "series").get("count")), 1)
