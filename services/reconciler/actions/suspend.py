"""Stop what runs by itself, and let it run again, by the switch that each kind has (`suspension.py`).

A note on the object says which action suspended it and what stood there before, so that after a crash, at the end of
its time, and for a `resume` of another policy the object itself tells. What a person suspended is never resumed by the
end of a time. Somebody who puts the object back by Git (an ApplicationSet, an app of apps, Flux) undoes a suspension
of it: the verification says so.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from schemas import actions
from schemas.base import format_duration
from schemas.events import Reason
from schemas.target import Target
from services.kube.objects import Object
from services.kube.pointer import resolve
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.patch import annotated
from services.reconciler.actions.rights import rules_on
from services.reconciler.actions.seen import (
    Seen,
    annotations_of,
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
from services.reconciler.actions.suspension import AUTOMATED, SWITCHES, Switch, nested, switch_of
from services.reconciler.guards.base import Denial

NOTE = "setpoint.dev/suspended"


class Suspend(Operation[actions.Suspend]):
    """The action `suspend`."""

    name = "suspend"
    example = "suspend: {object: CronJob/payments/report, for: 2h}"
    reversible = True

    def rules(self, parameters: actions.Suspend) -> tuple[Rule, ...]:
        return rules_on(parameters.object, tuple(SWITCHES), "get", "patch")

    def lift_after(self, parameters: actions.Suspend) -> float | None:
        return parameters.lift_after.total_seconds() or None

    async def plan(self, scene: Scene[actions.Suspend]) -> Plan:
        target, lasts = subject(scene), scene.parameters.lift_after
        words = f"suspend {named(target)}" + (f" for {format_duration(lasts)}" if lasts else "")
        seen = await _found(scene, target, words)
        if isinstance(seen, Plan):
            return seen
        found, switch = seen
        ours = _is_suspended_by(scene.action_id, found.live)
        if switch.is_on(found.live):
            before = _before(scene.action_id, found, note_of(found.live).get("was")) if ours else {}
            return Plan(found.target, words, so=True, ours=ours, before=before, state=switch)
        if ours:
            return refused(found.target, words, Reason.NO_LONGER_TRUE, "somebody has resumed it since")
        before = _before(scene.action_id, found, resolve(found.live, switch.path))
        body = _suspending(switch, before)
        after = await scene.api.patch(found.target, conditioned(body, found.live, version=False), dry_run=True)
        diff = changes(found.live, after, scene.mask_key)
        return Plan(found.target, words, diff, (found.target,), before=before, state=(found, switch, body))

    async def apply(self, plan: Plan, scene: Scene[actions.Suspend]) -> Applied:
        if plan.so:
            return Applied()
        found, switch, body = plan.state
        stood = resolve(found.live, switch.path)
        ours = partial(_is_suspended_by, scene.action_id)
        await write(scene, found, body, lambda live: resolve(live, switch.path) == stood, done=ours)
        return Applied()

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[actions.Suspend]) -> str | None:
        return await _is_not(scene, plan, True, "somebody has resumed it")

    async def undo(self, before: Mapping[str, Any], scene: Scene[actions.Suspend]) -> str | None:
        if "action" not in before:
            return None
        found = await seen_again(before, scene)
        if isinstance(found, str):
            return found
        switch = _switch(found.target)
        if not switch.is_on(found.live):
            return None
        ours = partial(_is_suspended_by, before["action"])
        if not ours(found.live):
            return "somebody else has suspended it by now"
        body = annotated(nested(switch.path, before.get("was")), {NOTE: None})
        await write(scene, found, body, ours)
        return None


class Resume(Operation[actions.Resume]):
    """The action `resume`."""

    name = "resume"
    example = "resume: {object: Kustomization/flux-system/apps}"
    reversible = True

    def rules(self, parameters: actions.Resume) -> tuple[Rule, ...]:
        return rules_on(parameters.object, tuple(SWITCHES), "get", "patch")

    async def plan(self, scene: Scene[actions.Resume]) -> Plan:
        target = subject(scene)
        words = f"resume {named(target)}"
        seen = await _found(scene, target, words)
        if isinstance(seen, Plan):
            return seen
        found, switch = seen
        ours = mark_of(found.live) == scene.action_id
        if not switch.is_on(found.live):
            before = before_of(found.live) if ours else {}
            return Plan(found.target, words, so=True, ours=ours, before=before, state=switch)
        if ours:
            return refused(found.target, words, Reason.NO_LONGER_TRUE, "somebody has suspended it since")
        to = resumed(found.live, switch)
        if to is None and switch.path == AUTOMATED:
            message = "nobody noted what its automated sync was, so there is nothing to put back"
            return refused(found.target, words, Reason.PARAMETERS, message)
        note = annotations_of(found.live).get(NOTE)
        before = {**_before(scene.action_id, found, resolve(found.live, switch.path)), "note": note}
        body = annotated(nested(switch.path, to), {**marks(scene, before), NOTE: None})
        after = await scene.api.patch(found.target, conditioned(body, found.live, version=False), dry_run=True)
        diff = changes(found.live, after, scene.mask_key)
        return Plan(found.target, words, diff, (found.target,), before=before, state=(found, switch, body))

    async def apply(self, plan: Plan, scene: Scene[actions.Resume]) -> Applied:
        if plan.so:
            return Applied()
        found, switch, body = plan.state
        stood = resolve(found.live, switch.path)
        await write(
            scene, found, body, lambda live: resolve(live, switch.path) == stood, done=marked_by(scene.action_id)
        )
        return Applied()

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[actions.Resume]) -> str | None:
        return await _is_not(scene, plan, False, "somebody has suspended it")

    async def undo(self, before: Mapping[str, Any], scene: Scene[actions.Resume]) -> str | None:
        if "action" not in before:
            return None
        found = await seen_again(before, scene)
        if isinstance(found, str):
            return found
        switch = _switch(found.target)
        if switch.is_on(found.live):
            return None
        if mark_of(found.live) != before["action"]:
            return "something else has been done to it since"
        body = annotated(nested(switch.path, before["was"]), {**unmarked(), NOTE: before["note"]})
        await write(scene, found, body, lambda live: mark_of(live) == before["action"])
        return None


def note_of(live: Object) -> dict[str, Any]:
    """Which action suspended it, and what stood there before; empty where nothing readable is noted."""
    try:
        found = json.loads(annotations_of(live).get(NOTE) or "{}")
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_suspended_by(action_id: str, live: Object) -> bool:
    return bool(note_of(live).get("action") == action_id)


def resumed(live: Object, switch: Switch) -> Any:
    """What a resumed object has in the switch's place; None takes the field away."""
    note, now = note_of(live), resolve(live, switch.path)
    if "was" in note:
        return note["was"]
    if switch.path == AUTOMATED:
        return {**now, "enabled": True} if isinstance(now, dict) else None
    return False if switch.on is True else None


