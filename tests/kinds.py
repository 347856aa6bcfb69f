"""From when on a kind that a test defines can be used.

The API server lists a new kind a moment before it answers for it, and has its schema a moment later still.
"""

from services.kube.api.errors import NotFound, Unavailable
from services.kube.objects import Object
from tests.fakes import eventually
from tests.watching import Client

WITHIN_S = 120.0


async def until_usable(client: Client, group: str, version: str, kind: str, *, schema: bool = False) -> None:
    """Wait until the client's catalogue has it and the server answers for it; with `schema` also until it has that."""

    async def usable() -> bool:
        await client.cluster.rediscover()
        if not client.cluster.catalogue.serves(group, version, kind):
            return False
        try:
            await client.cluster.session.request("GET", client.cluster.resource(group, kind, version).path())
        except (NotFound, Unavailable):
            return False
        probe = {"apiVersion": f"{group}/{version}", "kind": kind}
        return not schema or bool((await client.cluster.schema(probe)).fields)

    await eventually(usable, WITHIN_S, f"{kind} {version} of {group} can be used")


async def until_gone(client: Client, obj: Object) -> None:
    """Wait until nothing has its name any more: a definition ends only after all objects of its kind."""

    async def gone() -> bool:
        return await client.get(obj) is None

    await eventually(gone, WITHIN_S, f"{obj['metadata']['name']} is gone")
