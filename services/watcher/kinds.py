"""The reflectors of what the baselines declare: started and stopped as baselines, kinds and rights change.

Each kind is watched as `services/watcher/plan.py` says. What cannot be watched is a finding of each object that is
declared of it: kinds that are not served, and kinds that the token may neither list nor read.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Resource
from services.kube.api.errors import ApiError, Forbidden
from services.kube.api.pages import count
from services.kube.api.reflector import LISTS_AT_ONCE, Reflector
from services.kube.comparison.schema import SchemaNode
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, ObjectKey
from services.kube.verdict.unwanted import PruneRule, unwanted_by
from services.runtime.allocator import give_back
from services.runtime.clock import Clock
from services.runtime.logging import Log
from services.runtime.metrics import Metrics
from services.runtime.tasks import cancel
from services.watcher.definitions import Definitions
from services.watcher.plan import Slice, by_name, slices
from services.watcher.watcher import Watcher

MANY = 200  # objects of one kind to compare, above which a list is cheaper than a read each
STRAYS = 20  # declared objects outside their label's slice, above which the label is no use
LOOK_S = 10.0  # between two looks at those
REFUSED_AGAIN_S = 60.0  # between two looks at objects whose kind may not be listed
Plan = tuple[object, frozenset[Slice]]


class Kinds:
    """The reflectors of one cluster, by what they watch."""

    def __init__(self, cluster: Cluster, watcher: Watcher, *, clock: Clock, metrics: Metrics, log: Log) -> None:
        self.cluster, self.watcher = cluster, watcher
        self.clock, self.metrics, self.log = clock, metrics, log
        self.reflectors: dict[Slice, Reflector] = {}
        self.tasks: dict[Slice, asyncio.Task[None]] = {}
        self.entries: dict[Resource, list[Declared]] = {}
        self.plans: dict[Resource, Plan] = {}
        self.schemas: dict[Resource, SchemaNode] = {}
        self.rules: dict[Resource, tuple[PruneRule, ...]] = {}
        self.unfiltered: set[Resource] = set()  # whose labels proved to be no use
        self.pending: set[ObjectKey] = set()
        self.looked: dict[Slice, float] = {}
        self.not_served: set[str] = set()
        self.generation = -1
        self.behind: str | None = None
        self.turns = asyncio.Semaphore(LISTS_AT_ONCE)
        self.definitions = Definitions(cluster, clock=clock, metrics=metrics, log=log)
        self.hearing: asyncio.Task[None] | None = None

    async def follow(self, changed: Iterable[ObjectKey] = ()) -> bool:
        """Watch exactly what is declared, and compare the objects whose declaration has changed.

        False where the API server is away or refuses: call again, what was watched before still is.
        """
        self.behind, generation = None, self.cluster.changes
        self.pending.update(changed)
        try:
            absent = self._sort()
            ruled = {resource for resource in self.entries if self._rules_changed(resource)}
            wanted = [found for resource in self.entries for found in await self._plan(resource)]
            anew = ruled | {resource for resource in self.entries if await self._schema_changed(resource)}
        except ApiError as error:
            self.behind = f"the declared kinds cannot be looked up: {error}"
            return False
        self.generation = generation
        for one in self.reflectors.keys() - set(wanted):
            await self._stop(one)
        started = set(wanted) - self.reflectors.keys()
        for one in wanted:
            if one in started:
                self._start(one)
            elif one.resource in anew:
                self.reflectors[one].relist()
        self._compare_pending({one.resource for one in started} | anew)
        self.watcher.compare(absent)
        self.hearing = self.hearing or asyncio.create_task(self.definitions.run())
        self.metrics.set("watched_kinds", len(self.entries))
        return True

    def _sort(self) -> list[ObjectKey]:
        """Put what is declared under the kinds that serve it; the keys that none serves."""
        entries: dict[Resource | None, list[Declared]] = defaultdict(list)
        served: dict[tuple[str, str, str], Resource | None] = {}
        for key, found in self.watcher.declared.items():
            kind = key.group, found.version, key.kind
            if kind not in served:
                served[kind] = self._served(*kind)
            entries[served[kind]].append(found)
        absent = entries.pop(None, [])
        self.entries = {resource: found for resource, found in entries.items() if resource}
        for gone in self.plans.keys() - self.entries.keys():
            del self.plans[gone]
        words = {f"{found.key.kind} {found.api_version}" for found in absent}
        if words - self.not_served:
            self.log.warning("declared kinds are not served by the cluster", kinds=sorted(words))
        self.not_served = words
        return [found.key for found in absent]

    def _served(self, group: str, version: str, kind: str) -> Resource | None:
        found = self.cluster.catalogue.by_version.get((group, version, kind))
        return found if found and {"list", "watch"} <= found.verbs else None

    async def _plan(self, resource: Resource) -> frozenset[Slice]:
        """The slices for a kind; made anew where what they were made from has changed."""
        entries, rules = self.entries[resource], self.rules[resource]
        made_from = (len(entries), frozenset(entry.key.namespace for entry in entries), rules)
        known = self.plans.get(resource)
        labelled = known is not None and any(found.labels for found in known[1])
        if known is None or known[0] != made_from or (labelled and self.pending):
            there = None if by_name(entries, rules) else await self._count(resource)
            found = slices(resource, entries, rules, 0 if resource in self.unfiltered else there)
            if there is None and not by_name(entries, rules):
                found = slices(resource, entries, rules, None)
            self.plans[resource] = known = made_from, found
        return known[1]

    async def _count(self, resource: Resource) -> int | None:
        try:
            return await count(self.cluster.session, resource)
        except Forbidden:
            return None

    def _rules_changed(self, resource: Resource) -> bool:
        """Take over what the baselines say of undeclared objects of a kind; True where that is new."""
        rules = self.watcher.prune.get((resource.group, resource.kind), ())
        before = self.rules.get(resource, ())
        self.rules[resource] = tuple(rule for rule in rules if rule.version == resource.version)
        return self.rules[resource] != before

    async def _schema_changed(self, resource: Resource) -> bool:
        """Read the schema where it is not known; True where it is another than the one that was compared by."""
        node = await self.cluster.schema({"apiVersion": resource.api_version, "kind": resource.kind})
        before = self.schemas.get(resource)
        self.schemas[resource] = node
        return before is not None and before is not node

    def _compare_pending(self, listed: set[Resource]) -> None:
        """Compare objects whose declaration has changed, but for those of kinds that are about to be listed."""
        pending, self.pending = self.pending, set()
        by_kind: dict[Resource, list[ObjectKey]] = defaultdict(list)
        for key in pending:
            found = self.watcher.declared.get(key)
            resource = self._served(key.group, found.version, key.kind) if found else None
            if resource and resource not in listed:
                by_kind[resource].append(key)
        for resource, keys in by_kind.items():
            if len(keys) <= MANY:
                self.watcher.compare(keys)
                continue
            for one, reflector in self.reflectors.items():
                if one.resource == resource:
                    reflector.relist()

    def _start(self, one: Slice) -> None:
        resource = one.resource
        reflector = self.reflectors[one] = Reflector(
            self.cluster.session, resource, self.watcher.sight, clock=self.clock, metrics=self.metrics, log=self.log,
            namespace=one.namespace, query=one.query, interest=lambda key, obj: self._interest(resource, key, obj),
            on_listed=lambda: self._listed(one), on_unserved=self._look_again, on_refused=lambda: self._refused(one),
            turns=self.turns,
        )  # fmt: skip
        self.tasks[one] = asyncio.create_task(reflector.run())

    def _interest(self, resource: Resource, key: ObjectKey, obj: Object) -> ObjectKey | None:
        """The declaration's own key, or that of an object which should not be there or of which something was told.

        A kind may be declared in two versions; each object is watched in its own.
        """
        found = self.watcher.declared.get(key)
        if found is not None:
            return found.key if found.version == resource.version else None
        rules = self.rules.get(resource)
        return key if rules and (key in self.watcher.memory.drifts or unwanted_by(rules, key, obj)) else None

    def _listed(self, one: Slice) -> None:
        """After a complete list: tell what is declared and was not in it, and let go of what the list took."""
        known = self.reflectors[one].known if one in self.reflectors else set()
        self.watcher.missing(found.key for found in self._of(one) if found.key not in known)
        self.watcher.compare(key for key in self._told_of(one) if key not in known)
        self._gauge(one.resource)
        give_back()

    def _of(self, one: Slice) -> list[Declared]:
        return [found for found in self.entries.get(one.resource, ()) if one.holds(found.key)]

    def _told_of(self, one: Slice) -> list[ObjectKey]:
        """Undeclared objects of which something was told, so that it has an end."""
        kind = one.resource.group, one.resource.kind
        drifts, declared = self.watcher.memory.drifts, self.watcher.declared
        return [key for key in drifts if key[:2] == kind and key not in declared and one.holds(key)]

    def _gauge(self, resource: Resource) -> None:
        known = (len(found.known) for one, found in self.reflectors.items() if one.resource == resource)
        self.metrics.set("watched_objects", sum(known), kind=resource.kind)

    def _refused(self, one: Slice) -> None:
        """The token may not list: what is declared there is read one by one, or said to be out of sight."""
        now = self.clock.monotonic()
        if now - self.looked.get(one, -REFUSED_AGAIN_S) >= REFUSED_AGAIN_S:
            self.looked[one] = now
            self.watcher.compare(found.key for found in self._of(one))

    async def _look_again(self) -> None:
        """A kind is gone: what is said of its objects depends on whether it is still served."""
        try:
            await self.cluster.rediscover()
        except ApiError as error:
            self.log.info("discovery failed and is tried again", error=str(error))

    async def _stop(self, one: Slice) -> None:
        del self.reflectors[one]
        self.looked.pop(one, None)
        await cancel(self.tasks.pop(one))
        self._gauge(one.resource)

    def problem(self) -> str | None:
        """Why the cluster is not fully watched, for readiness. What the token may not see is told as findings."""
        open_eyed = [found for found in self.reflectors.values() if not found.refused]
        troubles = [found.trouble for found in open_eyed if found.trouble]
        waiting = {found.resource.kind for found in open_eyed if not found.synced.is_set()}
        if self.behind or troubles:
            return self.behind or troubles[0]
        return f"not listed yet: {', '.join(sorted(waiting))}" if waiting else None

    def look_at_strays(self) -> None:
        """Read the declared objects that are not in their label's slice: they may be there without the label.

        Where that is no exception the filter is given up.
        """
        now = self.clock.monotonic()
        for one, reflector in self.reflectors.items():
            if not one.labels or not reflector.synced.is_set() or now - self.looked.get(one, 0.0) < LOOK_S:
                continue
            self.looked[one] = now
            strays = [found.key for found in self._of(one) if found.key not in reflector.known]
            if len(strays) > STRAYS:
                self.unfiltered.add(one.resource)
                self.plans.pop(one.resource, None)
                self.generation = -1
            else:
                self.watcher.compare(strays)

    @property
    def outdated(self) -> bool:
        """Whether what is watched no longer fits the cluster, so that `follow` is due."""
        return self.cluster.changes != self.generation

    def relist(self) -> None:
        """Compare everything anew."""
        for reflector in self.reflectors.values():
            reflector.relist()

    async def stop(self) -> None:
        """End all watches."""
        for one in list(self.reflectors):
            await self._stop(one)
        if self.hearing:
            await cancel(self.hearing)

    async def rediscover(self) -> None:
        """Look whether kinds or rights came or went; `outdated` then says so."""
        refused = {one.resource for one, found in self.reflectors.items() if found.refused}
        for resource in refused & self.plans.keys():
            del self.plans[resource]
            self.generation = -1
        await self._look_again()
