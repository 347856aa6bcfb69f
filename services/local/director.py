"""Play one scene on the running parts: act as the other client, watch topics and cluster, and judge what was seen.

Called by `services/local/demo.py`. The cluster is watched by a watch of the scene's own; what Setpoint says comes from
the topics. Times are seconds of the monotonic clock of this process.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from schemas.events import ActionFinished, ActionStarted, ChangeObserved, DecisionMade, DriftDetected, Event, Reason
from schemas.target import Target
from services.local.controls import Controls
from services.local.judging import Seen, judge
from services.local.scenes import Scene
from services.local.sightings import Sightings
from services.local.stage import MERGE, Glimpse, Outsider, last_return
from services.local.stream import Arrival, Stream
from services.runtime.clock import Clock
from services.runtime.errors import SetpointError
from services.runtime.kafka import KafkaError

Heard = Callable[[Scene, Event[Any], float], None]
GIVEN_UP = frozenset({Reason.FIGHT, Reason.ATTEMPTS_SPENT, Reason.INEFFECTIVE_CHAIN})


@dataclass(frozen=True)
class Result:
    """How one scene ended. `problems` is empty when it ended as it states."""

    scene: Scene
    target: Target
    seen: Seen
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when it ended as it states."""
        return not self.problems


class Director:
    """What all scenes share."""

    def __init__(
        self, outsider: Outsider, sightings: Sightings, controls: Controls, clock: Clock, heard: Heard
    ) -> None:
        self.outsider, self.sightings, self.controls, self.clock, self.heard = (
            outsider, sightings, controls, clock, heard,
        )  # fmt: skip

    async def play(self, scene: Scene) -> Result:
        """Play it to its end; a failing act is a problem of its scene, not of the others."""
        take = Take(self, scene)
        self.sightings.listeners.append(take.hear)
        problems: tuple[str, ...] = ()
        try:
            async with self.outsider.watching(scene.thing) as take.glimpses:
                await scene.act(take)
                problems = await take.settle()
        except (SetpointError, KafkaError) as error:
            problems = (str(error),)
        finally:
            self.sightings.listeners.remove(take.hear)
        return Result(scene, take.target, take.seen(), problems)


class Take:
    """One scene while it plays; also the hand that its act uses."""

    def __init__(self, director: Director, scene: Scene) -> None:
        self.director, self.scene = director, scene
        self.clock = director.clock
        self.target = scene.thing.target(director.outsider.stage.cluster)
        self.glimpses: Stream[Glimpse] = Stream(self.clock)
        self.events: Sightings = Stream(self.clock)
        self.began = self.clock.monotonic()
        self.since = self.began
        self.written = 0

    def hear(self, arrival: Arrival[Event[Any]]) -> None:
        """Take in what is about this scene's target, and show it."""
        if arrival.item.subject == self.target.subject:
            self.events.add(arrival.item)
            self.director.heard(self.scene, arrival.item, arrival.at - self.began)

    async def kubectl(self, *arguments: str) -> None:
        await self.director.outsider.kubectl(*arguments)

    async def patch(self, body: Any, *, manager: str, subresource: str = "", form: str = MERGE) -> None:
        self.written = await self.director.outsider.patch(
            self.scene.thing, body, manager=manager, subresource=subresource, form=form
        )

    async def pause(self, reason: str) -> None:
        await self.director.controls.pause(self.target, reason)

    async def resume(self) -> None:
        self.since = self.clock.monotonic()
        await self.director.controls.resume(self.target)

    async def decided(self, reason: Reason, within: float = 30.0) -> bool:
        return await self.events.wait(lambda event: _reason(event) is reason, within) is not None

    async def put_right(self, within: float = 30.0) -> bool:
        done = len(self._all(ActionFinished))

        def over() -> bool:
            gone = any(decision.reason in GIVEN_UP for decision in self._all(DecisionMade))
            return gone or (self._corrected() and len(self._all(ActionFinished)) > done)

        return await self._until(over, within) and self._corrected()

    async def look_on(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def settle(self) -> tuple[str, ...]:
        """Wait until all is as stated and has stayed so; else what is not, once the scene's time is up."""
        await self._until(lambda: not judge(self.scene.expected, self.seen()), self.scene.within)
        await self.clock.sleep(self.scene.hold)
        return judge(self.scene.expected, self.seen())

    def seen(self) -> Seen:
        """Everything so far."""
        finished = self._all(ActionFinished)
        open_actions = {a.action_id for a in self._all(ActionStarted)} - {a.action_id for a in finished}
        drifts = self._all(DriftDetected)
        back = last_return(self.glimpses.arrivals, self._is_declared, self.since) if drifts else None
        return Seen(
            noticed=bool(self._all(ChangeObserved)),
            drifts=drifts,
            decisions=self._all(DecisionMade),
            finished=finished,
            under_way=bool(open_actions),
            at_declared=bool(self.glimpses.arrivals) and self._is_declared(self.glimpses.arrivals[-1].item),
            corrected_ms=(back[1] - back[0]) * 1000 if back else None,
        )

    def _is_declared(self, glimpse: Glimpse) -> bool:
        return bool(glimpse.value(self.scene.field) == self.scene.declared)

    def _corrected(self) -> bool:
        last = self.glimpses.arrivals[-1].item
        return last.version > self.written and self._is_declared(last)

    def _all(self, model: type[Any]) -> tuple[Any, ...]:
        return tuple(event.data for _, event in self.events.arrivals if isinstance(event.data, model))

    async def _until(self, condition: Callable[[], bool], within: float) -> bool:
        """Wait until a condition on what was seen holds; False when it did not in time."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    await _either(self.events.changed.wait(), self.glimpses.changed.wait())
        except TimeoutError:
            return condition()
        return True


def _reason(event: Event[Any]) -> Reason | None:
    return event.data.reason if isinstance(event.data, DecisionMade) else None


async def _either(*waits: Awaitable[Any]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
