"""Cordon a node and evict its pods, at the pace that PodDisruptionBudgets and Strimzi allow.

What stays: pods of DaemonSets, static pods, pods that have ended. What forbids it all, before anything is touched: pods
that no controller makes anew, and emptyDir volumes unless `deleteEmptyDir` gives them up.
Evictions are asked for again and again until the action's time is nearly over; what is then still put off is told as
such (`later`, `disruption-budget`), and the node stays cordoned, so that the next attempt goes on where this one ended.
A Setpoint whose own pod is on the node evicts it as well: its successor finds the action in the ledger and goes on.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.actions import Drain as Parameters
from schemas.events import Reason
from services.kube.objects import Object
from services.kube.pointer import resolve
from services.reconciler.actions.base import Rule
from services.reconciler.actions.cordon import NODE, is_cordoned, put_back, turn, turned
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.evictions import PutOff, controller_of, evict, is_ending, is_static, target_of
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.seen import (
    Seen,
    before_of,
    conditioned,
    mark_of,
    marks,
    named,
    refused,
    see,
    subject,
)
from services.reconciler.guards.base import Denial

AT_ONCE = 8
PAUSE_S = 2.0
SPARE_S = 10.0
NAMES = 5


class Drain(Operation[Parameters]):
    """The action `drain`."""

    name = "drain"
    example = 'drain: {node: "${event.node}", timeout: 15m}'
    reversible = True

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        pods, evictions = Rule("", "pods", ("list",)), Rule("", "pods/eviction", ("create",))
        return Rule("", "nodes", ("get", "patch")), pods, evictions

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        words = f"drain {named(target)}"
        if (target.group, target.kind) != NODE:
            return refused(target, words, Reason.PARAMETERS, f"a {target.kind} is no node")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        pods = sorted_out(await _pods(scene), scene.parameters.delete_empty_dir)
        mine = _is_mine(found.live, scene)
        ours = scene.resumed or mark_of(found.live) == scene.action_id
        before = {"action": scene.action_id, "uid": found.uid} if mine or not is_cordoned(found.live) else {}
        if is_cordoned(found.live) and not pods.going and not pods.held:
            return Plan(found.target, words, so=True, ours=ours, before=before if ours else {})
        if pods.held:
            return Plan(found.target, words, denial=pods.denial(scene))
        return await _planned(found, pods, before, scene)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if plan.so:
            return Applied()
        if plan.before:
            await _cordon(plan.state, scene)
        left, denial = await _until_empty(scene)
        if denial:
            raise PutOff(denial)
        return Applied(words=_still(left) if left else "the node is empty")

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, plan.target)
        if isinstance(found, Denial):
            return found.message
        if not is_cordoned(found.live):
            return "somebody has uncordoned it"
        pods = sorted_out(await _pods(scene), True)
        return _still([*pods.going, *pods.held]) if pods.going or pods.held else None

    async def undo(self, before: Mapping[str, Any], scene: Scene[Parameters]) -> str | None:
        """Uncordon, if it was this action that cordoned. Pods that have moved stay where they are."""
        return await put_back(before, scene, closed=True)


@dataclass(frozen=True)
class Pods:
    """A node's pods less those that stay: what goes, and what must not be lost."""

    going: list[Object]
    held: list[Object]

    def denial(self, scene: Scene[Any]) -> Denial:
        """Why the node cannot be drained."""
        names = ", ".join(named(target_of(pod, scene.api.name)) for pod in self.held[:NAMES])
        lonely = controller_of(self.held[0]) is None
        why = "no controller that makes it anew" if lonely else "an emptyDir volume, which 'deleteEmptyDir' gives up"
        return Denial(Reason.HOLDS_DATA, f"{len(self.held)} of its pods would be lost or lose data: {names} has {why}")


def sorted_out(pods: list[Object], delete_empty_dir: bool) -> Pods:
    """By what becomes of them. One that is ending already goes by itself, whatever it holds."""
    concerned = [pod for pod in pods if not _stays(pod)]
    held = [pod for pod in concerned if not is_ending(pod) and _would_lose(pod, delete_empty_dir)]
    return Pods([pod for pod in concerned if pod not in held], held)


def _stays(pod: Object) -> bool:
    ended = resolve(pod, ("status", "phase")) in ("Succeeded", "Failed")
    return ended or is_static(pod) or (controller_of(pod) or {}).get("kind") == "DaemonSet"


def _would_lose(pod: Object, delete_empty_dir: bool) -> bool:
    volumes = resolve(pod, ("spec", "volumes")) or ()
    return controller_of(pod) is None or (not delete_empty_dir and any("emptyDir" in one for one in volumes))


async def _pods(scene: Scene[Any]) -> list[Object]:
    return await scene.api.list("", "Pod", fields=f"spec.nodeName={subject(scene).name}")


async def _planned(found: Seen, pods: Pods, before: dict[str, Any], scene: Scene[Parameters]) -> Plan:
    body = conditioned(turned(True, {}), found.live, version=False)
    after = await scene.api.patch(found.target, body, dry_run=True)
    touches = (found.target, *(target_of(pod, scene.api.name) for pod in pods.going))
    diff = changes(found.live, after, scene.mask_key)
    return Plan(found.target, f"drain {named(found.target)}", diff, touches, before=before, state=found)


def _is_mine(node: Object, scene: Scene[Any]) -> bool:
    """Whether a drain of this policy, maybe an earlier attempt, has cordoned it."""
    return is_cordoned(node) and mark_of(node) is not None and before_of(node).get("drain") == scene.policy


async def _cordon(found: Seen, scene: Scene[Any]) -> None:
    if not is_cordoned(found.live) or mark_of(found.live) != scene.action_id:
        await turn(scene, found, True, marks(scene, {"drain": scene.policy}))


async def _until_empty(scene: Scene[Parameters]) -> tuple[list[Object], Denial | None]:
    """Evict until nothing is left or the time is nearly over; what is left then, and why, where somebody said so."""
    seconds = scene.parameters.timeout.total_seconds()
    ends = scene.clock.monotonic() + seconds - min(SPARE_S, seconds / 4)
    while True:
        pods = sorted_out(await _pods(scene), scene.parameters.delete_empty_dir)
        if pods.held:
            return pods.held, pods.denial(scene)
        denials = await _evict_all(pods.going, scene)
        if not pods.going or scene.clock.monotonic() + PAUSE_S > ends:
            return pods.going, next(iter(denials), None)
        await scene.clock.sleep(PAUSE_S if denials else PAUSE_S / 4)


async def _evict_all(pods: list[Object], scene: Scene[Parameters]) -> list[Denial]:
    period, places = scene.parameters.grace_period, asyncio.Semaphore(AT_ONCE)
    grace = None if period is None else int(period.total_seconds())

    async def one(pod: Object) -> Denial | None:
        async with places:
            return await evict(pod, target_of(pod, scene.api.name), scene, grace=grace)

    asked = (one(pod) for pod in pods if not is_ending(pod))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if isinstance(answer, Denial)]


def _still(pods: list[Object]) -> str:
    names = ", ".join(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods[:NAMES])
    return f"{len(pods)} pod{'' if len(pods) == 1 else 's'} still on it: {names}"
