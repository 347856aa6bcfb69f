"""The life of a drift, as pure functions: detected, maybe updated, cleared. One life, one id, one correlation.

The id is made from uid, resourceVersion, the declaration and the object's drift before this one, so that a second
watcher, or the same one after a crash, gives the same drift the same id and consumers see one; and a drift that comes
back while the object has not changed (its baseline was edited there and back) is another one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.baseline import PruneMode
from schemas.events import (
    ClearedReason,
    DriftAttributed,
    DriftCleared,
    DriftDetected,
    DriftState,
    Event,
    FieldChange,
    FindingReason,
    make_event,
    stable_id,
)  # fmt: skip
from schemas.target import Target
from services.kube.objects import Object
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import Finding
from services.kube.writers.ownership import Owner, author, last_writer
from services.watcher.audit import NOTHING, Hearsay, deletion, named
from services.watcher.bounded import bounded

SOURCE = "setpoint/watcher"
OF_THE_ENGINE = frozenset({FindingReason.FORBIDDEN, FindingReason.DRY_RUN_REFUSED})


class Claim(Protocol):
    """What a baseline says of an object: a declaration, or that it should not be there."""

    @property
    def baseline(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def observe(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def obj(self) -> Object: ...


@dataclass(frozen=True)
class Observed:
    """What one verdict was made from. `version` is the resourceVersion, the last known one for a deleted object.

    `writer` is who has written since the object was last seen, None where that is not known. `follows` is the id of
    the object's last drift that has ended. `as_told` says that the object is as it was when last told, in sync: then
    the declaration must have changed. `hearsay` is what audit tells, `prune` what the baseline wants of an
    unwanted one.
    """

    target: Target
    declared: Claim
    live: Object | None
    finding: Finding
    version: str
    now: datetime
    mask_key: bytes
    writer: Owner | None = None
    follows: str = ""
    as_told: bool = False
    hearsay: Hearsay = NOTHING
    prune: PruneMode | None = None


def advance(
    open_drift: DriftDetected | None, seen: Observed
) -> tuple[DriftDetected | None, Event[DriftDetected] | Event[DriftCleared] | None]:
    """The drift that is open afterwards, and the event that says so; no event where nothing is new."""
    if seen.finding.state is None:
        return None, cleared(open_drift, seen.now, seen.version, seen.live) if open_drift else None
    drift = _described(open_drift, seen)
    if open_drift and _same(open_drift, drift):
        return open_drift, None
    return drift, _event(drift)


def again(open_drift: DriftDetected, now: datetime) -> tuple[DriftDetected, Event[DriftDetected]]:
    """Say a drift once more, before the topic's retention forgets it."""
    drift = open_drift.model_copy(update={"update": open_drift.update + 1, "detected_at": now})
    return drift, _event(drift)


def cleared(
    drift: DriftDetected,
    now: datetime,
    version: str,
    live: Object | None,
    reason: ClearedReason = ClearedReason.IN_SYNC,
) -> Event[DriftCleared]:
    """The end of a life. Who ended it is who owns a field that differed, or else who wrote last."""
    owner = _corrector(drift, live) if live else None
    data = DriftCleared(
        target=drift.target, drift_id=drift.drift_id, baseline=drift.baseline, onset=drift.onset, cleared_at=now,
        reason=reason, resource_version=version, manager=owner.manager if owner else None,
    )  # fmt: skip
    return make_event(
        data, id=f"{drift.drift_id}-cleared", source=SOURCE, subject=drift.target.subject, time=now,
        correlationid=drift.drift_id, causationid=event_id(drift),
    )  # fmt: skip


def attributed(drift: DriftDetected, fields: tuple[FieldChange, ...], now: datetime) -> Event[DriftAttributed]:
    """Who was behind a drift that is over; `fields` are those of which it is known now."""
    data = DriftAttributed(
        target=drift.target, drift_id=drift.drift_id, baseline=drift.baseline, onset=drift.onset, attributed_at=now,
        fields=fields,
    )  # fmt: skip
    identity = stable_id(drift.drift_id, "attributed", *((change.path, change.user) for change in fields))
    return make_event(
        data, id=identity, source=SOURCE, subject=drift.target.subject, time=now, correlationid=drift.drift_id,
        causationid=event_id(drift),
    )  # fmt: skip


def _corrector(drift: DriftDetected, live: Object) -> Owner | None:
    owners = (author(live, field.path) for field in drift.fields if field.kind == "changed")
    return next((owner for owner in owners if owner), None) or last_writer(live)


def event_id(drift: DriftDetected) -> str:
    """The id of the event that said this state of the drift; the first one's is the drift's own."""
    return f"{drift.drift_id}-{drift.update}" if drift.update else drift.drift_id


def _event(drift: DriftDetected) -> Event[DriftDetected]:
    return make_event(
        drift, id=event_id(drift), source=SOURCE, subject=drift.target.subject, time=drift.detected_at,
        correlationid=drift.drift_id, causationid=None if not drift.update else drift.drift_id,
    )  # fmt: skip


def _described(open_drift: DriftDetected | None, seen: Observed) -> DriftDetected:
    finding, declared = seen.finding, seen.declared
    plain, left_out = bounded(describe(seen.live, declared.obj, finding.fields, seen.mask_key, seen.writer))
    fields = named(plain, seen.hearsay, open_drift, seen.now)
    fields = (*deletion(finding.state, finding.reason, seen.live, seen.hearsay, open_drift, seen.now), *fields)
    uid = seen.target.uid or (open_drift.target.uid if open_drift else None)
    identity = stable_id(seen.target.subject, uid, seen.version, declared.digest, seen.follows)
    since = [field.since for field in fields if field.since and not seen.as_told]
    return DriftDetected(
        target=seen.target.model_copy(update={"uid": uid}),
        drift_id=open_drift.drift_id if open_drift else identity,
        baseline=declared.baseline,
        state=finding.state or DriftState.CHANGED,
        engine=finding.engine,
        reason=finding.reason,
        message="; ".join(filter(None, [finding.message, f"and {left_out} more fields" if left_out else ""])),
        revision=declared.revision,
        observe=declared.observe,
        onset=open_drift.onset if open_drift else min([*since, seen.now]),
        detected_at=seen.now,
        update=open_drift.update + 1 if open_drift else 0,
        resource_version=seen.version,
        prune=seen.prune.value if seen.prune else None,
        fields=fields,
    )


def _same(before: DriftDetected, after: DriftDetected) -> bool:
    """Whether nothing is new. Which engine judged a change is not: rights and webhooks come and go."""

    def essence(drift: DriftDetected) -> object:
        fields = [(one.path, one.kind, one.desired, one.live, one.manager, one.user) for one in drift.fields]
        reason = None if drift.state is DriftState.CHANGED and drift.reason in OF_THE_ENGINE else drift.reason
        return drift.state, reason, drift.prune, fields, drift.baseline, drift.target.uid

    return essence(before) == essence(after)
