"""Make rows of a record: one audit row for every event, and one row a sample for metrics.

Written for speed, since every event of every service passes here: one JSON decode, no models. It checks that the record
is an event that the engine can take apart into its columns; the taking apart is the engine's (`migrations`).
"""

from typing import Any, NamedTuple

import orjson
from aiokafka.structs import ConsumerRecord

from schemas.events import MODELS, TYPES, MetricSampled
from services.recorder.intents import Place
from services.recorder.tables import AuditRow, SampleRow
from services.recorder.values import Unreadable, mapping, mappings, micros, needed_text, number, text

REQUIRED: dict[str, tuple[str, ...]] = {
    name: tuple(key for key, field in model.model_fields.items() if field.is_required())
    for name, model in MODELS.items()
}
SAMPLED = TYPES[MetricSampled]
NOT_A_NUMBER = float("nan")
MOST_SAMPLES = 2**16


class Made(NamedTuple):
    """The rows of one record."""

    event: AuditRow
    samples: tuple[SampleRow, ...] = ()


def rows_of(place: Place, record: "ConsumerRecord[bytes, bytes]") -> Made:
    """Rows of a record with a value. Raises Unreadable when it is no event."""
    value = record.value or b""
    event = _event(value)
    if event["type"] != SAMPLED:
        return Made(_audit(place, record, value))
    samples = _samples(place, record, event["data"])
    return Made(_audit(place, record, _without_samples(event)), samples)


def _event(value: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise Unreadable("not JSON") from None
    if type(event) is not dict:
        raise Unreadable("not a JSON object")
    kind = needed_text(event, "type")
    needed_text(event, "id")
    if not micros(event, "time"):
        raise Unreadable("'time' is missing")
    data = event.get("data")
    if type(data) is not dict:
        raise Unreadable("'data' is missing or not an object")
    for key in REQUIRED.get(kind, ()):
        if key not in data:
            raise Unreadable(f"'data.{key}' is missing")
    return event


def _audit(place: Place, record: "ConsumerRecord[bytes, bytes]", payload: bytes) -> AuditRow:
    return AuditRow(payload, place.broker, place.topic, place.partition, record.offset, max(record.timestamp, 0))


def _without_samples(event: dict[str, Any]) -> bytes:
    """The envelope; the samples are rows of their own, and kept for a shorter time."""
    return orjson.dumps(event | {"data": event["data"] | {"samples": []}})


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
