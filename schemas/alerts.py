"""What other systems, and Kubernetes itself, say is wrong: an alert with a life, from fired to resolved.

Whoever makes an alert (a source of the gateway, a watcher) only says what it is about; finding the object that can be
acted on needs the cluster, and is the reconciler's.
"""

from enum import StrEnum

from pydantic import Field

from schemas.base import EventModel, Timestamp
from schemas.target import Target

Scalar = str | int | float | bool | None

ALERT_GROUP, ALERT_KIND = "setpoint.dev", "Alert"
"""Group and kind of the target of an alert that is about no object of the cluster; its name is the alert's id."""


class Severity(StrEnum):
    """Ordinal, from least to most."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 3 for critical."""
        return list(Severity).index(self)


class AlertFired(EventModel):
    """Something is wrong, or was seen to happen. The same alert told again has the same event id.

    `target` is the most specific object that the sender named, unchecked: it may be gone, or never have been.
    """

    alert_id: str = Field(description="one life of one alert: the same from fired to resolved")
    target: Target
    source: str = Field(description="falco, alertmanager, …: who makes such alerts")
    sender: str = Field(description="which one of several of that source: the last part of the gateway's path")
    name: str = Field(description="the rule's or the alert's name: what policies match first")
    severity: Severity
    lasting: bool = Field(description="whether it is told when it is over; one that is not happened at `onset`")
    onset: Timestamp
    fired_at: Timestamp = Field(description="when this process heard of it")
    labels: dict[str, str] = Field(default_factory=dict)
    values: dict[str, Scalar] = Field(default_factory=dict, description="what was measured or seen, by name")
    summary: str = Field("", description="the sender's own words, one line, cut at 500 characters")
    url: str = ""


class AlertResolved(EventModel):
    """An alert is over, by its source's own word."""

    alert_id: str
    target: Target
    source: str
    sender: str
    name: str
    onset: Timestamp
    resolved_at: Timestamp
