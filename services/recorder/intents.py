"""The write-ahead intent: which offsets of a partition are about to be inserted, kept in the offset commit's metadata.

`commit {partition: (first, "1:<last>")}` precedes the insert of [first, last]; `commit {partition: (last + 1, "")}`
follows it. Whoever owns the partition next reads the metadata and inserts exactly that range again, with the same
deduplication token, so that the engine drops what it already has. The token is a function of the range alone: a token
that counts or tells the time would let the second delivery in.
"""

from dataclasses import dataclass

from services.runtime.errors import Permanent

VERSION = "1"


@dataclass(frozen=True)
class Span:
    """Offsets of one partition, both ends included."""

    first: int
    last: int

    def __contains__(self, offset: int) -> bool:
        return self.first <= offset <= self.last

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, order=True)
class Place:
    """A partition, wherever its broker is. `broker` is the Kafka cluster's own id: offsets mean nothing without it."""

    broker: str
    topic: str
    partition: int


def encode(span: Span) -> str:
    """The metadata of an open intent; its first offset is the commit's own."""
    return f"{VERSION}:{span.last}"


def decode(offset: int, metadata: str) -> Span | None:
    """The open intent of a commit, None when everything below `offset` is recorded.

    Raises Permanent for metadata that this version did not write, since guessing would lose or double rows.
    """
    if not metadata:
        return None
    version, _, last = metadata.partition(":")
    if version != VERSION or not last.isdigit() or int(last) < offset:
        raise Permanent(
            f"the recorder's group has a commit at {offset} with metadata {metadata!r}, which this version cannot read",
            "Run the newer version that wrote it, or give the recorder a group of its own with SETPOINT_GROUP_PREFIX",
        )
    return Span(offset, int(last))


def token(place: Place, span: Span, repair: int = 0) -> str:
    """The deduplication token of an insert; `repair` counts the attempts to put back what a replay did not."""
    plain = f"{place.broker}:{place.topic}:{place.partition}:{span}"
    return f"{plain}:r{repair}" if repair else plain
