"""Which kinds the server serves, and how: one call each to `/api` and `/apis` (aggregated discovery, GA in 1.30)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from services.kube.api.errors import NotFound
from services.kube.api.session import Session

ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


class Resource(NamedTuple):
    """One served kind in one version. `plural` is its name in paths."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """`/apis/apps/v1` or `/api/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of a collection (all namespaces without `namespace`) or of one object."""
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.root}{where}/{self.plural}" + (f"/{name}" if name else "")


class Catalogue:
    """What one server serves, at one time."""

    def __init__(self, resources: list[Resource]) -> None:
        self.by_version = {(found.group, found.version, found.kind): found for found in resources}
        self.preferred: dict[tuple[str, str], Resource] = {}
        for found in resources:  # the server lists the preferred version first
            self.preferred.setdefault((found.group, found.kind), found)
        self.kinds = {(found.group, found.plural): found.kind for found in resources}

    def find(self, group: str, kind: str, version: str | None = None) -> Resource | None:
        """A kind in the wanted version; in the preferred one where none is wanted or that one is not served."""
        exact = self.by_version.get((group, version, kind)) if version else None
        return exact or self.preferred.get((group, kind))

    def kind_of(self, group: str, plural: str) -> str | None:
        """The kind behind a name in paths, None where it is not served."""
        return self.kinds.get((group, plural))

    def serves(self, group: str, version: str, kind: str) -> bool:
        """True where exactly this version is served."""
        return (group, version, kind) in self.by_version


async def discover(session: Session) -> Catalogue:
    """Ask the server what it serves."""
    found: list[Resource] = []
    for path in ("/api", "/apis"):
        found.extend(_resources(await session.request("GET", path, accept=ACCEPT, timeout=30)))
    return Catalogue(found)


def _resources(document: Mapping[str, Any]) -> Iterator[Resource]:
    for group in document.get("items") or ():
        name = str(group["metadata"].get("name") or "")
        for version in group.get("versions") or ():
            for entry in version.get("resources") or ():
                kind = (entry.get("responseKind") or {}).get("kind")
                if kind:
                    yield Resource(
                        name, version["version"], kind, entry["resource"], entry.get("scope") == "Namespaced",
                        frozenset(entry.get("verbs") or ()),
                    )  # fmt: skip


async def published(session: Session) -> dict[tuple[str, str], str]:
    """By group and version, the hash of its OpenAPI v3 document: it changes with every schema in it."""
    try:
        document = await session.request("GET", "/openapi/v3", timeout=30)
    except NotFound:  # before 1.27, or switched off
        return {}
    found = {}
    for path, entry in (document.get("paths") or {}).items():
        root, *names = path.split("/")
        if root == "apis" and len(names) == 2:
            found[names[0], names[1]] = str(entry.get("serverRelativeURL"))
        elif root == "api" and len(names) == 1:
            found["", names[0]] = str(entry.get("serverRelativeURL"))
    return found
