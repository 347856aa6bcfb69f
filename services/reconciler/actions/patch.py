"""Patch an object as the policy's own words say: an RFC 7386 merge, or a list of RFC 6902 operations.

A merge can be undone: what stood at its places is noted on the object in the same write, and put back where all of them
are still as this action left them. Operations cannot, nor what is done to a Secret, whose values are kept nowhere.
Refused is what would change who the object is, its status, and Setpoint's own marks.
"""

import json
from collections.abc import Mapping
from typing import Any

from schemas.actions import Patch as Parameters
from schemas.events import Reason
from services.kube.api.errors import Conflict
from services.kube.masking import is_secret
from services.kube.objects import SERVER_METADATA, Object, metadata_of
from services.kube.pointer import escape, parse_pointer
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import OWN, changes
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.rights import rule_on
from services.reconciler.actions.seen import (
    TRIES,
    Seen,
    annotations_of,
    before_of,
    conditioned,
    mark_of,
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

LONGEST = 16 * 1024  # characters of what stood before, so that a note never fills an object's annotations
IDENTITY = SERVER_METADATA | {"name", "namespace"}
MISSING: Any = object()


class Patch(Operation[Parameters]):
    """The action `patch`."""

    name = "patch"
    example = "patch: {object: CronJob/payments/report, merge: {spec: {concurrencyPolicy: Forbid}}}"
    reversible = True

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        return (rule_on(parameters.object, "get", "patch"),)

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target, words = subject(scene), f"patch {named(subject(scene))}"
        odd = forbidden(scene.parameters)
        if odd:
            return refused(target, words, Reason.PARAMETERS, f"a patch may not touch {odd}")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        if mark_of(found.live) == scene.action_id:
            before = before_of(found.live) or _who(found, scene)
            return Plan(found.target, words, so=True, ours=True, before=before)
        after = await self._send(found, scene, None, dry_run=True)
        diff = changes(found.live, after, scene.mask_key)
        if not diff:
            return Plan(found.target, words, so=True)
        before = _before(found, after, scene)
        return Plan(found.target, words, diff, (found.target,), before=before, state=found)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        """Written as planned, or not at all: where the fields that it reads or changes are others by now, Conflict."""
        if plan.so:
            return Applied()
        found: Seen = plan.state
        for left in reversed(range(TRIES)):
            try:
                await self._send(found, scene, plan.before)
                break
            except Conflict:
                again = await see(scene, found.target)
                if isinstance(again, Denial) or not left:
                    raise
                if mark_of(again.live) == scene.action_id:
                    break
                if changes(found.live, again.live, scene.mask_key):  # not just a controller's status
                    raise
                found = again
        return Applied()

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[Parameters]) -> str | None:
        found = await see(scene, plan.target)
        if isinstance(found, Denial):
            return found.message
        to = plan.before.get("to")
        same = to is None or projected(scene.parameters.merge or {}, found.live) == to
        return None if same else "somebody has changed it again"

    async def undo(self, before: Mapping[str, Any], scene: Scene[Parameters]) -> str | None:
        if "back" not in before:
            return "it cannot be undone" if before else None
        found = await seen_again(before, scene)
        if isinstance(found, str):
            return found

        def holds(live: Object) -> bool:
            return bool(projected(scene.parameters.merge or {}, live) == before["to"])

        if not holds(found.live):
            return None if is_back(before["back"], found.live) else "somebody has changed it since"
        notes = unmarked() if mark_of(found.live) == before["action"] else {}
        await write(scene, found, annotated(before["back"], notes), holds)
        return None

    async def _send(
        self, found: Seen, scene: Scene[Parameters], before: dict[str, Any] | None, *, dry_run: bool = False
    ) -> Object:
        note = before if before and "back" in before else None
        if scene.parameters.merge is not None:
            marked = annotated(scene.parameters.merge, marks(scene, note))
            body = conditioned(marked, found.live, version=not dry_run)
            return await scene.api.patch(found.target, body, dry_run=dry_run)
        first = conditions(found.live, version=not dry_run)
        operations = [*first, *(scene.parameters.operations or ()), *marking(found.live, scene.action_id)]
        return await scene.api.patch(found.target, operations, form="json", dry_run=dry_run)


