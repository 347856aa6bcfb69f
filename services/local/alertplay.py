"""Play the scenes on alerts, one after another, and keep what was seen of each. Called by `services/local/demo.py`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rich.markup import escape

from schemas.approvals import ApprovalRequested
from schemas.base import EventModel
from schemas.events import ActionFinished, ControlKind, DecisionMade, Event, Outcome, Reason, Scope
from schemas.target import Target
from services.local.alarms import Alarm, Callers
from services.local.alertscenes import SHOP, AlertScene
from services.local.controls import Controls
from services.local.sightings import Sightings
from services.local.stage import Outsider
from services.local.stream import Arrival
from services.runtime.clock import Clock
from services.runtime.errors import SetpointError
from services.runtime.kafka import KafkaError

LOOK_S = 0.1
DataT = TypeVar("DataT", bound=EventModel)


class Missed(Exception):
    """Something that the scene waits for did not come."""


@dataclass(frozen=True)
class AlertResult:
    """How one scene ended. `problems` is empty when all was seen. `effect_ms` is from the first call to the first end
    of an action."""

    scene: AlertScene
    decisions: tuple[DecisionMade, ...]
    finished: tuple[ActionFinished, ...]
    problems: tuple[str, ...] = ()
    effect_ms: float | None = None

    @property
    def ok(self) -> bool:
        """True when all of it was seen."""
        return not self.problems


class Shown(Protocol):
    """Where lines go while a scene plays."""

    def alert_said(self, text: str, after_s: float) -> None:
        """One line, `after_s` seconds into the scene; with markup."""


class Players:
    """What all scenes share."""

    def __init__(
        self, outsider: Outsider, sightings: Sightings, controls: Controls, callers: Callers, clock: Clock, shown: Shown
    ) -> None:
        self.outsider, self.sightings, self.controls = outsider, sightings, controls
        self.callers, self.clock, self.shown = callers, clock, shown

    async def play(self, scene: AlertScene) -> AlertResult:
        """Play it to its end. What fails is its problem, not that of the others."""
        play = Play(self)
        self.sightings.listeners.append(play.hear)
        problems: tuple[str, ...] = ()
        try:
            await scene.act(play)
        except (Missed, SetpointError, KafkaError) as error:
            problems = (str(error),)
        finally:
            self.sightings.listeners.remove(play.hear)
        return AlertResult(scene, play.all_of(DecisionMade), play.all_of(ActionFinished), problems, play.effect_ms())


class Play:
    """One scene while it plays; the hand that its script uses."""

    def __init__(self, players: Players) -> None:
        self.players, self.clock = players, players.clock
        self.began = self.clock.monotonic()
        self.called: float | None = None
        self.events: list[Arrival[Event[Any]]] = []
        self.met: set[int] = set()
        self.changed = asyncio.Event()

    def hear(self, arrival: Arrival[Event[Any]]) -> None:
        """Keep what a policy has made of alerts."""
        if getattr(arrival.item.data, "alert_id", None) is not None:
            self.events.append(arrival)
            changed, self.changed = self.changed, asyncio.Event()
            changed.set()

    async def falco(self, rule: str, pod: str, **fields: str) -> None:
        self._calls()
        await self.players.callers.falco(rule, SHOP, pod, **fields)

    async def alert(self, name: str, deployment: str, namespace: str = SHOP, **labels: str) -> Alarm:
        self._calls()
        known = {"alertname": name, "namespace": namespace, "deployment": deployment, **labels}
        alarm = Alarm(known, self.clock.now())
        await self.players.callers.alertmanager(alarm)
        return alarm

    async def over(self, *alarms: Alarm) -> None:
        for alarm in alarms:
            await self.players.callers.alertmanager(alarm, resolved=True)

    async def decided(self, policy: str, reason: Reason, within: float = 30.0) -> DecisionMade:
        def fits(made: DecisionMade) -> bool:
            return made.policy == policy and made.reason is reason

        found = await self._meet(DecisionMade, fits, f"{policy} decides: {reason}", within)
        self.say(f"decision  {found.verdict}: {found.reason}  [dim]{escape(found.message)}[/dim]")
        return found

    async def ended(self, policy: str, outcome: Outcome, reason: Reason, within: float = 60.0) -> ActionFinished:
        def fits(done: ActionFinished) -> bool:
            return done.policy == policy and done.outcome is outcome and done.reason is reason

        found = await self._meet(ActionFinished, fits, f"an action of {policy} ends: {outcome}/{reason}", within)
        self.say(f"action    {found.action}: {found.outcome} ({found.reason})  [dim]{escape(found.message)}[/dim]")
        return found

    async def asked(self, policy: str) -> ApprovalRequested:
        found = await self._meet(ApprovalRequested, lambda one: one.policy == policy, f"{policy} asks", 30.0)
        self.say(f"question  may {found.action} be done? [dim]{escape(found.plan.splitlines()[-1])}[/dim]")
        return found

    async def answer(self, asked: ApprovalRequested, answer: str, user: str) -> None:
        await self.players.callers.answer(asked.approval_id, answer, user)
        self.say(f"answer    {user}: {answer}")

    async def pause(self, deployment: str) -> Callable[[], Awaitable[None]]:
        cluster = self.players.outsider.stage.cluster
        target = Target(cluster=cluster, group="apps", kind="Deployment", namespace=SHOP, name=deployment)
        await self.players.controls.pause(target, "somebody looks into it")
        return lambda: self.players.controls.resume(target)

    async def kill_switch(self) -> Callable[[], Awaitable[None]]:
        scope = Scope(cluster=self.players.outsider.stage.cluster)
        await self.players.controls.put(ControlKind.KILL_SWITCH, scope, "everything stops")
        return lambda: self.players.controls.remove(ControlKind.KILL_SWITCH, scope)

    async def kubectl(self, *arguments: str) -> str:
        return await self.players.outsider.kubectl(f"--namespace={SHOP}", *arguments)

    async def sees(self, what: str, holds: Callable[[], Awaitable[bool]], within: float = 30.0) -> None:
        await self.until(what, holds, within)
        self.say(f"cluster   {escape(what)}")

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
        until = self.clock.monotonic() + within
        while not await holds():
            if self.clock.monotonic() > until:
                raise Missed(f"not within {within:g} s: {what}")
            await self.clock.sleep(LOOK_S)

    def decisions(self, policy: str) -> list[DecisionMade]:
        return [made for made in self.all_of(DecisionMade) if made.policy == policy]

    def say(self, text: str) -> None:
        self.players.shown.alert_said(text, self.clock.monotonic() - self.began)

    def all_of(self, kind: type[DataT]) -> tuple[DataT, ...]:
        """Everything of one type so far."""
        return tuple(event.data for _, event in self.events if isinstance(event.data, kind))

    def effect_ms(self) -> float | None:
        """From the first call to the first end of an action."""
        ends = (at for at, event in self.events if isinstance(event.data, ActionFinished))
        first = next(ends, None)
        return (first - self.called) * 1000 if first is not None and self.called is not None else None

    def _calls(self) -> None:
        self.called = self.called or self.clock.monotonic()

    async def _meet(
        self, kind: type[DataT], fits: Callable[[DataT], bool], what: str, within: float
    ) -> DataT:  # fmt: skip
        """The oldest event that fits and was not met yet."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for index, (_, event) in enumerate(self.events):
                        if index not in self.met and isinstance(event.data, kind) and fits(event.data):
                            self.met.add(index)
                            return event.data
                    await self.changed.wait()
        except TimeoutError:
            raise Missed(f"not within {within:g} s: {what}; seen: {self._seen()}") from None

    def _seen(self) -> str:
        """What came besides, in words."""
        others = [event.data for index, (_, event) in enumerate(self.events) if index not in self.met]
        return ", ".join(_words(data) for data in others[-5:]) or "nothing"


def _words(data: Any) -> str:
    if isinstance(data, DecisionMade):
        return f"{data.policy or 'no policy'} decided {data.verdict}/{data.reason} ({data.message})"
    if isinstance(data, ActionFinished):
        return f"{data.policy}'s {data.action} ended {data.outcome}/{data.reason} ({data.message})"
    return f"{type(data).__name__} of {getattr(data, 'policy', '')}"
