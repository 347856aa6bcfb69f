"""Where the demo plays: addresses of the running parts, and the hands of the clients that are not Setpoint.

Everything here goes through doors that any other client uses: the API server's HTTP interface with a field manager of
one's own, the real kubectl, and a watch that shares nothing with the watcher's.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from schemas.target import Target
from services.kube.objects import Object
from services.kube.pointer import parse_pointer, resolve
from services.local.alarms import Door
from services.local.stream import Arrival, Stream
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Temporary

ABSENT = "<absent>"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
WATCH_SECONDS = 600
LONGEST_LINE = 4 * 1024 * 1024  # one watch event is one line


@dataclass(frozen=True)
class Stage:
    """Addresses of the running parts. `clickhouse` is the base URL of the HTTP interface that reads. Without a door to
    the gateway there are no alerts."""

    cluster: str
    kubeconfig: Path
    api_url: str
    admin_token: str
    ca_file: Path
    kafka: str
    clickhouse: str
    kubectl: Path
    door: Door | None = None


@dataclass(frozen=True)
class Thing:
    """One object as its URL needs it. `group` is "" for core."""

    group: str
    version: str
    kind: str
    plural: str
    namespace: str
    name: str

    @property
    def collection(self) -> str:
        """Path of its kind in its namespace."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/namespaces/{self.namespace}/{self.plural}"

    def target(self, cluster: str) -> Target:
        """The same as events name it."""
        return Target(cluster=cluster, group=self.group, kind=self.kind, namespace=self.namespace, name=self.name)


@dataclass(frozen=True)
class Glimpse:
    """A state of the object that the watch saw; None where it was gone."""

    version: int
    object: Object | None

    def value(self, pointer: str) -> Any:
        """What stands at a pointer; ABSENT for nothing, also when the object is gone. "" asks for existence."""
        if not pointer:
            return ABSENT if self.object is None else "present"
        return resolve(self.object, parse_pointer(pointer), ABSENT)


class Outsider:
    """A client of the API server that is not Setpoint."""

    def __init__(self, stage: Stage, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.stage, self.session, self.clock = stage, session, clock

    async def patch(self, thing: Thing, body: Any, *, manager: str, subresource: str = "", form: str = MERGE) -> int:
        """Write as field manager `manager`; the object's new resourceVersion."""
        path = "/".join(part for part in (thing.collection, thing.name, subresource) if part)
        headers, params = {"content-type": form}, {"fieldManager": manager}
        with api_away():
            async with self.session.patch(path, params=params, data=orjson.dumps(body), headers=headers) as response:
                return version_of(await answer(response))

    async def kubectl(self, *arguments: str) -> str:
        """Run the real kubectl; what it printed. Raises Permanent with its own words where it fails."""
        folder = self.stage.kubeconfig.parent
        process = await asyncio.create_subprocess_exec(
            self.stage.kubectl, f"--kubeconfig={self.stage.kubeconfig}", f"--cache-dir={folder / 'kubectl-cache'}",
            *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        if process.returncode:
            raise Permanent(f"kubectl {' '.join(arguments)} failed: {err.decode().strip()}")
        return out.decode()

    @asynccontextmanager
    async def watching(self, thing: Thing) -> AsyncIterator[Stream[Glimpse]]:
        """Watch one object for the length of a block; the stream starts with what is there now.

        A watch that broke meanwhile is raised at the block's end: what was seen is then not all there was.
        """
        stream: Stream[Glimpse] = Stream(self.clock)
        version = await self._list(thing, stream)
        task = asyncio.create_task(self._watch(thing, version, stream))
        try:
            yield stream
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _list(self, thing: Thing, stream: Stream[Glimpse]) -> str:
        with api_away():
            async with self.session.get(thing.collection, params=_only(thing)) as response:
                found = await answer(response)
        for item in found["items"]:
            stream.add(Glimpse(version_of(item), item))
        return str(found["metadata"]["resourceVersion"])

    async def _watch(self, thing: Thing, version: str, stream: Stream[Glimpse]) -> None:
        params = {**_only(thing), "watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS)}
        with api_away():
            async with self.session.get(thing.collection, params=params) as response:
                async for line in response.content:
                    event = orjson.loads(line)
                    if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                        item = event["object"]
                        stream.add(Glimpse(version_of(item), None if event["type"] == "DELETED" else item))
        raise Temporary(f"the watch on {thing.kind} {thing.name} ended")


@contextmanager
def api_away() -> Iterator[None]:
    """Connection errors of the block as Temporary."""
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Temporary(f"the API server does not answer: {error}") from error


@asynccontextmanager
async def outsider(stage: Stage, clock: Clock) -> AsyncIterator[Outsider]:
    """A client for the length of a block, with the cluster's own certificate authority."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(stage.ca_file)), limit=0)
    headers = {"authorization": f"Bearer {stage.admin_token}"}
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=WATCH_SECONDS + 10)
    async with aiohttp.ClientSession(
        stage.api_url, connector=connector, headers=headers, timeout=timeout, read_bufsize=LONGEST_LINE
    ) as session:
        yield Outsider(stage, session, clock)


async def answer(response: aiohttp.ClientResponse) -> Object:
    """The body of a good answer. Raises Permanent with the server's own message for any other."""
    body = await response.read()
    if response.status >= 400:
        raise Permanent(f"{response.method} {response.url.path} was answered {response.status}: {body.decode()[:500]}")
    found: Object = orjson.loads(body)
    return found


def version_of(obj: Object) -> int:
    """The resourceVersion as a number: larger is newer."""
    return int(obj["metadata"]["resourceVersion"])


def last_return(
    glimpses: list[Arrival[Glimpse]], declared: Callable[[Glimpse], bool], since: float
) -> tuple[float, float] | None:
    """When the object last left its declared state and when it came back, or None where it is not back.

    A state left before `since` counts from `since`: a pause is no one's time to correct.
    """
    left: float | None = None
    found: tuple[float, float] | None = None
    for at, glimpse in glimpses:
        if not declared(glimpse):
            found, left = None, at if left is None else left
        elif left is not None:
            found, left = (max(left, since), at), None
    return found


def _only(thing: Thing) -> dict[str, str]:
    return {"fieldSelector": f"metadata.name={thing.name}"}
