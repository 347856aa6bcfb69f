"""List a kind in pages, so that neither side holds everything at once.

Half as large as client-go's: 500 Deployments take 5 MB as Python objects, which a process then keeps for good.
"""

from collections.abc import AsyncIterator, Mapping

from services.kube.api.discovery import Resource
from services.kube.api.session import JSON, Session
from services.kube.objects import Object

PAGE = 250
TIMEOUT_S = 60.0


class Page(list[Object]):
    """The items of one page; `version` is the list's resourceVersion."""

    version = ""


async def pages(
    session: Session, resource: Resource, namespace: str = "", size: int = PAGE, *,
    query: Mapping[str, str] | None = None, accept: str = JSON,
) -> AsyncIterator[Page]:  # fmt: skip
    """Every page, all in one where `size` is 0. Raises Gone where a continue token expired before the last one.

    `query` are further parameters, such as a selector. Nothing of a page is kept here: who takes its objects out of it
    as they are dealt with never holds two pages.
    """
    token = ""
    while True:
        params = {**(query or {}), **({"limit": str(size)} if size else {})}
        if token:
            params["continue"] = token
        answer = await session.request("GET", resource.path(namespace), params=params, accept=accept, timeout=TIMEOUT_S)
        page = Page(answer.pop("items", None) or ())
        page.version = str(answer["metadata"]["resourceVersion"])
        token = str(answer["metadata"].get("continue") or "")
        yield page
        if not token:
            return


async def count(session: Session, resource: Resource) -> int:
    """How many objects there are, about. Raises Forbidden where the token may not list all of them."""
    answer = await session.request("GET", resource.path(), params={"limit": "1"}, timeout=TIMEOUT_S)
    return len(answer.get("items") or ()) + int(answer["metadata"].get("remainingItemCount") or 0)


def typed(obj: Object, resource: Resource) -> Object:
    """Lists leave kind and apiVersion out of their items, so the resource says them."""
    return obj if "kind" in obj else {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
