"""Set a workload's replicas, or change them by so many.

The number of before is noted on the object in the same write, so that an undo works after any crash; it restores only
what still is as this action left it. Refused where an autoscaler holds the number, which would be two writers at odds,
and for what another object makes, such as a Deployment's ReplicaSet.
"""

from collections.abc import Mapping
from typing import Any

from schemas.actions import Scale as Parameters
from schemas.events import Reason
from schemas.target import Target
from services.kube.objects import Object, metadata_of, split_api_version
from services.kube.pointer import resolve
from services.reconciler.actions.available import unavailable
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.rights import rules_on
from services.reconciler.actions.seen import (
    Seen,
    before_of,
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

SCALABLE = (("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "ReplicaSet"), ("argoproj.io", "Rollout"))
AUTOSCALER = ("autoscaling", "HorizontalPodAutoscaler")
REPLICAS = ("spec", "replicas")


class Scale(Operation[Parameters]):
    """The action `scale`."""

    name = "scale"
    example = 'scale: {workload: "Deployment/payments/api", by: 2, max: 10}'
    reversible = True

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        scalers = Rule("autoscaling", "horizontalpodautoscalers", ("list",))
        return (*rules_on(parameters.workload, SCALABLE, "get", "patch"), scalers)

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, f"scale {named(target)}", denial=found)
        if mark_of(found.live) == scene.action_id:
            before = before_of(found.live)
            return Plan(found.target, f"scale {named(target)}", so=True, ours=True, before=before, state=before)
        now = resolve(found.live, REPLICAS)
        if type(now) is not int:
            return refused(found.target, f"scale {named(target)}", Reason.PARAMETERS, "it has no number of replicas")
        to = wanted(scene.parameters, now)
        if isinstance(to, str):
            return refused(found.target, f"scale {named(target)}", Reason.PARAMETERS, to)
        return await _planned(found, now, to, scene)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if plan.so:
            return Applied(state=plan.state)
        seen, before = plan.state
        await write(
            scene, seen, _body(scene, before), lambda live: resolve(live, REPLICAS) == before["replicas"],
            done=marked_by(scene.action_id),
        )  # fmt: skip
        return Applied(state=before)

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, plan.target)
        if isinstance(found, Denial):
            return found.message
        to, now = (applied.state or {}).get("to"), resolve(found.live, REPLICAS)
        return f"somebody has scaled it to {now}" if to not in (None, now) else unavailable(found.live)

    async def undo(self, before: Mapping[str, Any], scene: Scene[Parameters]) -> str | None:
        if "replicas" not in before:
            return None
        found = await seen_again(before, scene)
        if isinstance(found, str):
            return found
        now = resolve(found.live, REPLICAS)
        if mark_of(found.live) != before["action"]:
            return None if now == before["replicas"] else f"something else has been done to it since, it is at {now}"
        if now != before["to"]:
            return f"somebody has scaled it to {now} since"
        body = {"metadata": {"annotations": unmarked()}, "spec": {"replicas": before["replicas"]}}
        await write(scene, found, body, lambda live: resolve(live, REPLICAS) == before["to"])
        return None


def wanted(parameters: Parameters, now: int) -> int | str:
    """The number that it comes to, or why there is none. A change stops at the bounds, a number outside is refused."""
    if parameters.replicas is not None:
        if not parameters.min <= parameters.replicas <= parameters.max:
            return f"{parameters.replicas} replicas are outside {parameters.min} to {parameters.max}"
        return parameters.replicas
    assert parameters.by is not None
    to = min(parameters.max, max(parameters.min, now + parameters.by))
    # Where it is beyond the bounds already, a change must not go against its own direction.
    return now if (to - now) * parameters.by < 0 else to


async def _planned(found: Seen, now: int, to: int, scene: Scene[Parameters]) -> Plan:
    words = f"scale {named(found.target)} from {now} to {to}"
    if now == to:
        return Plan(found.target, words, so=True)
    hand = await _in_other_hands(found, scene)
    if hand:
        return refused(found.target, words, Reason.FOREIGN_OWNED, hand)
    before = {"action": scene.action_id, "uid": found.uid, "replicas": now, "to": to}
    body = conditioned(_body(scene, before), found.live, version=False)
    after = await scene.api.patch(found.target, body, dry_run=True)
    diff = changes(found.live, after, scene.mask_key)
    return Plan(found.target, words, diff, (found.target,), before=before, state=(found, before))


def _body(scene: Scene[Parameters], before: Object) -> Object:
    return {"metadata": {"annotations": marks(scene, before)}, "spec": {"replicas": before["to"]}}


async def _in_other_hands(found: Seen, scene: Scene[Any]) -> str | None:
    """Who else holds the number of replicas."""
    for owner in metadata_of(found.live).get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner.get('kind')} {owner.get('name')} makes it and would undo that, scale that one"
    for scaler in await scene.api.list(*AUTOSCALER, found.target.namespace):
        if _targets(scaler, found.target):
            return f"HorizontalPodAutoscaler {metadata_of(scaler).get('name')} holds its replicas and would undo that"
    return None


def _targets(scaler: Object, target: Target) -> bool:
    """The version does not count: a Deployment is one in every version."""
    aim = resolve(scaler, ("spec", "scaleTargetRef")) or {}
    group = split_api_version(str(aim.get("apiVersion") or ""))[0]
    return (group, aim.get("kind"), aim.get("name")) == (target.group, target.kind, target.name)
