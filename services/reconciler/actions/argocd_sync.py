"""Ask Argo CD to sync an Application through the Kubernetes API, by the field `operation`, as its own tools do.

The request carries the action's id, and Argo CD keeps that in `status.operationState`, so that our sync is told from
anybody's. Argo CD's own rights are not asked, those of this service's account are; its sync windows hold.
Dangerous: `prune` deletes what Git no longer has. A sync cannot be taken back: Git says what is so.
"""

from typing import Any

from schemas.actions import ArgocdSync as Parameters
from schemas.events import Reason
from services.kube.objects import Object
from services.kube.pointer import resolve
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.seen import conditioned, later, mark_of, marked_by, named, refused, see, subject, write
from services.reconciler.guards.base import Denial

APPLICATION = ("argoproj.io", "Application")
BY = "setpoint"
BUSY = ("Running", "Terminating")
BUSY_S = 15.0


class ArgocdSync(Operation[Parameters]):
    """The action `argocd-sync`."""

    name = "argocd-sync"
    example = "argocdSync: {application: Application/argocd/shop}"

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return (Rule("argoproj.io", "applications", ("get", "patch")),)

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target, words = subject(scene), _words(scene)
        if (target.group, target.kind) != APPLICATION:
            return refused(target, words, Reason.PARAMETERS, f"a {target.kind} is no Application of Argo CD")
        if not scene.api.served(*APPLICATION):
            return refused(target, words, Reason.NOT_SERVED, "the cluster serves no Application of Argo CD")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        if mark_of(found.live) == scene.action_id or asked_by(found.live) == scene.action_id:
            return Plan(found.target, words, so=True, ours=True)
        if is_busy(found.live):
            return Plan(found.target, words, denial=later(scene, Reason.LATER, "a sync of it is running", BUSY_S))
        after = await scene.api.patch(
            found.target, conditioned(_body(scene, told=False), found.live, version=False), dry_run=True
        )
        return Plan(
            found.target, words, changes(found.live, after, scene.mask_key), (found.target,), state=found
        )  # fmt: skip

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if not plan.so:
            body = _body(scene, told=True)
            await write(scene, plan.state, body, lambda live: not is_busy(live), done=marked_by(scene.action_id))
        return Applied()

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, plan.target)
        return found.message if isinstance(found, Denial) else not_synced(found.live, scene.action_id)


def is_busy(live: Object) -> bool:
    """Whether an operation waits or is under way."""
    return bool(live.get("operation")) or resolve(live, ("status", "operationState", "phase")) in BUSY


def asked_by(live: Object) -> str | None:
    """The action whose sync waits, is under way, or came last."""
    for operation in (live.get("operation"), resolve(live, ("status", "operationState", "operation"))):
        told = resolve(operation, ("info",))
        for one in told if isinstance(told, list) else ():
            if resolve(one, ("name",)) == MARK:
                return str(resolve(one, ("value",)))
    return None


def not_synced(live: Object, action_id: str) -> str | None:
    """What is missing until our sync has succeeded, in words."""
    if live.get("operation"):
        return "Argo CD has not begun yet"
    state = resolve(live, ("status", "operationState")) or {}
    if asked_by(live) != action_id:
        return "another sync has taken its place"
    phase = state.get("phase")
    if phase == "Succeeded":
        return None
    message = " ".join(str(state.get("message") or "").split())[:300]
    return f"the sync is {phase}" + (f": {message}" if message else "")


def _words(scene: Scene[Parameters]) -> str:
    parameters = scene.parameters
    to = f" to {parameters.revision}" if parameters.revision else ""
    return f"sync {named(subject(scene))}{to}" + (", and prune" if parameters.prune else "")


def _body(scene: Scene[Parameters], *, told: bool) -> Object:
    """`told`: with the action's id, which is no part of the plan."""
    sync: dict[str, Any] = {"prune": scene.parameters.prune}
    sync |= {"revision": scene.parameters.revision} if scene.parameters.revision else {}
    operation: Object = {"initiatedBy": {"username": BY, "automated": False}, "sync": sync}
    if not told:
        return {"operation": operation}
    operation["info"] = [{"name": MARK, "value": scene.action_id}, {"name": "policy", "value": scene.policy}]
    return {"metadata": {"annotations": {MARK: scene.action_id}}, "operation": operation}
