"""How it is said that something is wrong, and that it is over: `fired` and `resolved` make the event.

An alert's identity is its source's own: what stays the same from its beginning to its end, however often and in
whatever order it is told. The event's id follows from it, so that a second delivery has the same id.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TypeVar

from schemas.alerts import AlertFired, AlertResolved, Scalar, Severity
from schemas.events import Event, make_event, stable_id
from schemas.target import Target

T = TypeVar("T")
DataT = TypeVar("DataT", AlertFired, AlertResolved)
MOST_LABELS, LONGEST_VALUE, LONGEST_SUMMARY = 64, 1024, 500


def alert_id_of(cluster: str, source: str, *identity: object) -> str:
    """One life of one alert: `identity` is a fingerprint and its beginning, say."""
    return stable_id(cluster, source, *identity)


def fired(
    origin: str, source: str, sender: str, target: Target, *, alert_id: str, name: str, severity: Severity,
    lasting: bool, onset: datetime, now: datetime, labels: Mapping[str, str],
    values: Mapping[str, Scalar] | None = None, summary: str = "", url: str = "",
) -> Event[AlertFired]:  # fmt: skip
    """An alert that fires, told by the service `origin`.

    What is too long or too much is cut; control characters become spaces.
    """
    data = AlertFired(
        alert_id=alert_id, target=target, source=source, sender=sender, name=one_line(name, LONGEST_VALUE),
        severity=severity, lasting=lasting, onset=onset, fired_at=now, labels=_cut(labels),
        values={one_line(key, LONGEST_VALUE): _scalar(value) for key, value in _first((values or {}).items())},
        summary=one_line(summary, LONGEST_SUMMARY), url=one_line(url, LONGEST_VALUE),
    )  # fmt: skip
    return _event(origin, data, "fired")


def resolved(
    origin: str, source: str, sender: str, target: Target, *, alert_id: str, name: str, onset: datetime,
    resolved_at: datetime,
) -> Event[AlertResolved]:  # fmt: skip
    """The end of an alert."""
    data = AlertResolved(
        alert_id=alert_id, target=target, source=source, sender=sender, name=one_line(name, LONGEST_VALUE),
        onset=onset, resolved_at=resolved_at,
    )  # fmt: skip
    return _event(origin, data, "resolved")


def one_line(text: str, most: int) -> str:
    """At most `most` characters, none of which ends a line or moves a cursor."""
    cut = text[:most]
    return (cut if cut.isprintable() else "".join(one if one.isprintable() else " " for one in cut)).strip()


def _event(origin: str, data: DataT, what: str) -> Event[DataT]:
    return make_event(
        data, id=stable_id(data.alert_id, what), source=origin, subject=data.target.subject,
        time=data.fired_at if isinstance(data, AlertFired) else data.resolved_at, correlationid=data.alert_id,
    )  # fmt: skip


def _first(items: Iterable[T]) -> Iterator[T]:
    return islice(items, MOST_LABELS)


def _cut(labels: Mapping[str, str]) -> dict[str, str]:
    return {one_line(name, LONGEST_VALUE): one_line(value, LONGEST_VALUE) for name, value in _first(labels.items())}


def _scalar(value: Scalar) -> Scalar:
    """Whole numbers beyond 64 bits, which JSON readers would round, become text."""
    if isinstance(value, str):
        return one_line(value, LONGEST_VALUE)
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value
