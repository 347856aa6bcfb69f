"""What becomes of an object that nobody declares, as a pure function: its drifts end, or it is unwanted."""

from datetime import datetime
from typing import Any

from schemas.events import ClearedReason, DriftDetected, DriftState, Event
from schemas.target import Target
from services.kube.objects import Object, metadata_of
from services.kube.verdict.unwanted import Unwanted
from services.watcher.lives import Observed, advance, cleared


def undeclared(
    open_drift: DriftDetected | None, target: Target, live: Object | None, unwanted: Unwanted | None, *, asked: bool,
    follows: str, now: datetime, mask_key: bytes,
) -> tuple[DriftDetected | None, list[Event[Any]]]:  # fmt: skip
    """The drift that is open afterwards, and what is to be told. `unwanted` is the verdict on `live`, None for none.
    `asked`: a baseline asks for undeclared objects of the kind, so that `live` None means that it is gone.

    A drift from the time when it was declared ends; being unwanted is a life of its own, until the object is gone, is
    declared, or no longer carries the label. One that is ending stays unwanted until its end.
    """
    ending = live is not None and metadata_of(live).get("deletionTimestamp")
    if open_drift and open_drift.state is DriftState.UNWANTED and ending:
        return open_drift, []
    events: list[Event[Any]] = []
    version = (
        str(metadata_of(live).get("resourceVersion")) if live else open_drift.resource_version if open_drift else ""
    )
    if open_drift and (unwanted is None or open_drift.state is not DriftState.UNWANTED):
        gone = asked and live is None and open_drift.state is DriftState.UNWANTED
        reason = ClearedReason.IN_SYNC if gone else ClearedReason.NOT_DECLARED
        events.append(cleared(open_drift, now, version or open_drift.resource_version, None, reason))
        follows, open_drift = open_drift.drift_id, None
    if unwanted is None:
        return None, events
    seen = Observed(
        target, unwanted, live, unwanted.finding, version, now, mask_key, follows=follows, prune=unwanted.rule.mode
    )
    drift, event = advance(open_drift, seen)
    return drift, [*events, event] if event else events
