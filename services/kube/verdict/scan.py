"""Compare a whole declared state with a cluster, once: what `setpoint diff` does, without broker or watches.

Objects are listed where a namespace holds many of a kind, and read one by one where it holds few. What cannot be
compared is a finding with a reason, never left out in silence.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.events import DriftState, FindingReason
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Resource
from services.kube.api.errors import Forbidden
from services.kube.api.pages import pages, typed
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, ObjectKey
from services.kube.verdict.judge import Finding, judge, unjudged
from services.runtime.tasks import cancel

FEW = 10
AT_ONCE = 32


@dataclass
class Comparison:
    """What came out, each with its live object: `drifted` is not in sync, `unjudged` could not be compared."""

    checked: int = 0
    drifted: list[tuple[Declared, Object | None, Finding]] = field(default_factory=list)
    unjudged: list[tuple[Declared, Object | None, Finding]] = field(default_factory=list)


class Scan:
    """One comparison under way."""

    def __init__(self, cluster: Cluster, dry_run: bool, progress: Callable[[int], None]) -> None:
        self.cluster, self.dry_run, self.progress = cluster, dry_run, progress
        self.result = Comparison()
        self.limit = asyncio.Semaphore(AT_ONCE)
        self.seen: Callable[[Declared, Object | None], None] = lambda *_: None

    async def group(self, resource: Resource, namespace: str, entries: list[Declared]) -> None:
        """All declared objects of one kind in one namespace."""
        try:
            await (self._listed(resource, namespace, entries) if len(entries) > FEW else self._read(entries))
        except Forbidden as error:
            for entry in entries:
                self._take(entry, None, unjudged(FindingReason.FORBIDDEN, error.message))

    async def _read(self, entries: list[Declared]) -> None:
        async def read(entry: Declared) -> None:
            async with self.limit:
                live = await self.cluster.get(entry.key, entry.version)
                await self.settle(entry, live)

        await _together(read(entry) for entry in entries)

    async def _listed(self, resource: Resource, namespace: str, entries: list[Declared]) -> None:
        waiting = {entry.key.name: entry for entry in entries}
        async for page in pages(self.cluster.session, resource, namespace):
            there = [(waiting.pop(name), obj) for obj in page if (name := str(obj["metadata"]["name"])) in waiting]
            await _together(self._limited(entry, typed(obj, resource)) for entry, obj in there)
        await _together(self._limited(entry, None) for entry in waiting.values())

    async def _limited(self, entry: Declared, live: Object | None) -> None:
        async with self.limit:
            await self.settle(entry, live)

    async def settle(self, entry: Declared, live: Object | None) -> None:
        """Judge one object and take the verdict in."""
        self.seen(entry, live)
        self._take(entry, live, await judge(self.cluster, entry, live, dry_run=self.dry_run))

    def _take(self, entry: Declared, live: Object | None, finding: Finding) -> None:
        if finding.state is DriftState.UNJUDGED:
            self.result.unjudged.append((entry, live, finding))
            return
        self.result.checked += 1
        self.progress(self.result.checked)
        if finding.state:
            self.result.drifted.append((entry, live, finding))


async def compare(
    cluster: Cluster, declared: Mapping[ObjectKey, Declared], *, dry_run: bool = True,
    progress: Callable[[int], None] = lambda _: None,
    seen: Callable[[Declared, Object | None], None] = lambda *_: None,
) -> Comparison:  # fmt: skip
    """Compare everything; `progress` gets the number done so far, `seen` each object as it is read.

    Raises Unavailable where the API server is away.
    """
    scan = Scan(cluster, dry_run, progress)
    scan.seen = seen
    groups: dict[tuple[Resource, str], list[Declared]] = defaultdict(list)
    for key, entry in declared.items():
        resource = cluster.catalogue.find(key.group, key.kind, entry.version)
        if resource is None or resource.version != entry.version:
            await scan.settle(entry, None)
        else:
            groups[resource, key.namespace].append(entry)
    for resource, _ in groups:
        await cluster.schema({"apiVersion": resource.api_version, "kind": resource.kind})
    await _together(scan.group(resource, namespace, entries) for (resource, namespace), entries in groups.items())
    scan.result.drifted.sort(key=lambda found: found[0].key)
    scan.result.unjudged.sort(key=lambda found: found[0].key)
    return scan.result


async def _together(parts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all; the first error ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        await cancel(*tasks)
