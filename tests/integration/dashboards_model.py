"""What dashboards must show, computed in plain Python from the payloads alone: no SQL but the reading of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

Data = dict[str, Any]


@dataclass
class Life:
    """One life of a drift, an alert, a question or an action: what was told of it first and last."""

    first: Data = field(default_factory=dict)
    last: Data = field(default_factory=dict)
    began: datetime | None = None
    ended: datetime | None = None
    end: Data = field(default_factory=dict)
    told: int = 0
    managers: set[str] = field(default_factory=set)

    def tell(self, time: datetime, data: Data, order: Any) -> None:
        """It began, or is told again; `order` says which word is the newest."""
        self.told += 1
        self.managers |= {part["manager"] for part in data.get("fields", ()) if part.get("manager")}
        if self.began is None or time < self.began:
            self.began, self.first = time, data
        if not self.last or order >= self.last["__order"]:
            self.last = {**data, "__order": order}

    def close(self, time: datetime, data: Data) -> None:
        """It is over."""
        self.ended, self.end = time, data


@dataclass
class Model:
    """Everything that happened, by id."""

    drifts: dict[str, Life] = field(default_factory=lambda: defaultdict(Life))
    alerts: dict[str, Life] = field(default_factory=lambda: defaultdict(Life))
    questions: dict[str, Life] = field(default_factory=lambda: defaultdict(Life))
    actions: dict[str, Life] = field(default_factory=lambda: defaultdict(Life))
    decisions: list[tuple[datetime, Data]] = field(default_factory=list)
    changes: list[tuple[datetime, Data]] = field(default_factory=list)

    def last_outcome(self, drift_id: str) -> str | None:
        """Of a drift's actions, the one that began last; None without any."""
        mine = [life for life in self.actions.values() if life.first.get("drift_id") == drift_id]
        newest = max(mine, key=lambda life: life.began, default=None)  # type: ignore[arg-type, return-value]
        return newest.end.get("outcome") if newest else None


def model_of(payloads: Iterable[bytes | str]) -> Model:
    """Fold events, in any order."""
    model = Model()
    for payload in payloads:
        event = orjson.loads(payload)
        time, data = datetime.fromisoformat(event["time"]), event["data"]
        READ.get(event["type"].removeprefix("dev.setpoint.").removesuffix(".v1"), _passed)(model, time, data)
    return model


def _passed(model: Model, time: datetime, data: Data) -> None:
    """Other events are in no model."""


def _detected(model: Model, time: datetime, data: Data) -> None:
    model.drifts[data["drift_id"]].tell(time, data, (data["update"], time))


def _fired(model: Model, time: datetime, data: Data) -> None:
    model.alerts[data["alert_id"]].tell(time, data, time)


def _asked(model: Model, time: datetime, data: Data) -> None:
    model.questions[data["approval_id"]].tell(time, data, time)


def _started(model: Model, time: datetime, data: Data) -> None:
    model.actions[data["action_id"]].tell(time, data, time)


READ: dict[str, Callable[[Model, datetime, Data], None]] = {
    "drift.detected": _detected,
    "drift.cleared": lambda model, time, data: model.drifts[data["drift_id"]].close(time, data),
    "alert.fired": _fired,
    "alert.resolved": lambda model, time, data: model.alerts[data["alert_id"]].close(time, data),
    "approval.requested": _asked,
    "approval.closed": lambda model, time, data: model.questions[data["approval_id"]].close(time, data),
    "action.started": _started,
    "action.finished": lambda model, time, data: model.actions[data["action_id"]].close(time, data),
    "decision.made": lambda model, time, data: model.decisions.append((time, data)),
    "change.observed": lambda model, time, data: model.changes.append((time, data)),
}
