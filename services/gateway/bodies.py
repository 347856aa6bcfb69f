"""What sources read out of a JSON body that may hold anything: the wrong type is as good as nothing there.

Nothing here raises but `document`, so that one odd field costs that field and not its alert. What the watcher reads in
the same way stands in `services/runtime/alerts/loose.py`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from services.gateway.source import Unreadable
from services.runtime.alerts.loose import as_json, child, first_text, moment, text, texts

__all__ = [
    "DEEPEST", "MOST_ALERTS", "address", "as_json", "child", "document", "ended", "first_text", "moment", "number",
    "text", "texts",
]  # fmt: skip

MOST_ALERTS = 5_000
"""Of one body: beyond it they are counted, not read, so that one request's events fit into memory."""
LONGEST_NUMBER = 32
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
