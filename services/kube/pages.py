"""List a kind in pages, so that neither side holds everything at once.

Half as large as client-go's: 500 Deployments take 5 MB as Python objects, which a process then keeps for good.
"""

from collections.abc import AsyncIterator

from services.kube.discovery import Resource
from services.kube.objects import Object
from services.kube.session import Session

PAGE = 250
TIMEOUT_S = 60.0


class Page(list[Object]):
    """The items of one page; `version` is the list's resourceVersion."""

    version = ""


async def pages(session: Session, resource: Resource, namespace: str = "", size: int = PAGE) -> AsyncIterator[Page]:
    """Every page, all in one where `size` is 0. Raises Gone where a continue token expired before the last one.

    Nothing of a page is kept here: who takes its objects out of it as they are dealt with never holds two pages.
    """
    token = ""
    while True:
        params = {"limit": str(size)} if size else {}
        if token:
            params["continue"] = token
        answer = await session.request("GET", resource.path(namespace), params=params, timeout=TIMEOUT_S)
        page = Page(answer.pop("items", None) or ())
        page.version = str(answer["metadata"]["resourceVersion"])
        token = str(answer["metadata"].get("continue") or "")
        yield page
        if not token:
            return


def typed(obj: Object, resource: Resource) -> Object:
    """Lists leave kind and apiVersion out of their items, so the resource says them."""
    return obj if "kind" in obj else {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
