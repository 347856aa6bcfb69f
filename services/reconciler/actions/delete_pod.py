"""Evict one pod, the very one that is meant; delete it only where `force` says so and the eviction stays refused.

Dangerous: what has no controller does not come back, and a replacement may have the same name (StatefulSets). So the
uid is a precondition of every call, a pod that is gone is never looked for by its name again, and where no uid is known
a pod that is younger than the alert is taken for the replacement.
"""

from datetime import datetime
from typing import Any

from schemas.actions import DeletePod as Parameters
from schemas.events import Reason
from schemas.target import Target
from services.kube.objects import Object, metadata_of
from services.reconciler.actions.base import Rule
from services.reconciler.actions.evictions import PutOff, controller_of, evict, is_ending, is_static, is_strimzi
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.seen import Seen, named, refused, see, subject
from services.reconciler.guards.base import Denial

POD = ("", "Pod")


class DeletePod(Operation[Parameters]):
    """The action `delete-pod`."""

    name = "delete-pod"
    example = 'deletePod: {pod: "${event.pod}"}'

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        verbs = ("get", "delete") if parameters.force else ("get",)
        return Rule("", "pods", verbs), Rule("", "pods/eviction", ("create",))

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        words = f"evict {named(target)}" + (", or delete it" if scene.parameters.force else "")
        if (target.group, target.kind) != POD:
            return refused(target, words, Reason.PARAMETERS, f"a {target.kind} is no pod")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return _gone(target, words, found, scene)
        denial = _untouchable(found, target, scene)
        if denial:
            return Plan(found.target, words, denial=denial)
        if is_ending(found.live):
            return Plan(found.target, words, so=True, ours=scene.resumed)
        if not is_strimzi(found.live):
            denial = await evict(found.live, found.target, scene, grace=_grace(scene), dry_run=True)
        if denial and not scene.parameters.force:
            return Plan(found.target, words, touches=(found.target,), denial=denial)
        return Plan(found.target, words, touches=(found.target,), state=found)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if plan.so or plan.state is None:
            return Applied()
        found: Seen = plan.state
        denial = await evict(found.live, found.target, scene, grace=_grace(scene))
        if denial and not scene.parameters.force:
            raise PutOff(denial)
        if denial:
            await scene.api.delete(found.target, uid=found.uid, grace=_grace(scene))
        return Applied(words="deleted, the eviction was refused" if denial else "evicted")

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        if plan.target is None or plan.target.uid is None:
            return None
        return None if isinstance(await see(scene, plan.target), Denial) else "the pod is still ending"


def _gone(target: Target, words: str, denial: Denial, scene: Scene[Any]) -> Plan:
    """The one that was meant is not there any more, which is what was wanted; an unknown one may never have been."""
    if target.uid is None and not scene.resumed:
        return Plan(target, words, denial=denial)
    return Plan(target, words, so=True, ours=scene.resumed)


def _untouchable(found: Seen, target: Target, scene: Scene[Parameters]) -> Denial | None:
    """Why this pod must stay; None where it may go."""
    if target.uid is None and not _older(found.live, scene.alert.fired_at):
        return Denial(Reason.TARGET_GONE, f"{named(target)} is younger than the alert, so it is another pod")
    if is_static(found.live):
        return Denial(Reason.PARAMETERS, f"{named(target)} is a static pod, which its kubelet makes anew")
    if controller_of(found.live) is None and not scene.parameters.standalone:
        return Denial(
            Reason.PARAMETERS, f"{named(target)} has no controller that makes it anew: 'standalone' allows it"
        )
    return None


def _older(pod: Object, fired_at: datetime) -> bool:
    """By whole seconds, since that is how the server counts: in doubt it is not older."""
    created = datetime.fromisoformat(str(metadata_of(pod)["creationTimestamp"]))
    return created < fired_at.replace(microsecond=0)


def _grace(scene: Scene[Parameters]) -> int | None:
    period = scene.parameters.grace_period
    return None if period is None else int(period.total_seconds())