def forbidden(parameters: Parameters) -> str | None:
    """The first place that a patch must not touch, as a pointer; None where there is none."""
    if parameters.merge is not None:
        return next((place for path in _leaves(parameters.merge, ()) if (place := _odd(path))), None)
    writes = (one for one in parameters.operations or () if one.get("op") != "test")
    paths = (one[name] for one in writes for name in ("path", "from") if isinstance(one.get(name), str))
    return next((place for path in paths if (place := _odd(_segments(path)))), None)


def _segments(path: str) -> tuple[str, ...]:
    """A path that is no pointer counts as the whole object, so that it is refused."""
    return parse_pointer(path) if path.startswith("/") else ()


def _odd(path: tuple[str, ...]) -> str | None:
    """The path, where it is the whole object, its identity, all of its annotations, or one of Setpoint's."""
    top, inner = path[:1], path[1:3]
    odd = top in ((), ("apiVersion",), ("kind",), ("status",))
    if top == ("metadata",):
        odd = not inner or inner[0] in IDENTITY or inner == ("annotations",)
        odd = odd or (inner[0] == "annotations" and inner[1].startswith(OWN))
    return "/" + "/".join(map(escape, path)) if odd else None


def _leaves(body: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(body, dict) or not body:
        yield path
        return
    for name, value in body.items():
        yield from _leaves(value, (*path, name))


def inverse(body: Object, live: Object) -> Object:
    """The merge patch that puts back what `body` is about to change: None for what was not there."""
    back: Object = {}
    for name, value in body.items():
        stood = live.get(name, MISSING)
        if isinstance(value, dict) and isinstance(stood, dict):
            back[name] = inverse(value, stood)
        else:
            back[name] = None if stood is MISSING else stood
    return back


def projected(body: Object, obj: Any) -> Object:
    """What an object holds at the places that a merge patch names; None for what is not there."""
    parts = obj if isinstance(obj, dict) else {}
    return {
        name: projected(value, parts.get(name)) if isinstance(value, dict) and value else parts.get(name)
        for name, value in body.items()
    }


def is_back(back: Object, obj: Any) -> bool:
    """Whether an inverse has been written: everything that it puts there stands there, what it takes away does not.
    A map that is not there counts as empty, since the server drops empty ones."""
    parts = {} if obj is None else obj
    return isinstance(parts, dict) and all(
        is_back(value, parts.get(name)) if isinstance(value, dict) else parts.get(name) == value
        for name, value in back.items()
    )


def annotated(body: Object, notes: Mapping[str, str | None]) -> Object:
    """A merge patch that leaves these annotations as well."""
    metadata = metadata_of(body)
    inner = metadata.get("annotations")
    both = {**(inner if isinstance(inner, dict) else {}), **notes}
    return {**body, "metadata": {**metadata, "annotations": both}} if both else body


def conditions(live: Object, *, version: bool) -> list[Object]:
    """Operations that let a JSON patch hold for this object alone, and with `version` only as it was looked at."""
    names = ("uid", "resourceVersion") if version else ("uid",)
    return [{"op": "test", "path": f"/metadata/{name}", "value": metadata_of(live).get(name)} for name in names]


def marking(live: Object, action_id: str) -> list[Object]:
    """Operations that leave the action's mark; they come after the test of the version that `live` is."""
    if annotations_of(live):
        return [{"op": "add", "path": f"/metadata/annotations/{escape(MARK)}", "value": action_id}]
    return [{"op": "add", "path": "/metadata/annotations", "value": {MARK: action_id}}]


def _who(found: Seen, scene: Scene[Parameters]) -> dict[str, Any]:
    return {"action": scene.action_id, "uid": found.uid}


def _before(found: Seen, after: Object, scene: Scene[Parameters]) -> dict[str, Any]:
    """What an undo needs. Without `back` it can do nothing: operations, a Secret, or too much of it."""
    note = _who(found, scene)
    if scene.parameters.merge is None or is_secret(found.live):
        return note
    body = scene.parameters.merge
    # Annotations there always are while the marks are, so that each goes back by itself.
    stood = {**found.live, "metadata": {**metadata_of(found.live), "annotations": annotations_of(found.live)}}
    full = {**note, "back": inverse(body, stood), "to": projected(body, after)}
    return full if len(json.dumps(full)) <= LONGEST else note
