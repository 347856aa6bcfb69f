"""Maintenance windows: nothing inside a freeze, nothing outside of every `allow` window that covers the target.

The answer's end is the true one: freezes that follow each other without a gap are one, and a freeze that ends before
the next `allow` window begins says when that begins. What only tells people is never held back.
"""

from collections.abc import Iterable
from datetime import datetime

from schemas.events import Reason, Verdict
from services.reconciler.guards.base import Denial, Request, Window

MOST_LINKS = 64  # of windows that follow each other; beyond, the answer is looked for again


def maintenance(request: Request) -> Denial | None:
    """Wait until nothing freezes the target, and one of its `allow` windows, if it has any, is open."""
    if not request.windows or request.only_tells:
        return None
    covering = [window for window in request.windows if window.covers(request.about)]
    held = _held(covering, request.now)
    if held is None:
        return None
    message, until = held
    for _ in range(MOST_LINKS):
        following = _held(covering, until) if until is not None else None
        if following is None:
            break
        until = following[1]
    return Denial(Reason.MAINTENANCE, message, until, Verdict.WAIT)


def _held(windows: Iterable[Window], now: datetime) -> tuple[str, datetime | None] | None:
    """Why nothing may be done at a moment, and until when that very reason holds."""
    freezes: list[Window] = []
    allows: list[Window] = []
    for window in windows:
        (freezes if window.freezes else allows).append(window)
    for window in freezes:
        end = window.open_until(now)
        if end is not None:
            return f"frozen by {_named(window)}", end
    if not allows or any(window.open_until(now) is not None for window in allows):
        return None
    begins = [(begin, window) for window in allows if (begin := window.opens_at(now)) is not None]
    if not begins:
        return f"outside of {_named(allows[0])}, which does not open again", None
    begin, first = min(begins, key=lambda pair: pair[0])
    return f"outside of {_named(first)}", begin


def _named(window: Window) -> str:
    return f"maintenance window {window.name!r}" + (f": {window.reason}" if window.reason else "")
