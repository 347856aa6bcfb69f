"""Put an object back to its declared state, by server-side apply where that is possible.

Where it is not, `correction/revert.py` knows what else may help; making the object anew needs the step's `recreate`.
Idempotent: what is right already is left alone, so a second apply of the same action writes nothing. A correction costs
a GET, the judge's dry-run where the local comparison sees a difference, and the apply; its answer is the first thing
that the verification looks at, so that an object that is right needs no further call.
"""

from collections.abc import Iterator
from datetime import timedelta

from schemas.events import DriftState, FindingReason
from schemas.policy import Until
from services.kube.api.errors import Conflict, Unavailable
from services.kube.objects import Object, metadata_of
from services.kube.verdict.judge import Finding
from services.reconciler.actions.available import unavailable
from services.reconciler.actions.base import Action, Context, Plan, Rule, Verdict

UNDO_TRIES = 3


class Revert(Action):
    """The action `revert`."""

    name = "revert"
    needs = (Rule("*", "*", ("get", "create", "patch", "update", "delete")),)

    declared = True

    async def plan(self, context: Context) -> Plan:
        """An action that was cut off between the delete and the create of a recreation waits until the old one is gone.

        The caller's time-out ends that.
        """
        hands, declared = context.hands, context.declaration
        for pause in pauses():
            live = await hands.get(declared)
            finding = await hands.judge(declared, live, quick=not context.plan_only)
            if live is None or not (context.resumed and context.step.recreates and is_ending(finding)):
                return Plan(live, finding)
            await context.clock.sleep(pause)
        raise AssertionError

    async def apply(self, plan: Plan, context: Context) -> Object:
        return await context.hands.put_back(
            context.declaration, plan.live, plan.finding, recreate=context.step.recreates
        )

    async def verify(self, stored: Object | None, context: Context, within: timedelta) -> Verdict:
        """Raises Unavailable where the API server is away when the time is over; before that it is waited for."""
        ends = context.clock.monotonic() + within.total_seconds()
        verdict, away = await look(stored, context), None
        for pause in pauses():
            if verdict.unmet is None or context.clock.monotonic() + pause > ends:
                break
            await context.clock.sleep(pause)
            try:
                verdict, away = await look(await context.hands.get(context.declaration), context), None
            except Unavailable as error:
                away = error
        if away:
            raise away
        return verdict

    async def undo(self, plan: Plan, stored: Object, context: Context) -> str | None:
        """Raises Conflict where others keep writing."""
        if plan.live is not None and metadata_of(plan.live).get("uid") != metadata_of(stored).get("uid"):
            return "it was made anew, and what it was before is gone"
        for left in reversed(range(UNDO_TRIES)):
            now = await context.hands.get(context.declaration)
            if now is None or metadata_of(now).get("uid") != metadata_of(stored).get("uid"):
                return "somebody has deleted or replaced it since"
            if (await context.hands.judge(context.declaration, now)).state is not None:
                return "somebody has changed it since"
            try:
                await context.hands.put_forward(plan.live, now)
                return None
            except Conflict:  # a controller wrote its status meanwhile: look again
                if not left:
                    raise
        return None


async def look(live: Object | None, context: Context) -> Verdict:
    """What stands there, and what it still lacks."""
    return Verdict(live, await unmet_by(live, context))


async def unmet_by(live: Object | None, context: Context) -> str | None:
    """The first of the policy's `until` that the object does not meet, in words without values."""
    if live is None:
        return "it does not exist"
    if Until.IN_SYNC in context.step.until:
        finding = await context.hands.judge(context.declaration, live)
        if finding.state is DriftState.UNJUDGED:
            return finding.message
        if finding.state is not None:
            return "it differs again at " + ", ".join(diff.path for diff in finding.fields[:3])
    return unavailable(live) if Until.AVAILABLE in context.step.until else None


def is_ending(finding: Finding) -> bool:
    """Whether the object is being deleted."""
    return finding.state is DriftState.UNJUDGED and finding.reason is FindingReason.TERMINATING


def pauses() -> Iterator[float]:
    """Seconds between two looks: short at first, a second at most."""
    pause = 0.05
    while True:
        yield pause
        pause = min(1.0, pause * 1.5)
