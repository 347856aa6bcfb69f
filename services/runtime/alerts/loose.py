"""What can be read out of JSON that may hold anything: the wrong type is as good as nothing there.

Nothing here raises, so that one odd field costs that field and not its alert. Times are bounded: a year that calendars
cannot calculate with, or that an analytics column cannot hold, is no time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

FIRST_YEAR, LAST_YEAR = 1970, 2261  # the latter is the last whole year of a 64-bit count of nanoseconds
LONGEST_TIME = 40


def text(value: Mapping[str, Any], name: str) -> str:
    """A text, or ""."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def child(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A map, or an empty one."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def first_text(value: Mapping[str, Any], *names: str) -> str:
    """The first of these that is a text and not empty, or ""."""
    return next((found for name in names if (found := text(value, name))), "")


def texts(value: Mapping[str, Any]) -> dict[str, str]:
    """Its entries that are text or a number, as text."""
    return {
        name: str(one)
        for name, one in value.items()
        if isinstance(one, str | int | float) and not isinstance(one, bool)
    }


def moment(value: object) -> datetime | None:
    """RFC 3339 with up to nine digits and any offset → UTC with microseconds; None for what is none, or year 1."""
    if not isinstance(value, str) or len(value) > LONGEST_TIME:
        return None
    try:
        found = datetime.fromisoformat(value)
        if found.tzinfo is None:
            return None
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if FIRST_YEAR <= found.year <= LAST_YEAR else None


def as_json(value: object) -> str | None:
    """A list or a map as JSON text; None for what is nested too deep to be written."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return None
