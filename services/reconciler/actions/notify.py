"""Tell people: an event that the messengers take up. It is published with the action's end, so never twice.

The text may come from an alert, so it is cut, and characters that would act on a terminal or start a line are replaced.
"""

import unicodedata

from schemas.actions import Notify as Parameters
from schemas.events import PeopleTold
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene

LONGEST = 3000  # characters; what a message of Slack's takes


class Notify(Operation[Parameters]):
    """The action `notify`."""

    name = "notify"
    example = 'notify: {to: "#platform-alerts", message: "${event.summary}"}'

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return ()

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        return Plan(None, f"tell {scene.parameters.to}: {message_of(scene)}")

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        told = PeopleTold(
            action_id=scene.action_id, target=scene.alert.target, policy=scene.policy, to=scene.parameters.to,
            message=message_of(scene), at=scene.clock.now(),
        )  # fmt: skip
        return Applied(facts=(told,), words=f"told {scene.parameters.to}")


def message_of(scene: Scene[Parameters]) -> str:
    """What is said; the alert's own words where the policy says nothing."""
    alert = scene.alert
    text = scene.parameters.message or alert.summary or f"{alert.name} ({alert.severity}): {alert.target.subject}"
    return plain(text)


def plain(text: str) -> str:
    """One line without control or formatting characters."""
    kept = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text)
    line = " ".join(kept.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
