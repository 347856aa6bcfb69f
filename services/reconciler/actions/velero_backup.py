"""Make a Velero Backup of namespaces, as a record or as a safety net before a riskier step.

Its name is made of the action's id, so that a second run finds the first one's. It is not taken back: deleting the
object alone would leave its data in the storage, and a backup harms nobody.
"""

import re
from typing import Any

from schemas.actions import VeleroBackup as Parameters
from schemas.events import FieldChange, Reason
from schemas.target import Target
from services.kube.api.errors import Conflict
from services.kube.objects import Object
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.seen import mark_of, refused
from services.reconciler.guards.base import Denial

BACKUP = ("velero.io", "Backup")
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
BAD = ("Failed", "PartiallyFailed", "FailedValidation")


class VeleroBackup(Operation[Parameters]):
    """The action `velero-backup`."""

    name = "velero-backup"
    example = "veleroBackup: {namespaces: [payments], ttl: 3d}"

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return (Rule("velero.io", "backups", ("get", "create")),)

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target, namespaces = _target(scene), scene.parameters.namespaces
        words = f"back up {', '.join(sorted(namespaces))} with Velero"
        if not all(NAMESPACE.fullmatch(one) for one in namespaces):
            return refused(target, "back up with Velero", Reason.PARAMETERS, "a namespace to back up is no name of one")
        if not scene.api.served(*BACKUP):
            return refused(target, words, Reason.NOT_SERVED, "the cluster serves no Velero Backup")
        live = await scene.api.get(target)
        if live is not None:
            return _there(target, words, live, scene)
        manifest = _manifest(target, scene)
        await scene.api.create(manifest, dry_run=True)
        change = FieldChange(path="/spec", kind="removed", desired=manifest["spec"], live=None)
        return Plan(target, words, (change,), (target,), state=manifest)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if not plan.so:
            await _create(plan.state, scene)
        return Applied(words=f"Backup {plan.target.namespace}/{plan.target.name}" if plan.target else "")

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        live = await scene.api.get(_target(scene))
        return not_complete(live) if live else "the Backup has been deleted"


def not_complete(live: Object) -> str | None:
    """What is missing until it is complete, or how it failed, in words."""
    status = live.get("status") or {}
    phase = status.get("phase") or "New"
    if phase == "Completed":
        return None
    if phase not in BAD:
        return f"the Backup is {phase}"
    found = [str(status.get("failureReason") or ""), *map(str, status.get("validationErrors") or ())]
    counts = f"{status.get('errors') or 0} errors, {status.get('warnings') or 0} warnings"
    said = "; ".join(" ".join(one.split()) for one in found if one)[:300] or counts
    return f"the Backup ended as {phase}: {said}"


async def _create(manifest: Object, scene: Scene[Parameters]) -> None:
    try:
        await scene.api.create(manifest)
    except Conflict:
        live = await scene.api.get(_target(scene))
        if live is None or mark_of(live) != scene.action_id:
            raise


def _there(target: Target, words: str, live: Object, scene: Scene[Parameters]) -> Plan:
    if mark_of(live) == scene.action_id:
        return Plan(target, words, so=True, ours=True)
    return Plan(target, words, denial=Denial(Reason.CONFLICT, f"somebody else's Backup is named {target.name}"))


def _target(scene: Scene[Parameters]) -> Target:
    group, kind = BACKUP
    return Target(
        cluster=scene.api.name, group=group, kind=kind, namespace=scene.parameters.velero_namespace,
        name=f"setpoint-{scene.action_id[:20]}",
    )  # fmt: skip


def _manifest(target: Target, scene: Scene[Parameters]) -> Object:
    seconds = int(scene.parameters.ttl.total_seconds())
    ttl = f"{seconds // 3600}h{seconds % 3600 // 60}m{seconds % 60}s"
    spec: dict[str, Any] = {"includedNamespaces": sorted(scene.parameters.namespaces), "ttl": ttl}
    spec |= {"storageLocation": scene.parameters.storage_location} if scene.parameters.storage_location else {}
    notes = {MARK: scene.action_id, "setpoint.dev/policy": scene.policy}
    metadata = {"name": target.name, "namespace": target.namespace, "annotations": notes}
    return {"apiVersion": f"{BACKUP[0]}/v1", "kind": BACKUP[1], "metadata": metadata, "spec": spec}
