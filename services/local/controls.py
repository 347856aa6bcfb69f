"""Pause and resume single targets in the demo, as `setpoint pause` does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.events import ControlKind, ControlRemoved, ControlSet, Scope
from schemas.target import Target
from services.runtime.clock import Clock
from services.runtime.controls import ControlWriter, control_writer

BY = "demo"
TAKEN_IN = 0.5  # seconds: the reconciler reads controls and drift from two topics, in no order between them


class Controls:
    """Writes controls of the demo's own."""

    def __init__(self, writer: ControlWriter, clock: Clock) -> None:
        self.writer, self.clock = writer, clock

    async def pause(self, target: Target, reason: str) -> None:
        """Set a pause on one target, and give the reconciler the time to take it in."""
        await self.put(ControlKind.PAUSE, _scope(target), reason)

    async def resume(self, target: Target) -> None:
        """Lift it again."""
        await self.remove(ControlKind.PAUSE, _scope(target))

    async def put(self, kind: ControlKind, scope: Scope, reason: str) -> None:
        """Set a control, and give the reconciler the time to take it in."""
        await self.writer.put(ControlSet(name=_name(kind, scope), kind=kind, scope=scope, by=BY, reason=reason))
        await self.clock.sleep(TAKEN_IN)

    async def remove(self, kind: ControlKind, scope: Scope) -> None:
        """Lift it again."""
        await self.writer.remove(ControlRemoved(name=_name(kind, scope), scope=scope, by=BY))


@asynccontextmanager
async def controls(bootstrap: str, clock: Clock) -> AsyncIterator[Controls]:
    """A writer of controls for the length of a block."""
    async with control_writer(bootstrap, clock, "setpoint/demo") as writer:
        yield Controls(writer, clock)


def _name(kind: ControlKind, scope: Scope) -> str:
    return f"demo-{scope.subject.rpartition('/')[2] if scope.subject else kind}"


def _scope(target: Target) -> Scope:
    return Scope(cluster=target.cluster, subject=target.subject)
