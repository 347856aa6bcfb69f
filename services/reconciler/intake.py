"""What a batch is made from, and what it comes to: the records and results that are there, given to the book in order.

Controls come first, then what workers have found and done, then drift, alerts and people's answers, hours of schedules,
and at last the deadlines that have come.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.structs import TopicPartition

from schemas.alerts import AlertFired
from schemas.approvals import ApprovalAnswered
from schemas.events import Event
from schemas.ledger import Place
from schemas.topics import TopicName
from services.kube.declaration.baselines import Declared
from services.kube.objects import ObjectKey
from services.reconciler.book import Book, Outcome
from services.reconciler.cases.rows import case_of
from services.reconciler.inputs import Answered, Ended, Fired, Found, Result, World
from services.reconciler.journal import Offsets
from services.reconciler.policies.schedules import Schedules
from services.reconciler.records import DeadLetter, Reader, Record, alert_input, control_of, drift_input

MOST_RECORDS = 1000  # of one batch: bounds a transaction, and how long the next one waits


@dataclass
class Read:
    """Records as events, in order, and how far they reach."""

    controls: list[tuple[bytes, Event[Any] | None]] = field(default_factory=list)
    events: list[Event[Any]] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    offsets: Offsets = field(default_factory=dict)


def read(records: "deque[Record[bytes, bytes]]", reader: Reader) -> Read:
    """Take the next records. Raises Permanent where too many cannot be read."""
    found = Read()
    for _ in range(min(len(records), MOST_RECORDS)):
        record = records.popleft()
        found.offsets[TopicPartition(record.topic, record.partition)] = record.offset + 1
        event = reader.event(record)
        if isinstance(event, DeadLetter):
            found.dead.append(event)
        elif record.topic == TopicName.CONTROL:
            found.controls.append((record.key or b"", event))
        elif event is not None:
            found.events.append(event)
    return found


def unplaced(given: Read, book: Book, world: World) -> list[AlertFired]:
    """The alerts that begin with this batch, and that a policy may want."""
    alerts = {event.data.alert_id: event.data for event in given.events if isinstance(event.data, AlertFired)}
    return [alert for alert in alerts.values() if _is_new(alert, book) and world.index.wanting(alert)]


def take_in(
    given: Read, results: deque[Result | Found | Ended], places: Mapping[str, Place], book: Book, world: World,
    declared: Callable[[ObjectKey], Declared | None], schedules: Schedules | None, changed: bool,
) -> Outcome:  # fmt: skip
    """Give everything to the book. `changed`: the policies are others than before."""
    out = Outcome()
    for key, event in given.controls:
        world = book.control(key, control_of(event), world, out)
    while results:
        result = results.popleft()
        book.take(result.subject, result, world, out)
    for event in given.events:
        _take(event, places, book, world, declared, out)
    if changed:
        book.reconsider(world, out)
    for subject, hour in schedules.due(world, book.rows) if schedules else ():
        book.take(subject, hour, world, out)
    book.due(world, out)
    return out


def _take(
    event: Event[Any], places: Mapping[str, Place], book: Book, world: World,
    declared: Callable[[ObjectKey], Declared | None], out: Outcome,
) -> None:  # fmt: skip
    if isinstance(event.data, ApprovalAnswered):
        book.answer(Answered(event.id, event.data), world, out)
        return
    alert = alert_input(event)
    if isinstance(alert, Fired):
        place = places.get(alert.data.alert_id)
        book.take(alert.data.target.subject, Fired(alert.event_id, alert.correlation_id, alert.data, place), world, out)
        return
    given = alert or drift_input(event, declared)
    if given is not None:
        book.take(given.data.target.subject, given, world, out)


def _is_new(alert: AlertFired, book: Book) -> bool:
    row = book.rows.get(alert.target.subject)
    return row is None or (alert.alert_id not in row.closed_cases and case_of(row, alert.alert_id) is None)
