"""Keep new pods off a node, and let them on again.

The mark says whose doing the node's state is: an undo only takes back what this action did, never a person's cordon.
`hold` and `release` are what `drain` cordons with.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from schemas import actions
from schemas.events import Reason
from services.kube.objects import Object
from services.kube.pointer import resolve
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.seen import (
    Seen,
    conditioned,
    mark_of,
    marked_by,
    marks,
    named,
    refused,
    see,
    seen_again,
    subject,
    unmarked,
    write,
)
from services.reconciler.guards.base import Denial

NODE = ("", "Node")
OWN = "/spec/unschedulable"
"""What it changes itself: the taint follows by a controller's hand, in its own time."""
P = TypeVar("P", actions.Cordon, actions.Uncordon)


class _Turn(Operation[P]):
    """Either way. `closes`: no new pods afterwards."""

    closes: bool
    reversible = True

    def rules(self, parameters: P) -> tuple[Rule, ...]:
        return (Rule("", "nodes", ("get", "patch")),)

    async def plan(self, scene: Scene[P]) -> Plan:
        target = subject(scene)
        words = f"{self.name} {named(target)}"
        if (target.group, target.kind) != NODE:
            return refused(target, words, Reason.PARAMETERS, f"a {target.kind} is no node")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        ours = mark_of(found.live) == scene.action_id
        before = {"action": scene.action_id, "uid": found.uid}
        if is_cordoned(found.live) is self.closes:
            return Plan(found.target, words, so=True, ours=ours, before=before if ours else {})
        if ours:
            return refused(found.target, words, Reason.NO_LONGER_TRUE, "somebody has taken this back since")
        body = conditioned(turned(self.closes, marks(scene)), found.live, version=False)
        after = await scene.api.patch(found.target, body, dry_run=True)
        diff = tuple(one for one in changes(found.live, after, scene.mask_key) if one.path.startswith(OWN))
        return Plan(found.target, words, diff, (found.target,), before=before, state=found)

    async def apply(self, plan: Plan, scene: Scene[P]) -> Applied:
        if not plan.so:
            await turn(scene, plan.state, self.closes, marks(scene))
        return Applied()

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[P]) -> str | None:
        found = await see(scene, plan.target)
        if isinstance(found, Denial):
            return found.message
        return None if is_cordoned(found.live) is self.closes else "somebody has taken it back"

    async def undo(self, before: Mapping[str, Any], scene: Scene[P]) -> str | None:
        return await put_back(before, scene, closed=self.closes)


class Cordon(_Turn[actions.Cordon]):
    """The action `cordon`."""

    name = "cordon"
    example = 'cordon: {node: "${event.node}"}'
    closes = True


class Uncordon(_Turn[actions.Uncordon]):
    """The action `uncordon`."""

    name = "uncordon"
    example = "uncordon: {node: Node/worker-1}"
    closes = False


def is_cordoned(node: Object) -> bool:
    """Whether it takes no new pods."""
    return bool(resolve(node, ("spec", "unschedulable")))


def turned(closes: bool, notes: Mapping[str, str | None]) -> Object:
    """The merge patch, with its marks."""
    return {"metadata": {"annotations": dict(notes)}, "spec": {"unschedulable": True if closes else None}}


async def turn(scene: Scene[Any], found: Seen, closes: bool, notes: Mapping[str, str | None]) -> Object:
    """Cordon or uncordon, unless somebody has meanwhile."""
    stood = is_cordoned(found.live)
    return await write(
        scene, found, turned(closes, notes), lambda node: is_cordoned(node) is stood, done=marked_by(scene.action_id)
    )


async def put_back(before: Mapping[str, Any], scene: Scene[Any], *, closed: bool) -> str | None:
    """Turn back what the action did; nothing where it did nothing."""
    if "action" not in before:
        return None
    found = await seen_again(before, scene)
    if isinstance(found, str):
        return found
    if is_cordoned(found.live) is not closed:
        return None
    if mark_of(found.live) != before["action"]:
        return "somebody else has it so by now"
    await write(scene, found, turned(not closed, unmarked()), lambda node: mark_of(node) == before["action"])
    return None
