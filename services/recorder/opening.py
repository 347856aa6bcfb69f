"""Where to start in a partition that was just assigned: a pure decision over what the group and the broker say."""

from dataclasses import dataclass

from services.recorder.intents import Span, decode

NO_OFFSET = -1


@dataclass(frozen=True)
class Held:
    """What the broker holds of a partition: offsets `begin` up to, not including, `end` (the last stable offset)."""

    begin: int
    end: int


@dataclass(frozen=True)
class Opening:
    """What to do first. Records of `replay` are inserted again before anything else is read; `start` is where normal
    reading begins after that. `lost` names offsets that nobody can read any more (retention, or a topic made anew)."""

    start: int
    replay: Span | None = None
    lost: Span | None = None
    recreated: bool = False


def plan(offset: int, metadata: str, held: Held) -> Opening:
    """`offset` and `metadata` are the group's commit, `NO_OFFSET` when there is none.

    Raises Permanent for metadata of an unknown version.
    """
    if offset == NO_OFFSET:
        return Opening(start=held.begin)
    intent = decode(offset, metadata)
    needed = intent.last + 1 if intent else offset
    if needed > held.end:
        return Opening(start=held.begin, lost=intent, recreated=True)
    if intent is None:
        lost = Span(offset, held.begin - 1) if held.begin > offset else None
        return Opening(start=max(offset, held.begin), lost=lost)
    if intent.last < held.begin:
        return Opening(start=held.begin, lost=Span(intent.first, held.begin - 1))
    lost = Span(intent.first, held.begin - 1) if held.begin > intent.first else None
    return Opening(start=intent.last + 1, replay=intent, lost=lost)
