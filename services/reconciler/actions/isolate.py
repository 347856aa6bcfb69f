"""Cut one pod off the network by a policy of its own, which is lifted after a time.

The policy selects a label that no other pod has: the pod's own uid. The label is written first, for this uid alone, so
that a workload's other pods are never cut. The policy belongs to the pod, so that it goes when the pod goes, and its
name is made of the uid: one pod has at most one. `network.py` says what each engine's policy can do; where policies of
others still let traffic through, the plan says which, and refuses where nothing would be cut at all.
Dangerous to believe: whether any policy holds is the network plug-in's doing, and open connections may live on. The pod
keeps its Services and its controller, which would make another one otherwise.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.actions import Isolate as Parameters
from schemas.base import format_duration
from schemas.events import FieldChange, Reason
from schemas.target import Target
from services.kube.api.errors import Conflict
from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.network import ENGINES, LABEL, name_of, spec_of, still_allowing
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.rights import plural
from services.reconciler.actions.seen import Seen, conditioned, mark_of, named, refused, see, subject, uid_of
from services.reconciler.guards.base import Denial

POD = ("", "Pod")


class Isolate(Operation[Parameters]):
    """The action `isolate`."""

    name = "isolate"
    example = 'isolate: {pod: "${event.pod}", for: 2h, engine: cilium}'
    reversible = True

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        engine = ENGINES[parameters.engine]
        verbs = ("get", "create", "delete") if engine.denies else ("get", "list", "create", "delete")
        policies = (Rule(group, plural(engine.kind), verbs) for group, _ in engine.groups)
        return Rule("", "pods", ("get", "patch")), *policies

    def lift_after(self, parameters: Parameters) -> float | None:
        return parameters.lift_after.total_seconds() or None

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        words = f"isolate {named(target)}"
        refusal = _refusal(target, scene)
        if refusal:
            return refused(target, words, *refusal)
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        if resolve(found.live, ("spec", "hostNetwork")) is True:
            return refused(found.target, words, Reason.PARAMETERS, "it uses its node's network, which no policy cuts")
        policy = _policy(found, scene)
        live = await scene.api.get(policy)
        if live is not None and mark_of(live) != scene.action_id:
            return _taken(found, words, live)
        before = {"action": scene.action_id, "uid": found.uid, "policy": policy.model_dump(exclude={"uid"})}
        if live is not None and _labelled(found.live, found.uid):
            return Plan(found.target, words, so=True, ours=True, before=before, state=policy)
        return await self._planned(found, policy, before, scene)

    async def _planned(self, found: Seen, policy: Target, before: dict[str, Any], scene: Scene[Parameters]) -> Plan:
        words, leaks = await _told(found, scene)
        if leaks and len(leaks) == len(scene.parameters.directions):
            message = (
                f"nothing would be cut: {_leaking(leaks)}; an engine with denials, cilium or calico, cuts these too"
            )
            return Plan(found.target, words, denial=Denial(Reason.PARAMETERS, message))
        manifest = _manifest(policy, found, scene)
        after = await scene.api.patch(found.target, _labelling(found), dry_run=True)
        if await scene.api.get(policy) is None:
            await scene.api.create(manifest, dry_run=True)
        path = f"/{policy.kind}/{policy.name}/spec"
        made = FieldChange(path=path, kind="removed", desired=manifest["spec"], live=None)
        diff = (*changes(found.live, after, scene.mask_key), made)
        return Plan(found.target, words, diff, (found.target,), before=before, state=(found, policy, manifest))

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        if plan.so:
            return Applied()
        found, policy, manifest = plan.state
        await scene.api.patch(found.target, _labelling(found))
        try:
            await scene.api.create(manifest)
        except Conflict:
            live = await scene.api.get(policy)
            if live is None or mark_of(live) != scene.action_id:
                raise
        return Applied(words=plan.words)

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, plan.target)
        if isinstance(found, Denial):
            return found.message
        if not _labelled(found.live, found.uid):
            return "somebody has taken its label away"
        return None if await scene.api.get(_policy(found, scene)) else "somebody has deleted its policy"

    async def undo(self, before: Mapping[str, Any], scene: Scene[Parameters]) -> str | None:
        if "policy" not in before:
            return None
        policy = Target.model_validate({**before["policy"], "cluster": scene.api.name})
        live = await scene.api.get(policy)
        if live is not None and mark_of(live) != before["action"]:
            return f"{policy.kind} {policy.name} is somebody else's by now"
        if live is not None:
            await scene.api.delete(policy, uid=uid_of(live))
        found = await see(scene, subject(scene).model_copy(update={"uid": before["uid"]}))
        if isinstance(found, Seen) and _labelled(found.live, found.uid):
            body = {"metadata": {"labels": {LABEL: None}}}
            await scene.api.patch(found.target, conditioned(body, found.live, version=False))
        return None


def _refusal(target: Target, scene: Scene[Parameters]) -> tuple[Reason, str] | None:
    parameters = scene.parameters
    engine = ENGINES[parameters.engine]
    if (target.group, target.kind) != POD:
        return Reason.PARAMETERS, f"a {target.kind} is no pod"
    if parameters.engine == "cilium" and parameters.allow_dns and "egress" in parameters.directions:
        return Reason.PARAMETERS, "Cilium's denial cannot spare DNS: leave allowDns out, or use another engine"
    if not any(scene.api.served(group, engine.kind) for group, _ in engine.groups):
        return Reason.NOT_SERVED, f"the cluster serves no {engine.kind} of {engine.groups[0][0]}"
    return None


def _taken(found: Seen, words: str, live: Object) -> Plan:
    """Another action's policy does what is wanted, for as long as that one says; anybody else's is left alone."""
    name = metadata_of(live).get("name")
    if mark_of(live) is not None and _labelled(found.live, found.uid):
        return Plan(found.target, f"{words}: another action has", so=True)
    return Plan(found.target, words, denial=Denial(Reason.CONFLICT, f"somebody else's policy is named {name}"))


async def _told(found: Seen, scene: Scene[Parameters]) -> tuple[str, dict[str, Sequence[str]]]:
    """What will be cut in words, and by direction the policies that still let traffic through."""
    parameters = scene.parameters
    engine = ENGINES[parameters.engine]
    words = f"isolate {named(found.target)} by a {engine.kind} ({', '.join(parameters.directions)})"
    words += f" for {format_duration(parameters.lift_after)}" if parameters.lift_after else ", until a person lifts it"
    words += ", except DNS" if parameters.allow_dns and "egress" in parameters.directions else ""
    if engine.denies:
        return words, {}
    group, kind = ENGINES["kubernetes"].groups[0][0], engine.kind
    others = await scene.api.list(group, kind, found.target.namespace)
    labels = resolve(found.live, ("metadata", "labels")) or {}
    own = name_of(group, found.uid)
    others = [one for one in others if metadata_of(one).get("name") != own]
    leaks: dict[str, Sequence[str]] = {}
    for direction in parameters.directions:
        if names := still_allowing(others, labels, direction):
            leaks[direction] = names
    return (f"{words}, but {_leaking(leaks)}" if leaks else words), leaks


def _leaking(leaks: Mapping[str, Sequence[str]]) -> str:
    told = (f"NetworkPolicy {', '.join(names)} still allows {direction}" for direction, names in leaks.items())
    return " and ".join(told)


def _policy(found: Seen, scene: Scene[Parameters]) -> Target:
    engine = ENGINES[scene.parameters.engine]
    group = next(group for group, _ in engine.groups if scene.api.served(group, engine.kind))
    name = name_of(group, found.uid)
    return found.target.model_copy(update={"group": group, "kind": engine.kind, "name": name, "uid": None})


def _manifest(policy: Target, found: Seen, scene: Scene[Parameters]) -> Object:
    parameters = scene.parameters
    version = scene.api.resource(policy).version
    owner = {"apiVersion": "v1", "kind": "Pod", "name": found.target.name, "uid": found.uid}
    return {
        "apiVersion": f"{policy.group}/{version}", "kind": policy.kind,
        "metadata": {
            "name": policy.name, "namespace": policy.namespace, "ownerReferences": [owner],
            "annotations": {MARK: scene.action_id, "setpoint.dev/policy": scene.policy},
        },
        "spec": spec_of(parameters.engine, policy.group, found.uid, parameters.directions, parameters.allow_dns),
    }  # fmt: skip


def _labelling(found: Seen) -> Object:
    return conditioned({"metadata": {"labels": {LABEL: found.uid}}}, found.live, version=False)


def _labelled(live: Object, uid: str) -> bool:
    return bool(resolve(live, ("metadata", "labels", LABEL)) == uid)
