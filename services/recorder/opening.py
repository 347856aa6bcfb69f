"""Where to start in a partition that was just assigned: a pure decision over what the group and the broker say."""

from dataclasses import dataclass

from services.recorder.intents import Span, decode
from services.runtime.errors import Permanent

NO_OFFSET = -1


@dataclass(frozen=True)
class Held:
    """What the broker holds of a partition: offsets `begin` up to, not including, `end` (the last stable offset)."""

    begin: int
    end: int


@dataclass(frozen=True)
class Opening:
    """What to do first. Records of `replay` are inserted again before anything else is read; `start` is where normal
    reading begins after that. `lost` names offsets that retention took before they were recorded."""

    start: int
    replay: Span | None = None
    lost: Span | None = None


def plan(offset: int, metadata: str, held: Held, recorded: int | None = None) -> Opening:
    """`offset` and `metadata` are the group's commit, `NO_OFFSET` when there is none; `recorded` is then the highest
    offset that ClickHouse has of this partition (the group's offsets expired, or it has a new name).

    Raises Permanent for metadata of an unknown version, and for a partition that is shorter than its record: the same
    offsets would stand for other events, and the engine would take those for repetitions.
    """
    if offset == NO_OFFSET and recorded is None:
        return Opening(start=held.begin)
    intent = decode(offset, metadata) if offset != NO_OFFSET else None
    passed = recorded + 1 if offset == NO_OFFSET and recorded is not None else offset
    needed = intent.last + 1 if intent else passed
    if needed > held.end:
        raise Permanent(
            f"offsets up to {needed} were read, the broker has only those up to {held.end}: the topic was made anew, "
            "or its newest records were lost",
            "Record the new topic into another database (the URL's last part), and keep this one for reading",
        )
    lost = Span(passed, held.begin - 1) if held.begin > passed else None
    if intent is None or intent.last < held.begin:
        return Opening(start=max(needed, held.begin), lost=lost)
    return Opening(start=needed, replay=intent, lost=lost)
