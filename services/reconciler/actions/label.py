"""Set and remove labels or annotations of any object, and put each back that is still as this action left it.

What stood before is noted on the object in the same write. Of a Secret long annotations are no part of that, since they
may hold copies of its values.
Reserved, and refused: `setpoint.dev/`, and whatever lies under `kubernetes.io` and `k8s.io`, which Kubernetes keeps for
its own components (https://kubernetes.io/docs/reference/labels-annotations-taints/), less the few of those that are
made for users to set. A key of a pod template is no matter of this action: it would roll the pods.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

from schemas import actions
from schemas.events import Reason
from schemas.target import Target
from services.kube.masking import LONGEST_NOTE, is_secret
from services.kube.objects import Object, metadata_of
from services.reconciler.actions.base import Rule
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.operation import MARK, Applied, Operation, Plan, Scene
from services.reconciler.actions.rights import rule_on
from services.reconciler.actions.seen import (
    BEFORE,
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
    write,
)
from services.reconciler.guards.base import Denial

RESERVED = ("kubernetes.io", "k8s.io", "setpoint.dev")
FOR_USERS = frozenset({"app.kubernetes.io", "cluster-autoscaler.kubernetes.io", "pod-security.kubernetes.io"})
FOR_USERS_KEYS = frozenset({
    "node.kubernetes.io/exclude-from-external-load-balancers", "controller.kubernetes.io/pod-deletion-cost",
    "kubernetes.io/change-cause",
})  # fmt: skip
LONGEST_SHOWN = 63
P = TypeVar("P", actions.Label, actions.Annotate)
Values = dict[str, str | None]


class _Marking(Operation[P]):
    """Either of them; `place` is the field of the metadata."""

    place: ClassVar[Literal["labels", "annotations"]]
    reversible = True

    def rules(self, parameters: P) -> tuple[Rule, ...]:
        return (rule_on(parameters.object, "get", "patch"),)

    async def plan(self, scene: Scene[P]) -> Plan:
        target = subject(scene)
        words = self._words(target, scene.parameters)
        keys = reserved({*scene.parameters.set, *scene.parameters.remove})
        if keys:
            return refused(target, words, Reason.PARAMETERS, f"reserved for Kubernetes or Setpoint: {', '.join(keys)}")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        if mark_of(found.live) == scene.action_id:
            return Plan(found.target, words, so=True, ours=True, before=before_of(found.live))
        to, stood = wanted(scene.parameters), _values(found.live, self.place)
        if all(stood.get(key) == value for key, value in to.items()):
            return Plan(found.target, words, so=True)
        before = self._before(found, to, stood, scene)
        after = await scene.api.patch(
            found.target, conditioned(self._body(to, scene, before), found.live, version=False), dry_run=True
        )
        diff = changes(found.live, after, scene.mask_key)
        return Plan(found.target, words, diff, (found.target,), before=before, state=(found, to))

    async def apply(self, plan: Plan, scene: Scene[P]) -> Applied:
        if plan.so:
            return Applied()
        found, to = plan.state
        stood = _some(found.live, self.place, to)
        body = self._body(to, scene, plan.before)
        await write(
            scene, found, body, lambda live: _some(live, self.place, to) == stood, done=marked_by(scene.action_id)
        )
        return Applied()

    async def unmet(self, plan: Plan, applied: Applied, scene: Scene[P]) -> str | None:
        found = await see(scene, plan.target)
        if isinstance(found, Denial):
            return found.message
        to = wanted(scene.parameters)
        stood = _some(found.live, self.place, to)
        odd = [key for key, value in to.items() if stood[key] != value]
        return f"somebody has changed {', '.join(odd)} since" if odd else None

    async def undo(self, before: Mapping[str, Any], scene: Scene[P]) -> str | None:
        if "values" not in before:
            return None
        found = await seen_again(before, scene)
        if isinstance(found, str):
            return found
        stood = _some(found.live, self.place, before["to"])
        back = {key: old for key, old in before["values"].items() if stood[key] == before["to"][key]}
        ours = mark_of(found.live) == before["action"]
        if back or ours:
            notes: Values = {MARK: None, BEFORE: None} if ours else {}
            now = _some(found.live, self.place, back)
            await write(
                scene, found, self._joined(back, notes), lambda live: _some(live, self.place, back) == now
            )  # fmt: skip
        left = sorted(key for key in before["to"] if key not in back and stood[key] != before["values"].get(key))
        return f"somebody has changed {', '.join(left)} since, or its value was not kept" if left else None

    def _words(self, target: Target, parameters: P) -> str:
        changed = wanted(parameters)
        told = (f"{key}-" if (to := changed[key]) is None else f"{key}={_one_line(to)}" for key in sorted(changed))
        return f"{self.name} {named(target)}: {' '.join(told)}"

    def _before(self, found: Seen, to: Values, stood: Mapping[str, Any], scene: Scene[P]) -> dict[str, Any]:
        hidden = self.place == "annotations" and is_secret(found.live)
        values = {key: stood.get(key) for key in to}
        kept = {key: old for key, old in values.items() if not (hidden and old and len(old) > LONGEST_NOTE)}
        return {"action": scene.action_id, "uid": found.uid, "values": kept, "to": to}

    def _body(self, to: Values, scene: Scene[P], before: dict[str, Any]) -> Object:
        return self._joined(to, marks(scene, before))

    def _joined(self, values: Values, notes: Values) -> Object:
        if self.place == "annotations":
            return {"metadata": {"annotations": {**values, **notes}}}
        return {"metadata": {"labels": values, "annotations": notes}}


class Label(_Marking[actions.Label]):
    """The action `label`."""

    name = "label"
    example = 'label: {object: "${event.pod}", set: {quarantine: "true"}}'
    place = "labels"


class Annotate(_Marking[actions.Annotate]):
    """The action `annotate`."""

    name = "annotate"
    example = 'annotate: {object: Namespace/payments, set: {example.org/on-call: "${event.name}"}}'
    place = "annotations"


def wanted(parameters: actions.Label | actions.Annotate) -> Values:
    """Every key that is to be touched, with None for one that is to go."""
    return {**dict.fromkeys(parameters.remove), **parameters.set}


def reserved(keys: set[str]) -> list[str]:
    """The keys that only Kubernetes or Setpoint itself may write."""
    return sorted(key for key in keys if key not in FOR_USERS_KEYS and _is_reserved(key.rpartition("/")[0].lower()))


def _is_reserved(prefix: str) -> bool:
    return prefix not in FOR_USERS and any(prefix == one or prefix.endswith(f".{one}") for one in RESERVED)


def _values(live: Object, place: str) -> dict[str, Any]:
    found = metadata_of(live).get(place)
    return found if isinstance(found, dict) else {}


def _some(live: Object, place: str, keys: Mapping[str, Any]) -> Values:
    found = _values(live, place)
    return {key: found.get(key) for key in keys}


def _one_line(value: str) -> str:
    """A value may come from an event: for people it is one line, and not a long one."""
    line = " ".join(value.split())
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}…"
