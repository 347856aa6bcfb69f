"""What the Helm releases of a cluster declare: the newest deployed revision of each, read from where Helm stores it.

First a list of metadata, whose labels say name, status and revision; then only what is new is read whole. A release
that cannot be decoded is a problem with its name, and the others count all the same.

Who may write Secrets in a namespace can make up a release there. What a release declares outside its own namespace is
therefore only observed, unless the baseline names that namespace exactly: correcting it would lend Setpoint's rights.
"""

import asyncio
from dataclasses import dataclass

from schemas.baseline import Baseline, HelmSource
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Catalogue
from services.kube.api.errors import Forbidden, NotFound
from services.kube.declaration.baselines import Declared, Origin, OriginKind, Packers, declare
from services.kube.declaration.manifests import Manifest
from services.kube.declaration.origins.base import Found
from services.kube.declaration.origins.listing import chosen, places
from services.kube.declaration.origins.release import Rendered, Unreadable, manifest_of, render
from services.kube.declaration.origins.stored import DEPLOYED, KINDS, OWNED, Stored, each_stored, revision_word
from services.runtime.tasks import all_of

MANAGER = "helm"
BEYOND = "declared by a Helm release of namespace '{}', which the baseline does not name"
AT_ONCE = 4  # each may hold some 100 MB for a moment


@dataclass(frozen=True)
class Release:
    """What one stored revision declares."""

    stored: Stored
    found: Found


class HelmReader:
    """The releases that one baseline chooses."""

    def __init__(self, baseline: Baseline, observe: str = "") -> None:
        assert baseline.spec.source.helm is not None
        self.baseline, self.observe = baseline, observe
        self.source: HelmSource = baseline.spec.source.helm
        self.packers: Packers = {}
        self.known: dict[tuple[str, str], Release] = {}
        self.catalogue: Catalogue | None = None
        self.limit = asyncio.Semaphore(AT_ONCE)

    async def read(self, cluster: Cluster) -> Found:
        """See `Reader`. Secrets that may not be listed are Forbidden; ConfigMaps are only looked at besides."""
        newest = await self._newest(cluster)
        if cluster.catalogue is not self.catalogue:  # a kind's scope may be known only now
            self.catalogue, self.known = cluster.catalogue, {}
        releases = await all_of(self._release(cluster, stored) for stored in newest.values())
        self.known = {(one.stored.namespace, one.stored.release): one for one in releases if one}
        found = [one.found for one in self.known.values()]
        objects = tuple(declared for one in found for declared in one.objects)
        return Found(objects, tuple(problem for one in found for problem in one.problems))

    async def _newest(self, cluster: Cluster) -> dict[tuple[str, str], Stored]:
        newest: dict[tuple[str, str], Stored] = {}
        labels = f"{OWNED},status={DEPLOYED}"
        for kind in KINDS:
            try:
                for namespace in places(self.source.namespaces):
                    async for stored in each_stored(cluster, kind, namespace, labels):
                        where = stored.namespace, stored.release
                        if self._chooses(stored) and _newer(stored, newest.get(where)):
                            newest[where] = stored
            except Forbidden:
                if kind == KINDS[0]:
                    raise
        return dict(sorted(newest.items()))

    def _chooses(self, stored: Stored) -> bool:
        source = self.source
        return chosen(source.namespaces, stored.namespace) and chosen(source.releases, stored.release)

    async def _release(self, cluster: Cluster, stored: Stored) -> Release | None:
        known = self.known.get((stored.namespace, stored.release))
        if known and known.stored.version == stored.version:
            return known
        name = f"helm release {stored.namespace}/{stored.release}"
        async with self.limit:
            try:
                rendered = await _rendered(cluster, stored, name)
            except NotFound:
                return None  # it was uninstalled meanwhile
            except Unreadable as error:
                return Release(stored, Found((), (f"{name}: revision {stored.revision} cannot be decoded: {error}",)))
            except Forbidden as error:
                return Release(stored._replace(version=("", "")), Found((), (f"{name}: {error.message}",)))
        origin = Origin(OriginKind.HELM, stored.namespace, stored.release)
        objects = tuple(self._declared(cluster, origin, stored, manifest) for manifest in rendered.manifests)
        return Release(stored, Found(objects, tuple(str(problem) for problem in rendered.problems)))

    def _declared(self, cluster: Cluster, origin: Origin, stored: Stored, manifest: Manifest) -> Declared:
        served = True
        try:
            manifest = manifest._replace(obj=cluster.bind(manifest.obj))
        except NotFound:
            served = False
        own = served and manifest.obj["metadata"].get("namespace") == stored.namespace
        beyond = "" if own or stored.namespace in self.source.namespaces else BEYOND.format(stored.namespace)
        return declare(
            self.baseline, manifest, self.packers, origin=origin, manager=MANAGER,
            revision=revision_word(stored.release, stored.revision), observe=self.observe or beyond,
        )  # fmt: skip


async def _rendered(cluster: Cluster, stored: Stored, name: str) -> Rendered:
    """Read one stored revision whole. Decoding is left to a thread: the largest take seconds."""
    path = cluster.resource("", stored.kind).path(stored.namespace, stored.name)
    held = await cluster.session.request("GET", path)
    text = (held.get("data") or {}).get("release")
    if not isinstance(text, str):
        raise Unreadable("it holds no release")
    secret = stored.kind == KINDS[0]
    return await asyncio.to_thread(lambda: render(name, manifest_of(text, secret=secret), stored.namespace))


def _newer(stored: Stored, other: Stored | None) -> bool:
    return other is None or stored.revision > other.revision
