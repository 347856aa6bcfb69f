"""Roll a workload's pods by stamping its pod template, as `kubectl rollout restart` does.

Idempotent: the template carries the action's id beside the stamp, so a second run of the same action finds it and
writes nothing. An Argo Rollout has a field of its own for that, and then the object carries the id.
What would not roll (paused, OnDelete) is refused rather than called done. There is no way back: pods that are gone stay
gone, and the stamp of before would only roll them once more.
"""

from typing import Any

from schemas.actions import Restart as Parameters
from schemas.base import rfc3339
from schemas.events import Reason
from schemas.target import Target
from services.kube.objects import Object
from services.kube.pointer import resolve
from services.reconciler.actions.available import unavailable
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.rights import rules_on
from services.reconciler.actions.seen import Seen, conditioned, mark_of, named, refused, see, subject
from services.reconciler.guards.base import Denial

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
ROLLOUT = ("argoproj.io", "Rollout")
WORKLOADS = (("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ROLLOUT)
TEMPLATE = ("spec", "template", "metadata", "annotations")
STAMPS = ("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt", "/spec/restartAt")


class Restart(Operation[Parameters]):
    """The action `restart`."""

    name = "restart"
    example = 'restart: {workload: "Deployment/payments/api"}'

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return rules_on(parameters.workload, WORKLOADS, "get", "patch")

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        if not is_workload(target):
            return refused(target, f"restart {named(target)}", Reason.PARAMETERS, f"a {target.kind} has no roll-out")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, f"restart {named(target)}", denial=found)
        words = f"restart {named(target)}{pods_of(found.live)}"
        if stamped_by(found) == scene.action_id:
            return Plan(found.target, words, so=True, ours=True)
        reason = stands_still(found.live)
        if reason:
            return Plan(found.target, words, denial=reason)
        body = conditioned(stamp(found.target, scene), found.live, version=False)
        after = await scene.api.patch(found.target, body, dry_run=True)
        diff = tuple(
            one.model_copy(update={"desired": "now"}) if one.path in STAMPS else one
            for one in changes(found.live, after, scene.mask_key)
        )  # the time of planning is no part of the plan
        return Plan(found.target, words, diff, (found.target,), state=body)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if plan.so or plan.target is None:
            return Applied()
        return Applied(state=await scene.api.patch(plan.target, plan.state))

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, plan.target)
        return found.message if isinstance(found, Denial) else not_rolled(found.live)


def is_workload(target: Target) -> bool:
    """Whether its kind can be rolled."""
    return (target.group, target.kind) in WORKLOADS


def is_rollout(target: Target) -> bool:
    """Whether it is Argo's kind."""
    return (target.group, target.kind) == ROLLOUT


def stamp(target: Target, scene: Scene[Any]) -> Object:
    """The change, with the mark where the change is."""
    now = rfc3339(scene.clock.now())
    if is_rollout(target):
        return {"metadata": {"annotations": {MARK: scene.action_id}}, "spec": {"restartAt": now}}
    notes = {RESTARTED_AT: now, MARK: scene.action_id}
    return {"spec": {"template": {"metadata": {"annotations": notes}}}}


def stamped_by(found: Seen) -> str | None:
    """The action whose stamp it carries."""
    return mark_of(found.live) if is_rollout(found.target) else resolve(found.live, (*TEMPLATE, MARK))


def stands_still(live: Object) -> Denial | None:
    """Why a stamp would roll nothing; None where it would."""
    spec = live.get("spec") or {}
    if spec.get("paused"):
        return Denial(Reason.SUSPENDED, "its roll-out is paused, resume that first")
    if resolve(spec, ("updateStrategy", "type")) == "OnDelete":
        return Denial(Reason.PARAMETERS, "its updateStrategy is OnDelete: nothing would roll its pods, use deletePod")
    return None


def pods_of(live: Object) -> str:
    """How many pods that means, in words; "" where the number is not the object's own."""
    count = resolve(live, ("spec", "replicas"))
    return f" ({count} pod{'' if count == 1 else 's'})" if type(count) is int else ""


def not_rolled(live: Object) -> str | None:
    """What is missing until all pods are new, in words."""
    wanted = resolve(live, ("spec", "restartAt"))
    if live.get("kind") == "Rollout" and wanted and resolve(live, ("status", "restartedAt")) != wanted:
        return "its controller has not restarted all pods yet"
    return unavailable(live)
