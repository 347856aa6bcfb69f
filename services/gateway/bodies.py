"""What sources read out of a JSON body that may hold anything: the wrong type is as good as nothing there.

Nothing here raises but `document`, so that one odd field costs that field and not its alert. Times are bounded: a year
that calendars cannot calculate with, or that an analytics column cannot hold, is no time.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from services.gateway.source import Unreadable

FIRST_YEAR, LAST_YEAR = 1970, 2261  # the latter is the last whole year of a 64-bit count of nanoseconds
MOST_ALERTS = 5_000
"""Of one body: beyond it they are counted, not read, so that one request's events fit into memory."""
LONGEST_NUMBER, LONGEST_TIME = 32, 40
DEEPEST = 100
"""Levels of lists and maps. What is deeper would cost whoever walks it later, and no sender needs it."""


def document(body: bytes, hint: str = "") -> Any:
    """The JSON value. Raises Unreadable, with `hint` saying how to make the sender send JSON."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Unreadable(f"not JSON{': ' if hint else ''}{hint}") from None
    if body.count(b"{") + body.count(b"[") > DEEPEST and _too_deep(found):
        raise Unreadable(f"nested deeper than {DEEPEST} levels")
    return found


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


def ended(value: object, onset: datetime, now: datetime) -> datetime:
    """When an alert was over: never before it began, never in the future, now where the sender does not say."""
    return max(onset, min(moment(value) or now, now))


def number(value: object) -> int | float | None:
    """A text that is a finite number and nothing else, such as what Prometheus makes of `{{ $value }}`."""
    if not isinstance(value, str) or len(value) > LONGEST_NUMBER or not value.isascii() or "_" in value:
        return None
    for read in (int, float):
        try:
            found = read(value)
        except ValueError:
            continue
        return found if abs(found) < float("inf") else None
    return None


def address(value: object) -> str:
    """An absolute http(s) address, or "": a relative one leads nowhere, and another scheme must not become a link."""
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else ""


def _too_deep(value: object) -> bool:
    """True beyond DEEPEST levels; level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [one for outer in level for one in _inside(outer) if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
