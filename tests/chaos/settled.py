"""Whether everything is over: each object as declared, or its open drift with a recorded reason, and nothing under way.

Pure, over the live objects and the topics. Used to wait, and once more when all services have ended.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from schemas.events import DecisionMade, DriftCleared, DriftDetected, Verdict
from schemas.ledger import TargetState
from schemas.target import Target
from services.kube.objects import Object
from tests.chaos.estate import Estate, Thing, holds
from tests.chaos.topics import Topics

SOON = timedelta(seconds=20)
REASONS = frozenset({Verdict.DENY, Verdict.WAIT, Verdict.OBSERVE})
Live = Mapping[tuple[str, str, str], Object]


def subject_of(thing: Thing, cluster: str) -> str:
    """The thing as events name it."""
    group = "apps" if thing.kind == "Deployment" else ""
    target = Target(cluster=cluster, group=group, kind=thing.kind, namespace=thing.namespace, name=thing.name)
    return target.subject


def unsettled(estate: Estate, cluster: str, live: Live, topics: Topics, now: datetime | None = None) -> list[str]:
    """What is not over, in words. With `now`, a decision that is made again soon counts as not over either."""
    rows, lives = topics.ledger(), open_lives(topics)
    last = {decision.drift_id: decision for decision in topics.data(DecisionMade)}
    found: list[str] = []
    for thing in estate.things:
        subject = subject_of(thing, cluster)
        row, drift = rows.get(subject), lives.get(subject)
        right = holds(thing, live.get(thing.place))
        decision = last.get(drift.drift_id) if drift else None
        found += (f"{subject}: {problem}" for problem in _problems(thing, right, row, drift, decision, now))
    return found


def open_lives(topics: Topics) -> dict[str, DriftDetected]:
    """The drift of each subject that is told and not cleared."""
    found: dict[str, DriftDetected] = {}
    for data in topics.data(DriftDetected, DriftCleared):
        if isinstance(data, DriftDetected):
            found[data.target.subject] = data
        else:
            found.pop(data.target.subject, None)
    return found


def _problems(
    thing: Thing, right: bool, row: TargetState | None, drift: DriftDetected | None, decision: DecisionMade | None,
    now: datetime | None,
) -> Iterator[str]:  # fmt: skip
    if row and row.in_flight:
        yield f"action {row.in_flight.action_id} is under way"
    decided = row.drift.drift_id if row and row.drift else None
    if decided != (drift.drift_id if drift else None):
        yield f"the ledger knows of drift {decided}, the topic of {drift and drift.drift_id}"
    if right and drift:
        yield f"is as declared, and drift {drift.drift_id} is not cleared"
    if not right and not drift:
        yield "is not as declared, and no drift is told"
    if not right and drift:
        yield from _without_reason(thing, drift, decision, now)


def _without_reason(
    thing: Thing, drift: DriftDetected, decision: DecisionMade | None, now: datetime | None
) -> Iterator[str]:
    if decision is None or decision.verdict not in REASONS:
        yield f"is not as declared, and drift {drift.drift_id} has no reason: {decision and decision.verdict}"
    elif thing.observed != (decision.verdict is Verdict.OBSERVE):
        yield f"is left with {decision.verdict}: {decision.reason}"
    elif now and decision.until and decision.until < now + SOON:
        yield f"is left until {decision.until}: {decision.reason}"
