"""An alert as the expressions of policies see it: `event.name`, `event.labels`, `event.workload` and the rest.

Most expressions read one or two parts, and every alert is looked at by many: a part is made where it is read.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.alerts import ALERT_GROUP, AlertFired
from schemas.ledger import Place
from schemas.reference import text_of
from schemas.target import Target


def view_of(alert: AlertFired, place: Place | None, *, environment: str, now: datetime) -> "View":
    """The event as expressions see it."""
    return View(alert, place or Place(), environment, now)


@dataclass(frozen=True)
class View(Mapping[str, Any]):
    """An event's parts by name, each made where it is read. What is not known is not there."""

    alert: AlertFired
    place: Place
    environment: str
    now: datetime

    def __getitem__(self, name: str) -> Any:
        if name in PARTS:
            return PARTS[name](self)
        target = getattr(self.place, name) if name in OBJECTS else None
        if target is None:
            raise KeyError(name)
        return text_of(target)

    def __iter__(self) -> Iterator[str]:
        yield from PARTS
        yield from (name for name in OBJECTS if getattr(self.place, name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def about(self) -> Target:
        """The object as the cluster has it; as the alert says where it was not found."""
        return self.place.object or self.alert.target


OBJECTS = ("object", "pod", "workload", "node", "application")
PARTS: Mapping[str, Callable[[View], Any]] = {
    "name": lambda view: view.alert.name,
    "severity": lambda view: view.alert.severity.rank,
    "source": lambda view: view.alert.source,
    "sender": lambda view: view.alert.sender,
    "cluster": lambda view: view.alert.target.cluster,
    "namespace": lambda view: view.about.namespace,
    "labels": lambda view: view.alert.labels,
    "values": lambda view: view.alert.values,
    "kind": lambda view: "" if view.about.group == ALERT_GROUP else view.about.kind,
    "summary": lambda view: view.alert.summary,
    "url": lambda view: view.alert.url,
    "env": lambda view: view.alert.labels.get("env") or view.alert.labels.get("environment") or view.environment,
    "lasting": lambda view: view.alert.lasting,
    "onset": lambda view: view.alert.onset,
    "age_s": lambda view: max(0.0, (view.now - view.alert.onset).total_seconds()),
}
