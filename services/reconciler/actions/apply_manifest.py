"""Server-side apply of one manifest, under a field manager of the policy's own and without force.

Who else holds a field keeps it: that is refused, not taken. What this action made, its undo deletes, the very object
(its mark proves it); what stood before it can only be changed again by hand. Kinds that hold data are never deleted.
The manifest names its namespace: none is guessed.
"""

from collections.abc import Mapping
from typing import Any

from schemas.actions import ApplyManifest as Parameters
from schemas.events import Reason
from schemas.target import Target
from services.kube.api.errors import Conflict, Invalid
from services.kube.masking import is_secret, refuse_masked
from services.kube.objects import Object, key_of, metadata_of, strip
from services.reconciler.actions.available import unavailable
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.rights import plural
from services.reconciler.actions.seen import (
    annotations_of,
    before_of,
    mark_of,
    marks,
    named,
    refused,
    see,
    uid_of,
)
from services.reconciler.guards.base import Denial

HOLDS_DATA = frozenset({
    ("", "PersistentVolume"), ("", "PersistentVolumeClaim"), ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
})  # fmt: skip
LONGEST_MANAGER = 128  # the API server's own limit


class ApplyManifest(Operation[Parameters]):
    """The action `apply-manifest`."""

    name = "apply-manifest"
    example = """applyManifest:
  manifest:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: maintenance, namespace: payments}
    data: {banner: "${event.summary}"}"""
    reversible = True

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        key, verbs = key_of(parameters.manifest), ("get", "create", "patch", "delete")
        if "${" in key.kind + key.group or not key.kind:
            return (Rule("*", "*", verbs),)
        return (Rule(key.group, plural(key.kind), verbs),)

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        manifest = scene.parameters.manifest
        key = key_of(manifest)
        target = Target(
            cluster=scene.api.name, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name
        )  # fmt: skip
        words = f"apply {named(target)}"
        odd = incomplete(manifest, scene.api.resource(target).namespaced)
        if odd:
            return refused(target, words, Reason.PARAMETERS, odd)
        live = await scene.api.get(target)
        if live is not None and mark_of(live) == scene.action_id:
            found = target.model_copy(update={"uid": uid_of(live)})
            return Plan(found, words, so=True, ours=True, before=before_of(live), state=found)
        return await _planned(target, live, words, scene)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if plan.so:
            return Applied(state=plan.state)
        stored = await scene.api.apply(plan.state, manager=manager_of(scene.policy))
        target = plan.target
        assert target is not None
        return Applied(state=target.model_copy(update={"uid": uid_of(stored)}))

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, applied.state or plan.target)
        return found.message if isinstance(found, Denial) else unavailable(found.live)

    async def undo(self, before: Mapping[str, Any], scene: Scene[Parameters]) -> str | None:
        if not before:
            return None
        if not before.get("created"):
            return "it stood there before, and what it was is not kept"
        key = key_of(scene.parameters.manifest)
        if (key.group, key.kind) in HOLDS_DATA:
            return f"a {key.kind} holds data, it is never deleted"
        target = Target(
            cluster=scene.api.name, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name
        )  # fmt: skip
        live = await scene.api.get(target)
        if live is None:
            return None
        if mark_of(live) != before["action"]:
            return "something else has been done to it since, or it is another object"
        await scene.api.delete(target, uid=uid_of(live))
        return None


def manager_of(policy: str) -> str:
    """The field manager of a policy's manifests."""
    return f"setpoint-{policy}"[:LONGEST_MANAGER]


def incomplete(manifest: Object, namespaced: bool) -> str | None:
    """What a manifest lacks or has too much, in words."""
    key = key_of(manifest)
    if not key.name:
        return "the manifest has no metadata.name"
    if namespaced and not key.namespace:
        return f"a {key.kind} needs metadata.namespace"
    return None if namespaced or not key.namespace else f"a {key.kind} has no namespace"


async def _planned(target: Target, live: Object | None, words: str, scene: Scene[Parameters]) -> Plan:
    bare = strip(scene.parameters.manifest)
    before = {"action": scene.action_id, "created": live is None}
    sent = marked(bare, marks(scene, before))
    if is_secret(sent):
        refuse_masked(sent)
    if live is not None:
        target = target.model_copy(update={"uid": uid_of(live)})
        sent["metadata"]["uid"] = uid_of(live)
    try:
        after = await scene.api.apply(sent, manager=manager_of(scene.policy), dry_run=True)
    except Conflict as error:
        return refused(target, words, Reason.CONFLICT, f"others hold what it would set, and it takes nothing: {error}")
    except Invalid as error:
        if not is_secret(bare):
            raise
        raise Invalid(f"{named(target)} is refused; what the server said is not repeated", error.status) from None
    diff = changes(live, bare if live is None else after, scene.mask_key)
    if not diff:
        return Plan(target, words, so=True)
    return Plan(target, words, diff, (target,), before=before, state=sent)


def marked(manifest: Object, notes: Mapping[str, str | None]) -> Object:
    """The manifest with the action's marks, and with none that was written into it."""
    own = {name: text for name, text in annotations_of(manifest).items() if name != MARK}
    kept = {name: text for name, text in notes.items() if text is not None}
    return {**manifest, "metadata": {**metadata_of(manifest), "annotations": {**own, **kept}}}
