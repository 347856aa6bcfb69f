"""Make rows of a record: one audit row for every event, and one row a sample for metrics.

Written for speed, since every event of every service passes here: one JSON decode, no models. What the engine must be
able to rely on (types of columns, times, the fields that a known event cannot do without) is checked by hand.
"""

from typing import Any, NamedTuple

import orjson
from aiokafka.structs import ConsumerRecord

from schemas.events import MODELS, PREFIX, TYPES, ControlRemoved, ControlSet, MetricSampled
from services.recorder.intents import Place
from services.recorder.tables import AuditRow, SampleRow
from services.recorder.values import (
    Unreadable,
    count,
    flag,
    mapping,
    mappings,
    micros,
    needed_text,
    number,
    text,
    texts,
)  # fmt: skip

REQUIRED: dict[str, tuple[str, ...]] = {
    name: tuple(key for key, field in model.model_fields.items() if field.is_required())
    for name, model in MODELS.items()
}
SCOPED = {TYPES[ControlSet], TYPES[ControlRemoved]}
SAMPLED = TYPES[MetricSampled]
NOT_A_NUMBER = float("nan")
MOST_SAMPLES = 2**16


class Made(NamedTuple):
    """The rows of one record."""

    event: AuditRow
    samples: tuple[SampleRow, ...] = ()


def rows_of(place: Place, record: "ConsumerRecord[bytes, bytes]") -> Made:
    """Rows of a record with a value. Raises Unreadable when it is no event."""
    try:
        event = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        raise Unreadable("not JSON") from None
    if type(event) is not dict:
        raise Unreadable("not a JSON object")
    kind = needed_text(event, "type")
    data = event.get("data")
    if type(data) is not dict:
        raise Unreadable("'data' is missing or not an object")
    for key in REQUIRED.get(kind, ()):
        if key not in data:
            raise Unreadable(f"'data.{key}' is missing")
    if kind == SAMPLED:
        return Made(_audit(place, record, event, kind, data, b""), _samples(place, record, data))
    return Made(_audit(place, record, event, kind, data, record.value or b""))


def _audit(
    place: Place,
    record: "ConsumerRecord[bytes, bytes]",
    event: dict[str, Any],
    kind: str,
    data: dict[str, Any],
    payload: bytes,
) -> AuditRow:
    time = micros(event, "time")
    if not time:
        raise Unreadable("'time' is missing")
    target = mapping(data, "scope" if kind in SCOPED else "target")
    fields = mappings(data, "fields")
    return AuditRow(
        event_time=time,
        event_id=needed_text(event, "id"),
        event_type=kind.removeprefix(PREFIX),
        source=text(event, "source"),
        subject=text(event, "subject"),
        cluster=text(target, "cluster"),
        api_group=text(target, "group"),
        kind=text(target, "kind"),
        namespace=text(target, "namespace"),
        name=text(target, "name") or text(data, "name"),
        correlation_id=text(event, "correlationid"),
        causation_id=text(event, "causationid"),
        drift_id=text(data, "drift_id"),
        decision_id=text(data, "decision_id"),
        action_id=text(data, "action_id"),
        trigger_id=text(mapping(data, "trigger"), "id"),
        baseline=text(data, "baseline"),
        policy=text(data, "policy"),
        mode=text(data, "mode"),
        verdict=text(data, "verdict"),
        reason=text(data, "reason"),
        outcome=text(data, "outcome"),
        state=text(data, "state") or text(data, "operation") or text(data, "kind"),
        engine=text(data, "engine"),
        manager=text(data, "manager") or text(data, "by"),
        managers=sorted({text(field, "manager") for field in fields} - {""}),
        paths=[text(field, "path") for field in fields] or texts(data, "paths"),
        message=text(data, "message") or text(data, "engine_reason"),
        sequence=count(data, "attempt") or count(data, "update") or count(data, "evaluation"),
        onset=micros(data, "onset"),
        started_at=micros(data, "started_at"),
        plan_ms=number(data, "plan_ms"),
        apply_ms=number(data, "apply_ms"),
        verify_ms=number(data, "verify_ms"),
        resumed=flag(data, "resumed"),
        payload=payload,
        broker=place.broker,
        topic=place.topic,
        kafka_partition=place.partition,
        kafka_offset=record.offset,
        kafka_time=max(record.timestamp, 0),
    )


def _samples(place: Place, record: "ConsumerRecord[bytes, bytes]", data: dict[str, Any]) -> tuple[SampleRow, ...]:
    source, samples = text(data, "source"), mappings(data, "samples")
    if len(samples) > MOST_SAMPLES:
        raise Unreadable(f"more than {MOST_SAMPLES} samples in one record")
    return tuple(_sample(place, record, source, index, sample) for index, sample in enumerate(samples))


def _sample(
    place: Place, record: "ConsumerRecord[bytes, bytes]", source: str, index: int, sample: dict[str, Any]
) -> SampleRow:
    labels = mapping(sample, "labels")
    return SampleRow(
        time=micros(sample, "time"),
        name=needed_text(sample, "name"),
        value=number(sample, "value", absent=NOT_A_NUMBER),
        labels={name: text(labels, name) for name in labels},
        source=source,
        broker=place.broker,
        topic=place.topic,
        kafka_partition=place.partition,
        kafka_offset=record.offset,
        sample=index,
        kafka_time=max(record.timestamp, 0),
    )
