"""How a source says that something is wrong: `fired` and `resolved` make the event and say where it goes.

What they take and make is `services/runtime/alerts/made.py`'s: here the source's sender tells it, through the gateway.
"""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from schemas.events import Event
from schemas.target import Target
from schemas.topics import TopicName
from services.gateway.source import Made, Sender
from services.runtime.alerts import made
from services.runtime.alerts.made import LONGEST_SUMMARY, alert_id_of, one_line

__all__ = ["LONGEST_SUMMARY", "alert_id_of", "fired", "one_line", "origin", "resolved", "to_topic"]

SaidP = ParamSpec("SaidP")


def origin(source: str) -> str:
    """What the gateway's events name as their own source."""
    return f"setpoint/gateway/{source}"


def to_topic(event: Event[Any]) -> Made:
    """An alert's event, and where it goes."""
    return Made(TopicName.ALERTS, event.data.target.cluster, event)


def _sent(
    make: Callable[Concatenate[str, str, str, Target, SaidP], Event[Any]],
) -> Callable[Concatenate[str, Sender, Target, SaidP], Made]:
    def send(source: str, sender: Sender, target: Target, /, *args: SaidP.args, **said: SaidP.kwargs) -> Made:
        return to_topic(make(origin(source), source, sender.name, target, *args, **said))

    return send


fired = _sent(made.fired)
resolved = _sent(made.resolved)
