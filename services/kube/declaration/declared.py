"""The declared state as the running services see it: from files and from the cluster, in the scopes that a cluster has.

A broken file, and a source in the cluster that cannot be read, keep their last good state and show in `problem`.
`version` counts the good ones, so that each service in a process sees for itself that there is a new one.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from schemas.baseline import Baseline
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Catalogue
from services.kube.api.errors import ApiError, NotFound, Unavailable
from services.kube.declaration.baselines import Declared, DeclaredState, folder_state
from services.kube.declaration.merging import merged
from services.kube.declaration.origins.followed import Sources
from services.kube.declaration.unchosen import ONLY_OBSERVED, unchosen_state
from services.kube.objects import ObjectKey
from services.runtime.clock import Clock
from services.runtime.errors import SetpointError, Temporary
from services.runtime.lastgood import LastGood
from services.runtime.logging import Log

REFRESH_S = 1.0
REDISCOVER_S = 30.0


class DeclaredSource:
    """One a process, for one cluster; used by watcher and reconciler. `observe`: why nothing is ever corrected.

    `baselines` are those of the state that `bound` gave last.
    """

    def __init__(self, files: LastGood[DeclaredState], observe: str = "") -> None:
        self.files = files
        self.sources = Sources(observe)
        self.baselines = files.value.baselines
        self.loaded, self.found = 0, 0
        self.reading = Lock()
        self.cached: tuple[int, Catalogue, Mapping[ObjectKey, Declared]] | None = None

    @property
    def version(self) -> int:
        """Another number whenever the declared state is another."""
        return self.loaded + self.found

    @property
    def problem(self) -> SetpointError | None:
        """What is wrong with files or sources now, so that the state in use is an older or a smaller one."""
        if self.files.problem:
            return self.files.problem
        troubles = self.sources.troubles
        return Temporary("; ".join(troubles)) if troubles else None

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong, also what concerns a single Helm release or annotation, a line each."""
        return ([str(self.files.problem)] if self.files.problem else []) + self.sources.problems

    def refresh(self) -> None:
        """Read the files again if they have changed. May be called from any thread."""
        with self.reading:
            before = self.files.value
            if self.files.refresh() and not self.files.value.same_as(before):
                self.loaded += 1

    async def look(self, cluster: Cluster, clock: Clock) -> None:
        """Read those sources in the cluster that are due. Never raises for what the API server answers."""
        if await self.sources.refresh(cluster, self.files.value.baselines, clock.monotonic()):
            self.found += 1

    async def ready(self, cluster: Cluster, clock: Clock) -> None:
        """Before a service starts: every source has been read once, else all its drifts would seem undeclared.

        Raises Unavailable where that is not possible yet.
        """
        if not self.complete:
            await self.look(cluster, clock)
        if not self.complete:
            raise Unavailable("; ".join(self.sources.problems) or "the baselines in the cluster were not read yet")

    @property
    def complete(self) -> bool:
        """True once every source that the baselines name has been read; until then `bound` keeps the state before."""
        return self.sources.complete(self.files.value.baselines)

    async def keep_looking(self, cluster: Cluster, clock: Clock, log: Log) -> None:
        """Follow the sources in the cluster until cancelled, beside whoever follows the files."""
        told: frozenset[str] = frozenset()
        while True:
            await self.look(cluster, clock)
            problems = self.sources.problems
            for problem in problems:
                if problem not in told:
                    log.warning("not all that is declared can be read", problem=problem)
            told = frozenset(problems)
            await clock.sleep(REFRESH_S)

    async def keep_fresh(self, cluster: Cluster, clock: Clock) -> None:
        """Follow files and served kinds until cancelled: for a process in which no watcher does. See `keep_looking`."""
        next_look = clock.monotonic() + REDISCOVER_S
        while True:
            await clock.sleep(REFRESH_S)
            await asyncio.to_thread(self.refresh)
            if clock.monotonic() >= next_look:
                next_look = clock.monotonic() + REDISCOVER_S
                with suppress(ApiError):  # the API server is away, which whoever needs it says
                    await cluster.rediscover()

    def bound(self, cluster: Cluster) -> Mapping[ObjectKey, Declared]:
        """By object, namespaces filled in as the kinds' scopes say."""
        version, catalogue = self.version, cluster.catalogue
        if self.cached and (self.cached[:2] == (version, catalogue) or not self.complete):
            return self.cached[2]
        found = merged(bind(cluster, [*self.files.value.objects, *self.sources.claims()]))
        self.cached = (version, catalogue, found)
        self.baselines = self.sources.cautious(self.files.value.baselines)
        return found


@dataclass(frozen=True)
class Resolved:
    """Everything that is declared for one cluster, as of now. `problems` are lines about what could not be read."""

    objects: Mapping[ObjectKey, Declared]
    baselines: tuple[Baseline, ...]
    problems: tuple[str, ...]


async def look_up(cluster: Cluster, path: Path | None) -> Resolved:
    """What files at `path` and the cluster declare, read once; without a path what the cluster alone declares.

    Raises UserFileError where files are wrong, and Unavailable where the API server is away.
    """
    state = folder_state(path) if path else unchosen_state()
    sources = Sources("" if path else ONLY_OBSERVED)
    await sources.refresh(cluster, state.baselines, 0.0)
    if not sources.complete(state.baselines):
        raise Unavailable("; ".join(sources.troubles))
    found = merged(bind(cluster, [*state.objects, *sources.claims()]))
    return Resolved(found, sources.cautious(state.baselines), tuple(sources.problems))


async def resolve(cluster: Cluster, path: Path | None) -> Mapping[ObjectKey, Declared]:
    """The objects of `look_up`."""
    return (await look_up(cluster, path)).objects


def bind_all(cluster: Cluster, state: DeclaredState) -> dict[ObjectKey, Declared]:
    """Every object that files declare under its key in this cluster."""
    return merged(bind(cluster, state.objects))


def bind(cluster: Cluster, claims: Iterable[Declared]) -> Iterable[Declared]:
    """The same in the scopes of this cluster; kinds that are not served keep what was written."""
    for declared in claims:
        resource = cluster.catalogue.find(declared.key.group, declared.key.kind, declared.version)
        if resource is None or resource.namespaced == bool(declared.key.namespace):
            yield declared
            continue
        bound = declared
        with suppress(NotFound):  # another version is served: whoever watches or compares says so
            bound = declared.bound_to(cluster.bind)
        yield bound
