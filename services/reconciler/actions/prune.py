"""Delete an object that carries a baseline's label and that nobody declares.

Dangerous: what is deleted does not come back. Right before the delete the object is looked at again: it must be the one
that was reported (uid), still carry what it was reported for, belong to no other object and to no other tool; and the
delete holds for exactly the resourceVersion that was looked at. Gone is what is seen to be gone.
"""

from datetime import timedelta

from schemas.events import DriftState, FindingReason
from services.kube.api.errors import Unavailable
from services.kube.objects import Object, ObjectKey, metadata_of
from services.kube.pointer import parse_pointer, resolve
from services.kube.verdict.judge import Finding, unjudged
from services.kube.writers.marks import claimed_by
from services.reconciler.actions.base import Action, Context, Plan, Rule, Verdict
from services.reconciler.actions.revert import pauses


class Prune(Action):
    """The action `prune`."""

    name = "prune"
    needs = (Rule("*", "*", ("get", "delete")),)
    declared = False

    async def plan(self, context: Context) -> Plan:
        live = await find(context)
        return Plan(live, finding_of(live, context), spared=live is not None)

    async def apply(self, plan: Plan, context: Context) -> None:
        assert plan.live is not None
        if not metadata_of(plan.live).get("deletionTimestamp"):
            await context.hands.put_away(plan.live)

    async def verify(self, stored: Object | None, context: Context, within: timedelta) -> Verdict:
        """Raises Unavailable where the API server is away when the time is over; before that it is waited for."""
        ends = context.clock.monotonic() + within.total_seconds()
        for pause in pauses():
            away = None
            try:
                stored = await find(context)
            except Unavailable as error:
                away = error
            if (stored is None and not away) or context.clock.monotonic() + pause > ends:
                break
            await context.clock.sleep(pause)
        if away:
            raise away
        return Verdict(stored, still_there(stored) if stored else None)

    async def undo(self, plan: Plan, stored: Object, context: Context) -> str | None:
        return "what was deleted does not come back"


async def find(context: Context) -> Object | None:
    """The very object that was reported, None where it is gone: another one may have its name by now."""
    target = context.target
    live = await context.hands.find(ObjectKey(target.group, target.kind, target.namespace, target.name))
    same = live is not None and target.uid in (None, metadata_of(live).get("uid"))
    return live if same else None


def finding_of(live: Object | None, context: Context) -> Finding:
    """Whether it is still unwanted, and whether it may be deleted. What another tool owns never is."""
    if live is None or not is_marked(live, context):
        return Finding(None)
    owners = metadata_of(live).get("ownerReferences")
    if isinstance(owners, list) and owners:
        names = ", ".join(f"{owner.get('kind')} '{owner.get('name')}'" for owner in owners if isinstance(owner, dict))
        return unjudged(FindingReason.FOREIGN_OWNED, f"it belongs to {names}")
    claim = claimed_by(live)
    return unjudged(FindingReason.FOREIGN_OWNED, claim) if claim else Finding(DriftState.UNWANTED)


def is_marked(live: Object, context: Context) -> bool:
    """Whether the object still has what it was reported for: the label, among the reported fields."""
    fields = context.drift.fields if context.drift else ()
    return bool(fields) and all(resolve(live, parse_pointer(field.path)) == field.live for field in fields)


def still_there(live: Object) -> str:
    """What the object waits for, in words."""
    holds = metadata_of(live).get("finalizers")
    return "it is still there" + (
        f", held by {', '.join(map(str, holds))}" if isinstance(holds, list) and holds else ""
    )
