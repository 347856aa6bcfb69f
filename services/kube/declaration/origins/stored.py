"""The revisions that Helm has stored in a cluster, by the labels that it puts on each; none is read whole."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from services.kube.api.cluster import Cluster
from services.kube.declaration.origins.listing import each_metadata

OWNED = "owner=helm"
SECRETS_ONLY = "type=helm.sh/release.v1"
DEPLOYED = "deployed"
KINDS = ("Secret", "ConfigMap")  # Helm's storage drivers, the usual one first


class Stored(NamedTuple):
    """One stored revision, as its labels say. `created` is when its operation began."""

    kind: str
    namespace: str
    name: str
    release: str
    status: str
    revision: int
    version: tuple[str, str]
    created: str


async def each_stored(cluster: Cluster, kind: str, namespace: str, labels: str) -> AsyncIterator[Stored]:
    """The stored revisions that fit a label selector."""
    fields = SECRETS_ONLY if kind == KINDS[0] else ""
    resource = cluster.resource("", kind)
    async for metadata in each_metadata(cluster.session, resource, namespace, labels=labels, fields=fields):
        said = metadata.get("labels") or {}
        revision, release = str(said.get("version") or ""), str(said.get("name") or "")
        if release and revision.isascii() and revision.isdigit():
            yield Stored(
                kind, str(metadata.get("namespace") or ""), str(metadata["name"]), release,
                str(said.get("status") or ""), int(revision),
                (str(metadata.get("uid")), str(metadata.get("resourceVersion"))),
                str(metadata.get("creationTimestamp") or ""),
            )  # fmt: skip


def revision_word(release: str, revision: int) -> str:
    """As Helm names its Secrets: `web.v3`."""
    return f"{release}.v{revision}"
