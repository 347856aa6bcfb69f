"""The object that an operation is about, looked at right before; its marks; and writes that hold for it alone.

A name says nothing about identity: where the alert's place knows a uid, an object with another one is gone, and every
write names the uid that was looked at, so that the server refuses it for a replacement.
The marks are annotations: whose doing the last write was (`MARK`), and what stood before where nothing else tells
(`BEFORE`). They are written together with the change, so that after a crash the object itself says how far it came.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from schemas.events import Reason, Verdict
from schemas.reference import Reference, reference_to
from schemas.target import Target
from services.kube.api.errors import Conflict
from services.kube.objects import Object, metadata_of
from services.reconciler.actions.operation import MARK, Plan, Scene
from services.reconciler.guards.base import Denial

BEFORE = "setpoint.dev/before"
TRIES = 5


@dataclass(frozen=True)
class Seen:
    """An object as it was found; the target has its uid."""

    target: Target
    live: Object

    @property
    def uid(self) -> str:
        """The live object's."""
        return str(metadata_of(self.live).get("uid") or "")


def subject(scene: Scene[Any]) -> Target:
    """The object that the parameters name, with its uid where the alert's place knows it."""
    reference: Reference | None = scene.parameters.subject()
    assert reference is not None
    place = scene.place
    known = (place.pod, place.workload, place.node, place.application, place.object)
    same = (one.uid for one in known if one is not None and one.uid and reference_to(one) == reference)
    return reference.in_cluster(scene.api.name, next(same, None))


async def see(scene: Scene[Any], target: Target | None = None) -> Seen | Denial:
    """The live object; a Denial where it is gone, or where another one has its name."""
    target = target or subject(scene)
    live = await scene.api.get(target)
    if live is None:
        return Denial(Reason.TARGET_GONE, f"{named(target)} is gone")
    if target.uid not in (None, uid_of(live)):
        return Denial(Reason.TARGET_GONE, f"{named(target)} is gone, another object has its name")
    return Seen(target.model_copy(update={"uid": uid_of(live)}), live)


async def seen_again(before: Any, scene: Scene[Any]) -> Seen | str:
    """For `undo`: the very object that was written, or why there is nothing to put back."""
    found = await see(scene, subject(scene).model_copy(update={"uid": before.get("uid")}))
    return "somebody has deleted or replaced it since" if isinstance(found, Denial) else found


def refused(target: Target, words: str, reason: Reason, message: str) -> Plan:
    """A plan that the object itself forbids."""
    return Plan(target, words, denial=Denial(reason, message))


def later(scene: Scene[Any], reason: Reason, message: str, seconds: float) -> Denial:
    """Not now; the same may be right in so many seconds."""
    return Denial(reason, message, scene.clock.now() + timedelta(seconds=seconds), Verdict.WAIT)


def named(target: Target) -> str:
    """`Deployment payments/api`, for people."""
    return f"{target.kind} {target.namespace + '/' if target.namespace else ''}{target.name}"


def uid_of(live: Object) -> str:
    """The object's uid, "" where an odd one has none."""
    return str(metadata_of(live).get("uid") or "")


def annotations_of(obj: Object) -> dict[str, Any]:
    """The annotations, empty where there are none."""
    found = metadata_of(obj).get("annotations")
    return found if isinstance(found, dict) else {}


def mark_of(live: Object) -> str | None:
    """Which action wrote it last."""
    return annotations_of(live).get(MARK)


def marked_by(action_id: str) -> Callable[[Object], bool]:
    """Whether an object was written last by this action."""
    return lambda live: mark_of(live) == action_id


def before_of(live: Object) -> dict[str, Any]:
    """What stood before the marked action, as it noted; empty where nothing readable is noted."""
    try:
        found = json.loads(annotations_of(live).get(BEFORE) or "{}")
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def marks(scene: Scene[Any], before: dict[str, Any] | None = None) -> dict[str, str | None]:
    """The annotations that go with a change; an older note of what stood before goes."""
    note = None if before is None else json.dumps(before, sort_keys=True, separators=(",", ":"))
    return {MARK: scene.action_id, BEFORE: note}


def unmarked() -> dict[str, str | None]:
    """The same for an undo: no marks are left."""
    return {MARK: None, BEFORE: None}


def conditioned(body: Object, live: Object, *, version: bool = True) -> Object:
    """A merge patch that holds for this object alone, and with `version` only as it was looked at."""
    metadata = {**metadata_of(body), "uid": metadata_of(live).get("uid")}
    if version:
        metadata["resourceVersion"] = metadata_of(live).get("resourceVersion")
    return {**body, "metadata": metadata}


async def write(
    scene: Scene[Any], seen: Seen, body: Object, holds: Callable[[Object], bool], *,
    done: Callable[[Object], bool] | None = None,
) -> Object:  # fmt: skip
    """Merge patch while `holds` is true of what stands there; the object as stored.

    Others write the same object all the time, a controller its status: after a Conflict it is looked at again, and
    written where it still holds. One of which `done` is true was written already, and is left alone.
    Raises Conflict where it does not hold any more, or where there is no end of it.
    """
    for left in reversed(range(TRIES)):
        try:
            return await scene.api.patch(seen.target, conditioned(body, seen.live))
        except Conflict:
            found = await see(scene, seen.target)
            if isinstance(found, Denial):
                raise
            if done is not None and done(found.live):
                return found.live
            if not left or not holds(found.live):
                raise
            seen = replace(seen, live=found.live)
    raise AssertionError
