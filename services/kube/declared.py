"""The declared state as the running services see it: from files that may change, in the scopes that a cluster gives.

A broken file keeps the last good state and shows in `problem`. `version` counts the good ones, so that each service in
a process sees for itself that there is a new one.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock

from services.kube.baselines import Declared, DeclaredState
from services.kube.cluster import Cluster
from services.kube.discovery import Catalogue
from services.kube.errors import ApiError, NotFound
from services.kube.objects import ObjectKey
from services.runtime.clock import Clock
from services.runtime.errors import SetpointError
from services.runtime.lastgood import LastGood

REFRESH_S = 1.0
REDISCOVER_S = 30.0


class DeclaredSource:
    """One a process; used by watcher and reconciler."""

    def __init__(self, files: LastGood[DeclaredState]) -> None:
        self.files = files
        self.version = 0
        self.reading = Lock()
        self.cached: tuple[int, Catalogue, Mapping[ObjectKey, Declared]] | None = None

    @property
    def problem(self) -> SetpointError | None:
        """What is wrong with the files now, if the state in use is an older one."""
        return self.files.problem

    def refresh(self) -> None:
        """Read the files again if they have changed. May be called from any thread."""
        with self.reading:
            if self.files.refresh():
                self.version += 1

    async def keep_fresh(self, cluster: Cluster, clock: Clock) -> None:
        """Follow files and served kinds until cancelled: for a process in which no watcher does."""
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
        if self.cached and self.cached[0] == self.version and self.cached[1] is cluster.catalogue:
            return self.cached[2]
        found = bind_all(cluster, self.files.value)
        self.cached = (self.version, cluster.catalogue, found)
        return found


def bind_all(cluster: Cluster, state: DeclaredState) -> dict[ObjectKey, Declared]:
    """Every declared object under its key in this cluster; kinds that are not served keep what was written."""
    found = {}
    for declared in state.objects:
        bound = declared
        with suppress(NotFound):  # reported by who watches or compares; it may be served later
            bound = declared.bound_to(cluster.bind)
        found[bound.key] = bound
    return found
