"""Lists of metadata only, page by page: to find out which objects are of interest without reading all of them whole."""

from collections.abc import AsyncIterator
from fnmatch import fnmatchcase

from services.kube.api.discovery import Resource
from services.kube.api.errors import Gone
from services.kube.api.session import Session
from services.kube.objects import Object, metadata_of

# An aggregated API server that knows no metadata-only form answers with whole objects, which hold the same.
ACCEPT = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
PAGE = 500
TIMEOUT_S = 60.0
GLOB = frozenset("*?[")
EVERYWHERE = ("",)


async def each_metadata(
    session: Session, resource: Resource, namespace: str = "", *, labels: str = "", fields: str = ""
) -> AsyncIterator[Object]:
    """The metadata of every object of a kind, in one namespace or in all.

    Where a continue token expires, the list begins anew without pages: an object may then come twice.
    """
    size, token = PAGE, ""
    while True:
        given = {
            "limit": str(size) if size else "",
            "continue": token,
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        params = {name: value for name, value in given.items() if value}
        try:
            answer = await session.request(
                "GET", resource.path(namespace), params=params, accept=ACCEPT, timeout=TIMEOUT_S
            )
        except Gone:
            if not token:
                raise
            size, token = 0, ""
            continue
        for item in answer.get("items") or ():
            yield metadata_of(item)
        token = str((answer.get("metadata") or {}).get("continue") or "")
        if not token:
            return


def places(namespaces: tuple[str, ...]) -> tuple[str, ...]:
    """The namespaces to list, where all are named exactly, so that rights in these are enough; else one list of all."""
    exact = namespaces and not any(GLOB & set(name) for name in namespaces)
    return tuple(dict.fromkeys(namespaces)) if exact else EVERYWHERE


def chosen(globs: tuple[str, ...], name: str) -> bool:
    """True where a name fits one of the globs, or none is given."""
    return not globs or any(fnmatchcase(name, glob) for glob in globs)
