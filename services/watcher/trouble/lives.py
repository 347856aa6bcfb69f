"""From troubles to alerts with a life, without a clock, a cluster or a broker: fired once, resolved once.

A life is of one alert's name and one target. Several objects may be in the same trouble at once, all pods of a
Deployment, say, and may be replaced by others that fare no better: that is one life. It is told once it has lasted for
the alert's `hold`, and is over once nothing was in that trouble for its `linger`.

The alert's id is made from name, target, onset and the life before this one, and the onset is the object's own word, so
that a second watcher that comes to the same conclusion gives the same id. After a restart what was told and not
resolved is taken over (`restore`): it goes on without being told again, and ends if it ended meanwhile. No life ends
until the kinds that it can come from were listed; its label `seen_in` says which one it came from.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from schemas.alerts import AlertFired, AlertResolved, Scalar
from schemas.events import Event
from schemas.target import Target
from services.kube.objects import ObjectKey
from services.runtime.alerts.made import alert_id_of, fired, resolved
from services.watcher.trouble.found import ZERO, Trouble
from services.watcher.trouble.kinds import ALERTS, Kind

ORIGIN, MAKER = "setpoint/watcher/trouble", "kubernetes"
"""What its events name as their source, and what policies know such alerts by."""
RETELL = timedelta(days=1)
"""An alert that goes on is said again, with the same id, well before the topic's retention forgets it."""
REFRESH = timedelta(minutes=5)
"""And at most this often where what was measured has changed: policies may wait for a number of restarts."""

SEEN_IN, AFFECTED = "seen_in", "affected"
Complete = Callable[[str, str], bool]
"""Whether all is seen that an alert of this name can come from, at least the kind that it came from, as text."""


class LifeKey(NamedTuple):
    """One alert's name and one target; another object of the same name is another target."""

    name: str
    subject: str
    uid: str | None


class Placed(NamedTuple):
    """A trouble, the kind that told it, and what an alert of it is about: its object's workload where it has one."""

    key: LifeKey
    target: Target
    trouble: Trouble
    seen_in: str


def place(target: Target, trouble: Trouble, seen_in: str) -> Placed:
    """A trouble and the life that it belongs to."""
    return Placed(LifeKey(trouble.alert.name, target.subject, target.uid), target, trouble, seen_in)


@dataclass
class Life:
    """`told` is what was last said of it, None as long as it may be nothing. `seen` is when it was last there."""

    onset: datetime
    seen: datetime
    told: AlertFired | None = None
    said_at: datetime | None = None


Where = tuple[Kind, ObjectKey]
"""An object, and the list that it was seen in."""


