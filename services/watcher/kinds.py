"""One reflector a kind that the baselines declare: started and stopped as baselines and CRDs change."""

import asyncio
from collections.abc import Mapping

from services.kube.baselines import Declared
from services.kube.cluster import Cluster
from services.kube.discovery import Resource
from services.kube.errors import ApiError
from services.kube.objects import ObjectKey
from services.kube.reflector import Reflector
from services.runtime.allocator import give_back
from services.runtime.clock import Clock
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.tasks import cancel
from services.watcher.watcher import Watcher


class Kinds:
    """The reflectors of one cluster."""

    def __init__(self, cluster: Cluster, watcher: Watcher, *, clock: Clock, metrics: Metrics, log: Log) -> None:
        self.cluster, self.watcher = cluster, watcher
        self.clock, self.metrics, self.log = clock, metrics, log
        self.reflectors: dict[Resource, Reflector] = {}
        self.tasks: dict[Resource, asyncio.Task[None]] = {}
        self.not_served: set[str] = set()
        self.behind: str | None = None

    async def follow(self, declared: Mapping[ObjectKey, Declared]) -> bool:
        """Watch exactly the kinds that are declared; those already watched are listed again.

        False where the API server is away or refuses: call again, what was watched before still is.
        """
        self.behind = None
        try:
            wanted = await self._wanted(declared)
        except ApiError as error:
            self.behind = f"the declared kinds cannot be looked up: {error}"
            return False
        for resource in self.reflectors.keys() - wanted:
            await self._stop(resource)
        for reflector in self.reflectors.values():
            reflector.relist()
        for resource in wanted - self.reflectors.keys():
            self._start(resource)
        self.metrics.set("watched_kinds", len(self.reflectors))
        return True

    async def _wanted(self, declared: Mapping[ObjectKey, Declared]) -> set[Resource]:
        wanted, absent = set(), set()
        for group, version, kind in {(key.group, found.version, key.kind) for key, found in declared.items()}:
            resource = self.cluster.catalogue.find(group, kind, version)
            if resource is None or resource.version != version or not {"list", "watch"} <= resource.verbs:
                absent.add(f"{kind} {group}/{version}" if group else f"{kind} {version}")
                continue
            await self.cluster.schema({"apiVersion": resource.api_version, "kind": kind})
            wanted.add(resource)
        if absent - self.not_served:
            self.log.warning("declared kinds are not served by the cluster", kinds=sorted(absent))
        self.not_served = absent
        return wanted

    def _start(self, resource: Resource) -> None:
        reflector = self.reflectors[resource] = Reflector(
            self.cluster.session, resource, self.watcher.sight, clock=self.clock, metrics=self.metrics, log=self.log,
            interest=lambda key: self._declares(resource, key), on_listed=lambda: self._listed(resource),
        )  # fmt: skip
        self.tasks[resource] = asyncio.create_task(reflector.run())

    def _declares(self, resource: Resource, key: ObjectKey) -> ObjectKey | None:
        """The declaration's own key. A kind may be declared in two versions; each object is watched in its own."""
        found = self.watcher.declared.get(key)
        return found.key if found is not None and found.version == resource.version else None

    def _listed(self, resource: Resource) -> None:
        """After a complete list: tell what is declared and was not in it, and let go of what the list took."""
        known = self.reflectors[resource].known if resource in self.reflectors else set()
        keys = (key for key in self.watcher.declared if (key.group, key.kind) == (resource.group, resource.kind))
        self.watcher.missing(key for key in keys if key not in known and self._declares(resource, key))
        self.metrics.set("watched_objects", len(known), kind=resource.kind)
        give_back()

    async def _stop(self, resource: Resource) -> None:
        del self.reflectors[resource]
        await cancel(self.tasks.pop(resource))
        self.metrics.set("watched_objects", 0, kind=resource.kind)

    def problem(self) -> str | None:
        """Why the cluster is not fully watched, for readiness."""
        troubles = [found.trouble for found in self.reflectors.values() if found.trouble]
        waiting = [found.resource.kind for found in self.reflectors.values() if not found.synced.is_set()]
        if self.behind or troubles:
            return self.behind or troubles[0]
        return f"not listed yet: {', '.join(sorted(waiting))}" if waiting else None

    def relist(self) -> None:
        """Compare everything anew."""
        for reflector in self.reflectors.values():
            reflector.relist()

    async def stop(self) -> None:
        """End all watches."""
        for resource in list(self.reflectors):
            await self._stop(resource)

    async def rediscover(self) -> bool:
        """Look whether kinds came or went; True where the reflectors need to follow."""
        try:
            return await self.cluster.rediscover()
        except ApiError as error:
            self.log.info("discovery failed and is tried again", error=str(error))
            return False
