"""Hourly numbers of the last hours, made to agree with their rows before a partition's first insert.

What an insert left half done is put right by its replay, since its intent is still open (`replay`, `keep`). This is for
what no intent tells of: a machine that went down after an insert was acknowledged and passed may come back with the
rows on its disk and without their numbers, and a group whose commits have expired has forgotten what was open. Older
hours are left to `setpoint doctor --record`, which names them.
Only this recorder's own partitions are touched, and nothing is inserted into them meanwhile. An hour that still differs
is left to the doctor as well: the record does not wait for its statistics.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from services.recorder.intents import Place
from services.recorder.rollups import ROLLUPS, SETTLE_S, Cut, Difference, differences, kept_since, recount
from services.recorder.store import Store
from services.runtime.clock import Clock

RECENT = timedelta(hours=1)
"""Before the running hour."""
AHEAD = timedelta(days=1)
"""How much earlier than an event's own time its record may seem to be, by clocks that differ."""


async def heal(store: Store, places: Collection[Place], clock: Clock) -> list[Difference]:
    """Compare the running hour and the one before it, and count again what differs; what that was. Raises Temporary
    where ClickHouse is away."""
    if not places:
        return []
    cut, healed = recent(clock.now(), await kept_since(store)), []
    for rollup in ROLLUPS:
        wrong = [entry for entry in await differences(store, rollup, cut) if entry.place in places]
        if wrong:
            await clock.sleep(SETTLE_S)
        for place in sorted({entry.place for entry in wrong}):
            healed += await _heal_one(store, rollup, replace(cut, place=place))
    return healed


def recent(now: datetime, kept: datetime) -> Cut:
    """The last hours, of the rows of as few months as they can be in: each is a partition that is read."""
    since = now.replace(minute=0, second=0, microsecond=0) - RECENT
    month = (since - AHEAD).replace(day=1, hour=0)
    return Cut(max(kept, month), since=since)


async def _heal_one(store: Store, rollup: str, cut: Cut) -> list[Difference]:
    """What still differs of one partition was not on its way."""
    wrong = await differences(store, rollup, cut)
    if wrong:
        await recount(store, rollup, replace(cut, since=None, hours=tuple(sorted({entry.hour for entry in wrong}))))
    return wrong
