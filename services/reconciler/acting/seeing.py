"""What a step's `verify.until` wants to be seen of the object acted on; the alert's end is not looked for here."""

from schemas.policy import Step, Until
from schemas.target import Target
from services.kube.api.operate import Operate
from services.kube.objects import Object, metadata_of
from services.reconciler.actions.available import unavailable
from services.reconciler.actions.restart import not_rolled

LOOKED_AT = frozenset({Until.AVAILABLE, Until.ROLLOUT_COMPLETE, Until.GONE})


async def unmet(step: Step | None, target: Target | None, api: Operate) -> str | None:
    """What is missing, in words; None where nothing is. Raises `ApiError`s."""
    wanted = LOOKED_AT.intersection(step.until) if step else frozenset()
    if not wanted or target is None:
        return None
    live = await api.get(target)
    if live is not None and target.uid not in (None, metadata_of(live).get("uid")):
        live = None
    return next((missing for until in sorted(wanted) if (missing := _missing(until, target, live))), None)


def _missing(until: Until, target: Target, live: Object | None) -> str | None:
    if until is Until.GONE:
        return f"{target.kind} {target.name} is still there" if live is not None else None
    if live is None:
        return f"{target.kind} {target.name} is gone"
    return not_rolled(live) if until is Until.ROLLOUT_COMPLETE else unavailable(live)