@dataclass
class Board:
    """All lives of one cluster. What `due` gives counts as said only with `said`: until then it is due again."""

    cluster: str
    found: dict[Where, tuple[Placed, ...]] = field(default_factory=dict)
    lives: dict[LifeKey, Life] = field(default_factory=dict)
    ended: dict[LifeKey, str] = field(default_factory=dict)

    def put(self, where: Where, placed: Sequence[Placed], now: datetime) -> None:
        """What is wrong with one object from now on. What was, was until now: nobody may have looked for a while."""
        for before in self.found.get(where, ()):
            life = self.lives.get(before.key)
            if life is not None and before.trouble.lasts(now):
                life.seen = max(life.seen, now)
        if placed:
            self.found[where] = tuple(placed)
        else:
            self.found.pop(where, None)

    def restore(self, data: AlertFired | AlertResolved, said_at: datetime) -> None:
        """Take in what was said before, in its order."""
        key = _key_of(data)
        if isinstance(data, AlertFired):
            self.lives[key] = Life(data.onset, said_at, data, said_at)
            return
        self.ended[key] = data.alert_id
        life = self.lives.get(key)
        if life is not None and life.told is not None and life.told.alert_id == data.alert_id:
            del self.lives[key]

    def due(self, now: datetime, complete: Complete) -> list[Event[Any]]:
        """What is to be said now. Lives that were nothing are forgotten."""
        present = self._present(now)
        for key, placed in present.items():
            life = self.lives.setdefault(key, Life(min(one.trouble.since for one in placed), now))
            life.seen = now
        return [*self._beginnings(present, now), *self._ends(self.lives.keys() - present.keys(), now, complete)]

    def said(self, event: Event[Any]) -> None:
        """The broker has it."""
        data = event.data
        if isinstance(data, AlertResolved):
            self.restore(data, data.resolved_at)
            return
        life = self.lives[_key_of(data)]
        life.told, life.said_at = data, event.time

    def open(self) -> list[AlertFired]:
        """What was told and is not over."""
        return [life.told for life in self.lives.values() if life.told is not None]

    def _present(self, now: datetime) -> dict[LifeKey, list[Placed]]:
        present: dict[LifeKey, list[Placed]] = {}
        for placed in self.found.values():
            for one in placed:
                if one.trouble.lasts(now):
                    present.setdefault(one.key, []).append(one)
        return present

    def _beginnings(self, present: dict[LifeKey, list[Placed]], now: datetime) -> Iterator[Event[AlertFired]]:
        for key, placed in present.items():
            life = self.lives[key]
            if life.told is None:
                if now - life.onset >= placed[0].trouble.alert.hold:
                    yield self._fired(key, life, placed, now)
            elif life.said_at is not None and now - life.said_at >= REFRESH:
                values = _values(placed)
                if _measured(values) != _measured(life.told.values) or now - life.said_at > RETELL:
                    yield _again(life.told, values, now)

    def _ends(self, absent: Iterable[LifeKey], now: datetime, complete: Complete) -> Iterator[Event[AlertResolved]]:
        for key in absent:
            life = self.lives[key]
            if not complete(key.name, life.told.labels.get(SEEN_IN, "") if life.told else ""):
                life.seen = now
            elif now - life.seen < _linger(key.name):
                continue
            elif life.told is None:
                del self.lives[key]
            else:
                yield resolved(
                    ORIGIN, MAKER, self.cluster, life.told.target, alert_id=life.told.alert_id, name=key.name,
                    onset=life.told.onset, resolved_at=max(now, life.told.onset),
                )  # fmt: skip

    def _fired(self, key: LifeKey, life: Life, placed: list[Placed], now: datetime) -> Event[AlertFired]:
        first = _first(placed)
        trouble = first.trouble
        alert_id = alert_id_of(self.cluster, MAKER, *key, life.onset.isoformat(), self.ended.get(key, ""))
        return fired(
            ORIGIN, MAKER, self.cluster, first.target, alert_id=alert_id, name=key.name,
            severity=trouble.alert.severity, lasting=True, onset=min(life.onset, now), now=now,
            labels={**trouble.labels, **_names(trouble.about.key), SEEN_IN: first.seen_in},
            values=_values(placed), summary=trouble.summary,
        )  # fmt: skip


def _first(placed: Iterable[Placed]) -> Placed:
    """The one that a life's words are taken from."""
    return min(placed, key=lambda one: (one.trouble.since, str(one.trouble.about.key)))


def _values(placed: list[Placed]) -> dict[str, Scalar]:
    """What is measured now: the most of each number."""
    found: dict[str, Scalar] = dict(_first(placed).trouble.values)
    for one in placed:
        for name, value in one.trouble.values.items():
            known = found.get(name)
            if isinstance(value, int | float) and isinstance(known, int | float):
                found[name] = max(known, value)
    return {**found, AFFECTED: len({one.trouble.about.key for one in placed})}


def _measured(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Without how many are affected, which comes and goes with every roll-out."""
    return {name: value for name, value in values.items() if name != AFFECTED}


def _again(told: AlertFired, values: dict[str, Scalar], now: datetime) -> Event[AlertFired]:
    return fired(
        ORIGIN, MAKER, told.sender, told.target, alert_id=told.alert_id, name=told.name, severity=told.severity,
        lasting=True, onset=told.onset, now=now, labels=told.labels, values=values, summary=told.summary,
    )  # fmt: skip


def _key_of(data: AlertFired | AlertResolved) -> LifeKey:
    return LifeKey(data.name, data.target.subject, data.target.uid)


def _linger(name: str) -> timedelta:
    """An alert that this version does not know any more has none."""
    return ALERTS[name].linger if name in ALERTS else ZERO


def _names(key: ObjectKey) -> dict[str, str]:
    """The object that is in trouble, as labels of alerts name objects."""
    names = {key.kind.lower(): key.name, "namespace": key.namespace}
    return {name: value for name, value in names.items() if name and value}