async def _found(scene: Scene[Any], target: Target, words: str) -> tuple[Seen, Switch] | Plan:
    switch = switch_of(target.group, target.kind)
    if switch is None:
        return refused(target, words, Reason.PARAMETERS, f"a {target.kind} has no switch that is known here")
    if not scene.api.served(target.group, target.kind):
        return refused(target, words, Reason.NOT_SERVED, f"the cluster serves no {target.kind}.{target.group}")
    found = await see(scene, target)
    return Plan(target, words, denial=found) if isinstance(found, Denial) else (found, switch)


def _switch(target: Target) -> Switch:
    found = switch_of(target.group, target.kind)
    assert found is not None
    return found


def _before(action: str, found: Seen, was: Any) -> dict[str, Any]:
    return {"action": action, "uid": found.uid, "was": was}


def _suspending(switch: Switch, before: Mapping[str, Any]) -> Object:
    note = json.dumps({"action": before["action"], "was": before["was"]}, sort_keys=True, separators=(",", ":"))
    return annotated(nested(switch.path, switch.on), {NOTE: note})


async def _is_not(scene: Scene[Any], plan: Plan, wanted: bool, words: str) -> str | None:
    found = await see(scene, plan.target)
    if isinstance(found, Denial):
        return found.message
    return None if _switch(found.target).is_on(found.live) is wanted else words
