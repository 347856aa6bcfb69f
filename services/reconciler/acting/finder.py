"""Look the targets of new alerts up before they are decided, so that a decision costs one transaction and not two.

A batch waits for the cluster's answers for a quarter of a second at most. What is not there by then comes later, as the
result of a task of its own; and while the cluster does not answer at all, no batch waits for it.
"""

import asyncio
from collections.abc import Callable, Iterable

from schemas.alerts import AlertFired
from schemas.ledger import Place
from services.reconciler.acting.carrier import Desk, find
from services.reconciler.inputs import Errand, Found, Task

QUICK_S = 0.25


class Finder:
    """For one partition. `deliver` takes what was found too late for its batch."""

    def __init__(self, desk: Desk, deliver: Callable[[Found], None]) -> None:
        self.desk, self.deliver = desk, deliver
        self.looking: dict[str, asyncio.Task[Found]] = {}
        self.answers = True  # whether the cluster does, as far as is known

    async def quickly(self, alerts: Iterable[AlertFired]) -> dict[str, Place]:
        """The places that are found in time, by alert id."""
        if not self.answers:
            return {}
        looking = [self._look(alert) for alert in alerts]
        if not looking:
            return {}
        done, _ = await asyncio.wait(looking, timeout=QUICK_S)
        found = [one.result() for one in done]
        self.answers = any(one.place is not None for one in found)
        return {one.alert_id: one.place for one in found if one.place is not None}

    def start(self, task: Task) -> asyncio.Task[Found]:
        """A task of the state machine's: its answer is delivered, also where it is being looked for already."""
        looking = self._look(task.alert)
        looking.add_done_callback(self._hand_over)
        return looking

    async def close(self) -> None:
        """Stop looking."""
        looking = list(self.looking.values())
        for one in looking:
            one.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    def _look(self, alert: AlertFired) -> asyncio.Task[Found]:
        known = self.looking.get(alert.alert_id)
        if known is not None:
            return known
        task = Task(Errand.FIND, alert.target, alert, Place())
        looking = self.looking[alert.alert_id] = asyncio.create_task(find(task, self.desk))
        looking.add_done_callback(lambda _: self.looking.pop(alert.alert_id, None))
        return looking

    def _hand_over(self, looking: "asyncio.Task[Found]") -> None:
        if not looking.cancelled():
            found = looking.result()
            self.answers = self.answers or found.place is not None
            self.deliver(found)
