"""The sources in the cluster of all baselines of a process: read at their own pace, the last good state of each kept.

A baseline that changes is read anew. What could not be read at all stays as it was, and says so; a source that may not
be read (rights) counts as read, so that the others go on.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from schemas.baseline import Baseline, Source
from services.kube.api.cluster import Cluster
from services.kube.api.errors import ApiError, Forbidden
from services.kube.declaration.baselines import Declared
from services.kube.declaration.origins.applications import ApplicationReader
from services.kube.declaration.origins.base import Found, Reader
from services.kube.declaration.origins.helm import HelmReader
from services.kube.declaration.origins.last_applied import LastAppliedReader
from services.runtime.tasks import all_of

FORBIDDEN = "forbidden"
OFTEN_S = 30.0
AGAIN_S = 5.0  # while the API server is away
SELDOM_S = 300.0  # a list of nearly every kind; what it finds is read from the objects themselves meanwhile


@dataclass
class Followed:
    """One baseline's source. `trouble` is why what is known of it may be old."""

    baseline: Baseline
    reader: Reader
    every_s: float
    found: Found = field(default_factory=Found)
    was_read: bool = False
    trouble: str | None = None
    due: float = 0.0

    async def read(self, cluster: Cluster, now: float) -> bool:
        """Read it; True where what it declares is another. `now` is monotonic, in seconds."""
        self.due = now + self.every_s
        first = not self.was_read
        try:
            found = await self.reader.read(cluster)
        except Forbidden as error:
            self.trouble, self.was_read = f"{FORBIDDEN}: {error.message}", True
            return first
        except ApiError as error:
            self.trouble, self.due = error.message, now + AGAIN_S
            return False
        self.trouble, self.was_read = None, True
        changed = first or _essence(found) != _essence(self.found)
        self.found = found
        return changed

    @property
    def whole(self) -> str:
        """Why it could not be read at all, "" where it was."""
        return f"baseline '{self.baseline.metadata.name}': {self.trouble}" if self.trouble else ""

    @property
    def problems(self) -> list[str]:
        """What is wrong with the source, or with parts of it."""
        return [*filter(None, [self.whole]), *self.found.problems]


class Sources:
    """All of them, by baseline. `observe` says why nothing of them may be corrected, "" where it may be."""

    def __init__(self, observe: str = "") -> None:
        self.observe = observe
        self.by_name: dict[str, Followed] = {}
        self.reading = asyncio.Lock()

    async def refresh(self, cluster: Cluster, baselines: Iterable[Baseline], now: float) -> bool:
        """Read what is due; True where anything that is declared changed."""
        async with self.reading:
            changed = self._want(baselines)
            due = [source for source in self.by_name.values() if now >= source.due or not source.was_read]
            return any(await all_of(source.read(cluster, now) for source in due)) or changed

    def complete(self, baselines: Iterable[Baseline]) -> bool:
        """True once every wanted source has been read."""
        wanted = [baseline for baseline in baselines if baseline.spec.source.in_cluster]
        known = [self.by_name.get(baseline.metadata.name) for baseline in wanted]
        return all(
            source is not None and source.was_read and source.baseline == baseline
            for baseline, source in zip(wanted, known, strict=True)
        )

    def cautious(self, baselines: Iterable[Baseline]) -> tuple[Baseline, ...]:
        """The baselines, without `prune` where not all that they declare could be read: what is declared there would
        look as if nobody wanted it.
        """
        partial = {name for name, source in self.by_name.items() if source.found.problems}
        return tuple(_unpruned(baseline) if baseline.metadata.name in partial else baseline for baseline in baselines)

    def claims(self) -> list[Declared]:
        """What all of them declare, in the order of the baselines' names."""
        return [declared for _, source in sorted(self.by_name.items()) for declared in source.found.objects]

    @property
    def troubles(self) -> list[str]:
        """Which sources could not be read at all. A right that lacks for one that nobody asked for is none."""
        found = (source.whole for _, source in sorted(self.by_name.items()) if source.trouble)
        return [whole for whole in found if not (self.observe and FORBIDDEN in whole)]

    @property
    def problems(self) -> list[str]:
        """What is wrong with any of them, or with parts of one."""
        return [problem for _, source in sorted(self.by_name.items()) for problem in source.problems]

    def _want(self, baselines: Iterable[Baseline]) -> bool:
        """Keep exactly these; True where one went away."""
        wanted = {baseline.metadata.name: baseline for baseline in baselines if baseline.spec.source.in_cluster}
        gone = self.by_name.keys() - wanted.keys()
        self.by_name = {name: self._followed(baseline) for name, baseline in wanted.items()}
        return bool(gone)

    def _followed(self, baseline: Baseline) -> Followed:
        known = self.by_name.get(baseline.metadata.name)
        if known and known.baseline == baseline:
            return known
        source = baseline.spec.source
        return Followed(baseline, reader_of(baseline, self.observe), _pace(source))


def reader_of(baseline: Baseline, observe: str) -> Reader:
    """Who reads a baseline's source in the cluster."""
    source = baseline.spec.source
    if source.helm:
        return HelmReader(baseline, observe)
    return LastAppliedReader(baseline, observe) if source.last_applied else ApplicationReader(baseline)


def _unpruned(baseline: Baseline) -> Baseline:
    return baseline.model_copy(update={"spec": baseline.spec.model_copy(update={"prune": None})})


def _pace(source: Source) -> float:
    return SELDOM_S if source.last_applied else OFTEN_S


def _essence(found: Found) -> list[tuple[object, ...]]:
    """What makes a difference: the declarations, and whether they are all."""
    rows = ((declared.key, declared.digest, declared.revision, declared.observe) for declared in found.objects)
    return [(bool(found.problems),), *rows]
