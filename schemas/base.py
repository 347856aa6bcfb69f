"""The two ways a model may be strict, and the types that users' files share.

`EventModel`: what services say to each other. Frozen and typed where it is built; unknown fields are ignored where it
is read, so that a newer producer does not break an older consumer.
`StrictModel`: what people write. Unknown fields are errors.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w)")


class EventModel(BaseModel):
    """Data of an event: frozen, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StrictModel(BaseModel):
    """Data from a person: frozen, camelCase keys in files, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        alias_generator=AliasGenerator(validation_alias=to_camel, serialization_alias=to_camel),
    )


def parse_duration(value: Any) -> Any:
    """`90s`, `5m`, `1h30m`, `1d` → timedelta; anything else is left to pydantic's own timedelta, except bare numbers.

    Raises ValueError with an example for text that is no duration.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"a duration needs its unit, such as 30s, 5m or 1h: {value}")
    if not isinstance(value, str) or value.startswith("P"):
        return value
    parts = DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError(f"not a duration, write it like 30s, 5m, 1h30m or 1d: {value!r}")
    return timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    """timedelta → `1h30m`, as people write it and `parse_duration` reads it; whole milliseconds."""
    rest, parts = value // timedelta(milliseconds=1), ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        parts += f"{count}{unit}" if count else ""
    return parts or "0s"


def to_utc(value: datetime) -> datetime:
    """A time in UTC; a naive one is refused, since its zone would be a guess."""
    if value.tzinfo is None:
        raise ValueError("a time needs its zone, such as 2026-11-24T10:00:00Z")
    return value.astimezone(UTC)


def rfc3339(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`, so that times sort as text."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


DURATION_SCHEMA = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$", "examples": ["30s", "1h30m"]}
Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(DURATION_SCHEMA),
]
Timestamp = Annotated[datetime, AfterValidator(to_utc), PlainSerializer(rfc3339, return_type=str, when_used="json")]
