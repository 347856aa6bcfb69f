"""The applications of Argo CD and Flux that a baseline watches. They declare nothing: only their own state counts."""

from schemas.baseline import Baseline, InCluster
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Resource
from services.kube.api.errors import NotFound
from services.kube.declaration.baselines import Declared, Origin, OriginKind, Packers, declare
from services.kube.declaration.manifests import Manifest
from services.kube.declaration.origins.base import Found
from services.kube.declaration.origins.listing import chosen, each_metadata, places
from services.kube.objects import Object

ARGO_CD = (("argoproj.io", "Application"),)
FLUX = (("kustomize.toolkit.fluxcd.io", "Kustomization"), ("helm.toolkit.fluxcd.io", "HelmRelease"))
ORIGIN = Origin(OriginKind.APPLICATION)
OBSERVED = "an application of Argo CD or Flux is for its own tool to mend"


class ApplicationReader:
    """The applications that one baseline chooses."""

    def __init__(self, baseline: Baseline) -> None:
        source = baseline.spec.source
        self.baseline, self.kinds = baseline, ARGO_CD if source.argocd else FLUX
        self.source = source.argocd or source.flux or InCluster()
        self.packers: Packers = {}
        self.known: dict[Resource, dict[str, Declared]] = {}

    async def read(self, cluster: Cluster) -> Found:
        """See `Reader`. A tool that is not installed is a problem only where none of its kinds is served."""
        served = [found for group, kind in self.kinds if (found := cluster.catalogue.find(group, kind))]
        if not served:
            missing = " and ".join(f"{kind}.{group}" for group, kind in self.kinds)
            return Found((), (f"{self.baseline.metadata.name}: the cluster serves no {missing}",))
        self.known = {resource: await self._kind(cluster, resource) for resource in served}
        return Found(tuple(one for objects in self.known.values() for one in objects.values()))

    async def _kind(self, cluster: Cluster, resource: Resource) -> dict[str, Declared]:
        before, now = self.known.get(resource, {}), dict[str, Declared]()
        try:
            for namespace in places(self.source.namespaces):
                async for metadata in each_metadata(cluster.session, resource, namespace):
                    if chosen(self.source.namespaces, str(metadata.get("namespace") or "")):
                        uid = str(metadata.get("uid"))
                        now[uid] = before.get(uid) or self._declared(resource, metadata)
        except NotFound:
            return {}  # its definition went away meanwhile
        return now

    def _declared(self, resource: Resource, metadata: Object) -> Declared:
        place = {"name": metadata["name"], "namespace": metadata.get("namespace") or ""}
        obj = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": place}
        entry = Manifest(obj, f"{resource.kind} {place['namespace']}/{place['name']}", 1)
        return declare(self.baseline, entry, self.packers, origin=ORIGIN, observe=OBSERVED, application=True)
