"""What `kubectl apply` noted in the objects themselves: the annotation is the manifest.

Who may change an object may change its annotation, so roles and their bindings are only observed: correcting them
would lend Setpoint's rights.
"""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from schemas.baseline import Baseline, LastAppliedSource
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Resource
from services.kube.api.errors import ApiError, Forbidden, NotFound, Unavailable
from services.kube.declaration.baselines import Declared, Origin, OriginKind, Packers, declare
from services.kube.declaration.manifests import Manifest
from services.kube.declaration.origins.base import Found
from services.kube.declaration.origins.listing import EVERYWHERE, chosen, each_metadata, places
from services.kube.declaration.origins.note import NO_MANIFEST, applied, note_of
from services.kube.objects import Object, metadata_of
from services.runtime.tasks import all_of

MANAGER = "kubectl-client-side-apply"
NEEDED = frozenset({"get", "list", "watch"})
AT_ONCE = 4
# Kinds that controllers write all the time and nobody applies.
BOOKKEEPING = frozenset(
    {
        ("", "Event"), ("events.k8s.io", "Event"), ("coordination.k8s.io", "Lease"), ("", "Endpoints"),
        ("discovery.k8s.io", "EndpointSlice"), ("apps", "ControllerRevision"), ("", "Node"),
        ("storage.k8s.io", "CSINode"), ("storage.k8s.io", "VolumeAttachment"), ("cilium.io", "CiliumEndpoint"),
        ("cilium.io", "CiliumIdentity"),
    }
)  # fmt: skip
RBAC = "rbac.authorization.k8s.io"
ROLES = "roles and bindings that only their own annotation declares are never corrected"
ORIGIN = Origin(OriginKind.LAST_APPLIED)


class Known(NamedTuple):
    """One object as it was read last."""

    version: str
    declared: Declared | None
    problem: str = ""


class LastAppliedReader:
    """The annotated objects that one baseline chooses."""

    def __init__(self, baseline: Baseline, observe: str = "") -> None:
        assert baseline.spec.source.last_applied is not None
        self.baseline, self.observe = baseline, observe
        self.source: LastAppliedSource = baseline.spec.source.last_applied
        self.packers: Packers = {}
        self.known: dict[Resource, dict[str, Known]] = {}
        self.limit = asyncio.Semaphore(AT_ONCE)

    async def read(self, cluster: Cluster) -> Found:
        """See `Reader`. What the token may not list is a problem, and so is an extension API server that is down; what
        was known of these kinds stays.
        """
        resources = [found for found in cluster.catalogue.preferred.values() if self._looks_at(found)]
        why = await all_of(self._kind(cluster, resource) for resource in resources)
        self.known = {resource: self.known[resource] for resource in resources if resource in self.known}
        entries = [known for objects in self.known.values() for known in objects.values()]
        problems = [known.problem for known in entries if known.problem]
        lacking = [found.kind for found, error in zip(resources, why, strict=True) if isinstance(error, Forbidden)]
        if resources and len(lacking) == len(resources):
            raise Forbidden("the token may list none of the kinds in which annotations are looked for", 403)
        if lacking:
            problems.append(f"last-applied: the token may not list {', '.join(sorted(lacking))}")
        problems += [f"last-applied: {error.message}" for error in why if isinstance(error, Unavailable)]
        return Found(tuple(known.declared for known in entries if known.declared), tuple(problems))

    def _looks_at(self, resource: Resource) -> bool:
        if (resource.group, resource.kind) in BOOKKEEPING or not resource.verbs >= NEEDED:
            return False
        if self.source.namespaces and not resource.namespaced:
            return False
        return chosen(self.source.kinds, resource.kind)

    async def _kind(self, cluster: Cluster, resource: Resource) -> ApiError | None:
        """Read one kind; why that was not possible, while the others are."""
        before, now = self.known.get(resource, {}), dict[str, Known]()
        async with self.limit:
            try:
                for namespace in places(self.source.namespaces) if resource.namespaced else EVERYWHERE:
                    async for metadata in each_metadata(cluster.session, resource, namespace):
                        self._take(resource, metadata, before, now)
            except Forbidden as error:
                return error
            except NotFound:
                return None  # its definition went away meanwhile
            except Unavailable as error:
                if not error.status or is_built_in(resource.group):
                    raise
                return error
        self.known[resource] = now
        return None

    def _take(self, resource: Resource, metadata: Object, before: dict[str, Known], now: dict[str, Known]) -> None:
        uid, version = str(metadata.get("uid")), str(metadata.get("resourceVersion"))
        known = before.get(uid)
        if known and known.version == version:
            now[uid] = known
            return
        live = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        if note_of(live) is None or is_controlled(metadata):
            return
        if not chosen(self.source.namespaces, str(metadata.get("namespace") or "")):
            return
        now[uid] = self._known(version, live)

    def _known(self, version: str, live: Object) -> Known:
        try:
            return Known(version, self._declared(live))
        except NO_MANIFEST:
            metadata = metadata_of(live)
            where = f"{live['kind']} {metadata.get('namespace') or ''}/{metadata['name']}".replace(" /", " ")
            return Known(version, None, f"last-applied: the annotation of {where} is no manifest")

    def _declared(self, live: Object) -> Declared | None:
        manifest = applied(live)
        if manifest is None:
            return None
        observe = self.observe or (ROLES if str(manifest["apiVersion"]).startswith(RBAC) else "")
        entry = Manifest(manifest, "last-applied annotation", 1)
        return declare(self.baseline, entry, self.packers, origin=ORIGIN, manager=MANAGER, observe=observe)


def is_built_in(group: str) -> bool:
    """True for groups that the API server answers for itself, as far as a name tells."""
    return "." not in group or group.endswith(".k8s.io")


def is_controlled(metadata: Object) -> bool:
    """True where a controller made the object and keeps it."""
    return any(_controllers(metadata))


def _controllers(metadata: Object) -> Iterator[bool]:
    owners = metadata.get("ownerReferences")
    for owner in owners if isinstance(owners, list) else ():
        yield isinstance(owner, dict) and owner.get("controller") is True
