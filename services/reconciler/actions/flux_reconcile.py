"""Ask Flux to reconcile an object now, by the annotation that its own command line sets.

The token is the action's id: Flux repeats it in the object's status when it has dealt with it, and a second run of the
same action asks for nothing new. Source: fluxcd.io/flux/components, "Triggering a reconcile".
"""

from schemas.actions import FluxReconcile as Parameters
from schemas.events import FieldChange, Reason
from schemas.target import Target
from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve, to_pointer
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.rights import rules_on
from services.reconciler.actions.seen import annotations_of, conditioned, named, refused, see, subject
from services.reconciler.guards.base import Denial

REQUESTED = "reconcile.fluxcd.io/requestedAt"
KINDS = (
    ("kustomize.toolkit.fluxcd.io", "Kustomization"), ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("source.toolkit.fluxcd.io", "GitRepository"), ("source.toolkit.fluxcd.io", "HelmRepository"),
    ("source.toolkit.fluxcd.io", "HelmChart"), ("source.toolkit.fluxcd.io", "OCIRepository"),
    ("source.toolkit.fluxcd.io", "Bucket"), ("image.toolkit.fluxcd.io", "ImageRepository"),
    ("image.toolkit.fluxcd.io", "ImageUpdateAutomation"), ("notification.toolkit.fluxcd.io", "Receiver"),
    ("fluxcd.controlplane.io", "FluxInstance"), ("fluxcd.controlplane.io", "ResourceSet"),
)  # fmt: skip
"""Those whose controllers answer with the token."""


class FluxReconcile(Operation[Parameters]):
    """The action `flux-reconcile`."""

    name = "flux-reconcile"
    example = "fluxReconcile: {object: Kustomization/flux-system/apps}"

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return rules_on(parameters.object, KINDS, "get", "patch")

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        words = f"reconcile {named(target)}"
        refusal = _refusal(target, scene)
        if refusal:
            return refused(target, words, *refusal)
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        if annotations_of(found.live).get(REQUESTED) == scene.action_id:
            return Plan(found.target, words, so=True, ours=True)
        if resolve(found.live, ("spec", "suspend")) is True:
            return refused(found.target, words, Reason.SUSPENDED, "it is suspended, resume that first")
        body = conditioned(_body(scene.action_id), found.live, version=False)
        await scene.api.patch(found.target, body, dry_run=True)
        path = to_pointer(("metadata", "annotations", REQUESTED))
        change = FieldChange(
            path=path, kind="changed", desired="now", live=annotations_of(found.live).get(REQUESTED)
        )  # the token is no part of the plan  # fmt: skip
        return Plan(found.target, words, (change,), (found.target,), state=body)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if not plan.so and plan.target:
            await scene.api.patch(plan.target, plan.state)
        return Applied()

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, plan.target)
        return found.message if isinstance(found, Denial) else not_reconciled(found.live, scene.action_id)


def not_reconciled(live: Object, token: str) -> str | None:
    """What is missing until Flux has dealt with the token and the object is ready, in words."""
    status = live.get("status") or {}
    if status.get("lastHandledReconcileAt") != token:
        return "Flux has not dealt with it yet"
    ready: Object = next((one for one in status.get("conditions") or () if one.get("type") == "Ready"), {})
    seen = status.get("observedGeneration")
    if seen is not None and seen < (metadata_of(live).get("generation") or 0):
        return "Flux has not seen its newest specification yet"
    if ready.get("status") == "True":
        return None
    message = " ".join(str(ready.get("message") or "").split())[:300]
    return f"it is not ready, {ready.get('reason') or 'without a reason'}" + (f": {message}" if message else "")


def _refusal(target: Target, scene: Scene[Parameters]) -> tuple[Reason, str] | None:
    if (target.group, target.kind) not in KINDS:
        return Reason.PARAMETERS, f"Flux reconciles no {target.kind}.{target.group or 'core'} on request"
    if not scene.api.served(target.group, target.kind):
        return Reason.NOT_SERVED, f"the cluster serves no {target.kind}.{target.group}"
    return None


def _body(token: str) -> Object:
    return {"metadata": {"annotations": {REQUESTED: token}}}
