"""From records to inputs, and from facts and rows back to records. What cannot be read goes to the dead letters.

A producer of a newer version may write types and fields that this one does not know: those are passed over. A record
that is no valid event is written to the dead letters, in the same transaction that passes its offset; too many in a row
stop the reconciler instead, since that is a wrong topic or version and not a bad record.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka.structs import ConsumerRecord

from schemas.alerts import AlertFired, AlertResolved
from schemas.approvals import ApprovalAnswered, ApprovalClosed, ApprovalRefused, ApprovalRequested
from schemas.events import (
    ActionFinished,
    ActionStarted,
    ControlRemoved,
    ControlSet,
    DecisionMade,
    DriftCleared,
    DriftDetected,
    Event,
    EvidenceKept,
    PeopleTold,
    make_event,
    parse_event,
)
from schemas.ledger import TargetState
from schemas.target import Target
from schemas.topics import TopicName
from services.kube.declaration.baselines import Declared
from services.kube.objects import ObjectKey
from services.reconciler.inputs import Cleared, Detected, Fact, Fired, Over
from services.runtime.deadletters import DeadLetter, dead_letter
from services.runtime.errors import Permanent
from services.runtime.kafka import HEADERS, Outgoing

SOURCE = "setpoint/reconciler"
UNREADABLE_IN_A_ROW = 100
TOPIC_OF: dict[type, TopicName] = {
    DecisionMade: TopicName.DECISIONS,
    ActionStarted: TopicName.ACTIONS,
    ActionFinished: TopicName.ACTIONS,
    EvidenceKept: TopicName.ACTIONS,
    PeopleTold: TopicName.ACTIONS,
    ApprovalRequested: TopicName.APPROVALS,
    ApprovalRefused: TopicName.APPROVALS,
    ApprovalClosed: TopicName.APPROVALS,
}

Record = ConsumerRecord  # of bytes; aiokafka's own is generic without need
Lookup = Callable[[ObjectKey], Declared | None]


@dataclass
class Reader:
    """Reads the records of one cluster, and counts those in a row that it could not.

    Other clusters may share the partition: each has reconcilers, and a consumer group, of its own.
    """

    cluster: str
    unreadable: int = 0

    def event(self, record: "Record[bytes, bytes]") -> Event[Any] | DeadLetter | None:
        """The record's event; None for a tombstone, an unknown type, and what is another cluster's. Raises Permanent
        past the limit."""
        if record.value is None:
            return None
        try:
            event = parse_event(record.value)
        except ValueError as error:
            return self._unreadable(record, _first_line(error))
        self.unreadable = 0
        return event if event and cluster_of(event) == self.cluster else None

    def row(self, record: "Record[bytes, bytes]") -> TargetState | DeadLetter | None:
        """A ledger row; None for another cluster's. Raises Permanent past the limit."""
        try:
            row = TargetState.model_validate_json(record.value or b"")
        except ValueError as error:
            return self._unreadable(record, _first_line(error))
        return row if row.target.cluster == self.cluster else None

    def _unreadable(self, record: "Record[bytes, bytes]", error: str) -> DeadLetter:
        self.unreadable += 1
        if self.unreadable > UNREADABLE_IN_A_ROW:
            raise Permanent(
                f"{self.unreadable} unreadable records in a row on {record.topic}, partition {record.partition}",
                "Find out which producer writes them; a version that can read them continues where this one stopped",
            )
        return dead_letter(record, error)


def cluster_of(event: Event[Any]) -> str:
    """The cluster that an event of the reconciler's inputs is about."""
    if isinstance(event.data, ControlSet | ControlRemoved):
        return event.data.scope.cluster
    if isinstance(event.data, ApprovalAnswered):
        return event.data.cluster
    target: Target = event.data.target
    return target.cluster


def drift_input(event: Event[Any], lookup: Lookup) -> Detected | Cleared | None:
    """A drift event as input of the state machine; None for any other."""
    data = event.data
    if isinstance(data, DriftDetected):
        declared = lookup(key_of_target(data.target))
        return Detected(event.id, event.correlationid, data, declared.digest if declared else None)
    return Cleared(event.id, data) if isinstance(data, DriftCleared) else None


def alert_input(event: Event[Any]) -> Fired | Over | None:
    """An alert's event as input of the state machine; None for any other."""
    if isinstance(event.data, AlertFired):
        return Fired(event.id, event.correlationid, event.data)
    return Over(event.id, event.data) if isinstance(event.data, AlertResolved) else None


def control_of(event: Event[Any] | None) -> Event[ControlSet | ControlRemoved] | None:
    """The event if it is a control's, None for a tombstone and for anything else."""
    return event if event is not None and isinstance(event.data, ControlSet | ControlRemoved) else None


def key_of_target(target: Target) -> ObjectKey:
    """The object that a target is."""
    return ObjectKey(target.group, target.kind, target.namespace, target.name)


def fact_records(facts: Iterable[Fact], partition: int, now: datetime) -> list[Outgoing]:
    """Decisions and actions as events, on the partition that led to them."""
    records = []
    for fact in facts:
        target: Target = fact.data.target  # type: ignore[attr-defined]
        event = make_event(
            fact.data, id=fact.id, source=SOURCE, subject=target.subject, time=now,
            correlationid=fact.correlation, causationid=fact.cause,
        )  # fmt: skip
        value = event.model_dump_json().encode()
        records.append(Outgoing(TOPIC_OF[type(fact.data)], target.cluster.encode(), value, partition))
    return records


def row_records(rows: dict[str, TargetState | None], partition: int) -> list[Outgoing]:
    """Ledger rows, and tombstones for those that are forgotten."""
    return [
        Outgoing(
            TopicName.LEDGER, subject.encode(), row.model_dump_json(exclude_defaults=True).encode() if row else None,
            partition,
        )
        for subject, row in rows.items()
    ]  # fmt: skip


def _first_line(error: ValueError) -> str:
    """What is wrong, without the input that pydantic would quote."""
    details = getattr(error, "errors", None)
    if details is None:
        return f"{type(error).__name__}"
    first = details(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


__all__ = [
    "HEADERS", "DeadLetter", "Lookup", "Reader", "Record", "alert_input", "control_of", "dead_letter", "drift_input",
    "fact_records", "key_of_target", "row_records",
]  # fmt: skip
