"""A brake over all policies on alerts: a storm of alerts is one cause, and hundreds of remedies at once make it worse.

With `storm_max` attempts within `storm_within` the brake closes, and it stays closed until fewer than half of that lie
in the window: right after a storm the platform looks half healed, and healthy things would be acted on.

Whether it is closed follows from the attempts alone, so it survives crashes without a state of its own. Going back in
time from now, the brake was closed where a full window is met before one that is less than half full. A window is
emptiest right before an attempt and fullest right after it, so only those moments need to be looked at. Drift is not
counted and not held back: a declared state is known to be right.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from schemas.events import Reason, Verdict
from services.reconciler.guards.base import Denial, Request
from services.reconciler.tally import Entry

FARTHEST = 4  # how many storms' attempts are looked back on


def storm(request: Request) -> Denial | None:
    """Wait while the brake is closed, until it opens if nothing more is begun."""
    most, within = request.bounds.storm_max, request.bounds.storm_within
    until = closed_until(request.tally.on_alerts, request.now, most, within)
    if until is None:
        return None
    message = f"a storm of alerts: {most} actions within {within}; none until that has fallen below half"
    return Denial(Reason.STORM, message, until, Verdict.WAIT)


def closed_until(entries: Sequence[Entry], now: datetime, most: int, within: timedelta) -> datetime | None:
    """When the brake opens, None where it is open. `entries` are oldest first."""
    few = (most - 1) // 2  # as many in a window are less than half
    if len(entries) <= few or entries[-few - 1].at <= now - within:
        return None
    if not _was_full(entries, most, few, within):
        return None
    return entries[-few - 1].at + within


def _was_full(entries: Sequence[Entry], most: int, few: int, within: timedelta) -> bool:
    """Whether a full window comes, going back in time, before one that is less than half full."""
    last = len(entries) - 1
    for index in range(last, max(-1, last - FARTHEST * most), -1):
        at = entries[index].at
        if index + 1 >= most and entries[index + 1 - most].at > at - within:
            return True
        before = entries[index - few - 1].at if index > few else None
        if before is None or before <= at - within:
            return False
    return False
