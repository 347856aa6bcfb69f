"""What one source of the gateway is: how its requests are proved, how much they may hold, and what they mean.

Each file in `sources/` makes one `Source`; `sources/__init__.py` lists them. A source's `read` is a pure function from
what was sent to events, so that it is tested on recorded payloads alone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from schemas.events import Event
from schemas.topics import TopicName
from services.gateway.proof import Proof


class Unreadable(Exception):
    """A body that is not what its source sends. The message goes back to the sender, so it never quotes the body."""


class Made(NamedTuple):
    """One event, and where it goes."""

    topic: TopicName
    key: str
    event: Event[Any]


@dataclass(frozen=True)
class Reading:
    """What a body said: events, and how many things in it make none, by a word that says why."""

    made: tuple[Made, ...] = ()
    passed_over: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Sender:
    """Which one of a source's senders: the last part of the path, and what it may speak about.

    As a rule `name` is the cluster that it speaks about. One that speaks for several has `clusters`, globs of those,
    and `cluster_label`, the label of each alert that says which.
    """

    name: str
    clusters: tuple[str, ...] = ()
    cluster_label: str = "cluster"

    def cluster(self, labels: Mapping[str, str]) -> str | None:
        """The cluster that something with these labels is about; None where the sender may not, or does not, say."""
        if not self.clusters:
            return self.name
        named = labels.get(self.cluster_label)
        return named if named and any(fnmatchcase(named, glob) for glob in self.clusters) else None


@dataclass(frozen=True)
class Inbound:
    """A request whose sender is proved. Header names are lower case."""

    body: bytes
    headers: Mapping[str, str]
    sender: Sender
    now: datetime


@dataclass(frozen=True)
class Source:
    """`read(inbound)` raises Unreadable. `max_bytes` bounds a body. `proof` says whether a sender knows its secret."""

    name: str
    max_bytes: int
    proof: Proof
    read: Callable[[Inbound], Reading]

    def proves(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: datetime) -> bool:
        """Whether the request comes, now, from who knows one of `secrets`."""
        return self.proof.holds(headers, body, secrets, now)
