"""Put a workload's pod template back to an earlier revision, as `kubectl rollout undo` does.

Deployments keep revisions as ReplicaSets, StatefulSets and DaemonSets as ControllerRevisions; both are told apart by
name, since their numbers move when one becomes current again. The write holds only while the template is what was
planned on. What was rolled back from is noted: without that, a second rollback would go forward to it again.
The undo puts the template back that stood before, if nobody has changed it since.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.actions import Rollback as Parameters
from schemas.events import Reason
from services.kube.api.errors import Conflict
from services.kube.objects import Object, metadata_of
from services.kube.pointer import escape, resolve
from services.reconciler.actions.available import unavailable
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.patch import conditions
from services.reconciler.actions.restart import stands_still
from services.reconciler.actions.rights import rules_on
from services.reconciler.actions.seen import (
    TRIES,
    Seen,
    annotations_of,
    before_of,
    later,
    mark_of,
    marked_by,
    marks,
    named,
    refused,
    see,
    seen_again,
    subject,
    unmarked,
)
from services.reconciler.guards.base import Denial

KEPT_IN = {
    "Deployment": ("apps", "ReplicaSet"), "StatefulSet": ("apps", "ControllerRevision"),
    "DaemonSet": ("apps", "ControllerRevision"),
}  # fmt: skip
WORKLOADS = tuple(("apps", kind) for kind in KEPT_IN)
NUMBER = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
LEFT = "setpoint.dev/rolled-back-from"
LEFT_MOST = 10
TEMPLATE = ("spec", "template")
SOON_S = 2.0


@dataclass(frozen=True)
class Revision:
    """One earlier state of a pod template."""

    number: int
    name: str
    template: Object


class Rollback(Operation[Parameters]):
    """The action `rollback`."""

    name = "rollback"
    example = 'rollback: {workload: "${event.workload}"}'
    reversible = True

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        kind = getattr(parameters.workload, "kind", None)
        sets, revisions = Rule("apps", "replicasets", ("list",)), Rule("apps", "controllerrevisions", ("list",))
        history = (sets,) if kind == "Deployment" else (revisions,) if kind in KEPT_IN else (sets, revisions)
        return (*rules_on(parameters.workload, WORKLOADS, "get", "patch"), *history)

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        words = f"roll back {named(target)}"
        if (target.group, target.kind) not in WORKLOADS:
            return refused(target, words, Reason.PARAMETERS, f"a {target.kind} has no revisions that are understood")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        if mark_of(found.live) == scene.action_id:
            return Plan(found.target, words, so=True, ours=True, before=before_of(found.live))
        denial = stands_still(found.live) or _unsettled(found, scene)
        if denial:
            return Plan(found.target, words, denial=denial)
        history = await revisions(found, scene)
        to = chosen(history, scene.parameters.revision, left_behind(found.live))
        if isinstance(to, str):
            return refused(found.target, words, Reason.PARAMETERS, to)
        return await _planned(found, history[-1], to, scene)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        """Conflict where the template is another by now; what this action has written already is left alone."""
        if not plan.so:
            found, to, notes = plan.state
            await _put(found, to, notes, scene, done=marked_by(scene.action_id))
        return Applied()

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, plan.target)
        return found.message if isinstance(found, Denial) else unavailable(found.live)

    async def undo(self, before: Mapping[str, Any], scene: Scene[Parameters]) -> str | None:
        if not before:
            return None
        found = await seen_again(before, scene)
        if isinstance(found, str):
            return found
        known = {one.name: one for one in await revisions(found, scene)}
        old, set_by_us = known.get(before["from"]), known.get(before["to"])
        now = resolve(found.live, TEMPLATE)
        if old is not None and same(now, old.template):
            return None
        if set_by_us is None or not same(now, set_by_us.template):
            return "somebody has changed its template since"
        if old is None:
            return f"its history no longer has {before['from']}"
        left = [name for name in left_behind(found.live) if name != before["from"]]
        await _put(found, old, {**unmarked(), **_left(left)}, scene)
        return None


async def revisions(found: Seen, scene: Scene[Any]) -> list[Revision]:
    """The workload's history, oldest first; the last one is what it has now, once its controller has seen that."""
    wanted = resolve(found.live, ("spec", "selector", "matchLabels")) or {}
    labels = ",".join(f"{name}={value}" for name, value in sorted(wanted.items()))
    kept = await scene.api.list(*KEPT_IN[found.target.kind], found.target.namespace, labels=labels)
    mine = [one for one in kept if _owner(one) == found.uid]
    return sorted((_revision(one) for one in mine), key=lambda one: one.number)


