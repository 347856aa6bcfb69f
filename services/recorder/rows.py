"""Make rows of a record: one audit row for every event, and one row a sample for metrics.

Written for speed, since every event of every service passes here: one JSON decode, no models. It checks that the record
is an event that the engine can take apart into its columns; the taking apart is the engine's (`migrations`).
A dead letter is whatever could not be read, and no event; its row tells where it stood and why, and none of its bytes.
"""

from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from aiokafka.structs import ConsumerRecord

from schemas.base import rfc3339
from schemas.events import MODELS, PREFIX, TYPES, MetricSampled
from schemas.topics import TopicName
from services.recorder.intents import Place
from services.recorder.tables import AuditRow, SampleRow
from services.recorder.values import EPOCH, LAST_YEAR, Unreadable, mapping, mappings, micros, needed_text, number, text
from services.runtime.deadletters import SIZE

REQUIRED: dict[str, tuple[str, ...]] = {
    name: tuple(key for key, field in model.model_fields.items() if field.is_required())
    for name, model in MODELS.items()
}
SAMPLED = TYPES[MetricSampled]
UNREADABLE = f"{PREFIX}record.unreadable.v1"
"""The type of a dead letter's row; no event of this type crosses a topic."""
MOST_MESSAGE = 1000
LAST_MS = (LAST_YEAR - EPOCH.year) * 365 * 24 * 3600 * 1000
NOT_A_NUMBER = float("nan")
MOST_SAMPLES = 2**16


class Made(NamedTuple):
    """The rows of one record."""

    event: AuditRow
    samples: tuple[SampleRow, ...] = ()


def rows_of(place: Place, record: "ConsumerRecord[bytes, bytes]") -> Made:
    """Rows of a record with a value. Raises Unreadable when it is no event."""
    value = record.value or b""
    if place.topic == TopicName.DEAD_LETTER:
        return Made(_audit(place, record, orjson.dumps(_letter(place, record))))
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


def _letter(place: Place, record: "ConsumerRecord[bytes, bytes]") -> dict[str, Any]:
    """A dead letter as an event. Its headers are somebody's words: nothing in them makes it unreadable again."""
    told = {name: (value or b"").decode(errors="replace")[:MOST_MESSAGE] for name, value in record.headers}
    topic, partition, offset = (told.get(f"original-{name}", "") for name in ("topic", "partition", "offset"))
    identity = f"{place.topic}:{place.partition}:{record.offset}"
    data = {
        "topic": topic, "partition": _count(partition), "offset": _count(offset), "message": told.get("error", ""),
        "bytes": _count(told.get(SIZE, "")) or len(record.value or b""),
    }  # fmt: skip
    return {
        "specversion": "1.0", "type": UNREADABLE, "id": identity, "source": "setpoint/recorder",
        "subject": f"{topic}:{partition}:{offset}", "time": _time(record.timestamp), "correlationid": identity,
        "data": data,
    }  # fmt: skip


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _time(milliseconds: int) -> str:
    return rfc3339(EPOCH + timedelta(milliseconds=min(max(milliseconds, 0), LAST_MS)))


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
