"""Read single values out of decoded JSON, strictly: what is no event is found here, record by record.

One value of a wrong type would make the insert of a whole batch fail for ever; here it makes one record unreadable.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LAST_YEAR = 2261  # DateTime64(6) ends in 2299, int64 nanoseconds in 2262


class Unreadable(ValueError):
    """A record that is no event of ours; says which part and why, never the value."""


def text(data: dict[str, Any], key: str) -> str:
    """A string, "" when it is absent or null."""
    value = data.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise Unreadable(f"'{key}' is not a string")
    return value


def needed_text(data: dict[str, Any], key: str) -> str:
    """A string that must be there and not be empty."""
    value = data.get(key)
    if type(value) is not str or not value:
        raise Unreadable(f"'{key}' is missing or not a string")
    return value


def mapping(data: dict[str, Any], key: str) -> dict[str, Any]:
    """An object, empty when it is absent or null."""
    value = data.get(key)
    if value is None:
        return {}
    if type(value) is not dict:
        raise Unreadable(f"'{key}' is not an object")
    return value


def mappings(data: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """A list of objects, empty when it is absent or null."""
    value = data.get(key) or []
    if type(value) is not list or not all(type(part) is dict for part in value):
        raise Unreadable(f"'{key}' is not a list of objects")
    return value


def number(data: dict[str, Any], key: str, absent: float = 0.0) -> float:
    """A number; `absent` when it is absent or null (pydantic writes NaN as null)."""
    value = data.get(key)
    if value is None:
        return absent
    if type(value) not in (int, float):
        raise Unreadable(f"'{key}' is not a number")
    try:
        return float(value)
    except OverflowError:
        raise Unreadable(f"'{key}' is too large") from None


def micros(data: dict[str, Any], key: str) -> int:
    """An RFC 3339 time with its zone as microseconds since 1970, 0 when it is absent or null."""
    value = data.get(key)
    if value is None:
        return 0
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or not EPOCH.year < moment.year <= LAST_YEAR:
            raise ValueError
    except (TypeError, ValueError):
        raise Unreadable(f"'{key}' is not a time with its zone after 1970") from None
    return (moment - EPOCH) // MICROSECOND