def chosen(history: list[Revision], number: int | None, left: list[str]) -> Revision | str:
    """The revision that is wanted, or why there is none."""
    if number is not None:
        found = next((one for one in history if one.number == number), None)
        have = ", ".join(str(one.number) for one in history)
        return found or f"it has no revision {number}, only {have or 'none'}"
    earlier = [one for one in history[:-1] if one.name not in left]
    return earlier[-1] if earlier else "it has no earlier revision that was not rolled back from"


def same(template: Any, other: Any) -> bool:
    """Whether two pod templates are one, whatever their controller has added."""
    return _plain(template) == _plain(other)


def left_behind(live: Object) -> list[str]:
    """The revisions that it was rolled back from."""
    try:
        found = json.loads(annotations_of(live).get(LEFT) or "[]")
    except (ValueError, TypeError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def operations(live: Object, to: Revision, notes: Mapping[str, str | None], *, version: bool = True) -> list[Object]:
    """The JSON patch: this object, with `version` only as it was looked at, gets that template and these annotations
    (None: goes). The first annotation of an object makes the map of them, so that the version has to be tested."""
    stand = annotations_of(live)
    changed: list[Object] = [
        *conditions(live, version=version), {"op": "replace", "path": "/spec/template", "value": to.template},
    ]  # fmt: skip
    kept = {name: text for name, text in notes.items() if text is not None}
    if not stand:
        return [*changed, {"op": "add", "path": "/metadata/annotations", "value": kept}]
    at = "/metadata/annotations/"
    changed += [{"op": "add", "path": at + escape(name), "value": text} for name, text in kept.items()]
    gone = [name for name, text in notes.items() if text is None and name in stand]
    return [*changed, *({"op": "remove", "path": at + escape(name)} for name in gone)]


async def _planned(found: Seen, now: Revision, to: Revision, scene: Scene[Parameters]) -> Plan:
    words = f"roll back {named(found.target)} to {to.name}"
    if same(resolve(found.live, TEMPLATE), to.template):
        return Plan(found.target, words, so=True)
    before = {"action": scene.action_id, "uid": found.uid, "from": now.name, "to": to.name}
    left = [*(name for name in left_behind(found.live) if name not in (now.name, to.name)), now.name]
    notes = {**marks(scene, before), **_left(left)}
    body = operations(found.live, to, notes, version=False)
    after = await scene.api.patch(found.target, body, form="json", dry_run=True)
    diff = changes(found.live, after, scene.mask_key)
    return Plan(found.target, words, diff, (found.target,), before=before, state=(found, to, notes))


async def _put(
    found: Seen, to: Revision, notes: Mapping[str, str | None], scene: Scene[Any],
    done: Callable[[Object], bool] | None = None,
) -> None:  # fmt: skip
    """Write while the template is the one that was looked at, whatever controllers write beside it."""
    stood = resolve(found.live, TEMPLATE)
    for left in reversed(range(TRIES)):
        try:
            await scene.api.patch(found.target, operations(found.live, to, notes), form="json")
            return
        except Conflict:
            again = await see(scene, found.target)
            if isinstance(again, Denial):
                raise
            if done is not None and done(again.live):
                return
            if not left or resolve(again.live, TEMPLATE) != stood:
                raise
            found = again


def _unsettled(found: Seen, scene: Scene[Any]) -> Denial | None:
    seen = resolve(found.live, ("status", "observedGeneration")) or 0
    if seen < (metadata_of(found.live).get("generation") or 0):
        return later(scene, Reason.LATER, "its controller has not seen its newest template yet", SOON_S)
    return None


def _left(names: list[str]) -> dict[str, str | None]:
    return {LEFT: json.dumps(names[-LEFT_MOST:]) if names else None}


def _owner(kept: Object) -> str | None:
    owners = metadata_of(kept).get("ownerReferences") or ()
    return next((one.get("uid") for one in owners if one.get("controller")), None)


def _revision(kept: Object) -> Revision:
    name = str(metadata_of(kept).get("name"))
    if kept.get("kind") == "ControllerRevision":
        template = resolve(kept, ("data", "spec", "template")) or {}
        return Revision(int(kept.get("revision") or 0), name, _plain(template))
    number = str(annotations_of(kept).get(NUMBER) or "0")
    return Revision(int(number) if number.isdigit() else 0, name, _plain(resolve(kept, TEMPLATE) or {}))


def _plain(template: Any) -> Object:
    """Less what only controllers and the revisions' own form put into it."""
    bare = {name: value for name, value in template.items() if name != "$patch"}
    metadata = {name: value for name, value in metadata_of(bare).items() if value is not None}
    if isinstance(metadata.get("labels"), dict):
        metadata["labels"] = {name: value for name, value in metadata["labels"].items() if name != HASH}
    return {**bare, "metadata": metadata}
