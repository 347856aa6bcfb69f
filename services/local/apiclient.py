"""The few requests with which a throwaway control plane is set up and waited for."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from services.runtime.errors import Permanent

TIMEOUT = aiohttp.ClientTimeout(total=5)


@asynccontextmanager
async def api_session(url: str, ca: Path, token: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the administrator's token, that trusts this control plane only."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(ca)))
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(url, connector=connector, headers=headers, timeout=TIMEOUT) as session:
        yield session


async def serves(session: aiohttp.ClientSession) -> bool:
    """Whether the API server says that it is ready; a refused or cut connection means no."""
    try:
        async with session.get("/readyz") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def create_node(session: aiohttp.ClientSession, name: str) -> None:
    """A node that kwok will bring to life. One that exists already is fine."""
    async with session.post("/api/v1/nodes", json=node(name)) as answer:
        if answer.status not in (201, 409):
            raise Permanent(f"the local API server refused node {name}: {answer.status} {await answer.text()}")


async def usable(session: aiohttp.ClientSession, nodes: int) -> bool:
    """Whether so many nodes take pods, and namespace `default` has the account that pods run as."""
    try:
        async with session.get("/api/v1/nodes") as answer:
            listed = (await answer.json())["items"] if answer.status == 200 else []
        async with session.get("/api/v1/namespaces/default/serviceaccounts/default") as answer:
            account = answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
    return account and sum(map(takes_pods, listed)) >= nodes


def takes_pods(live: dict[str, Any]) -> bool:
    """Ready, and without the taint that a young node has until the node controller has seen it."""
    conditions = live.get("status", {}).get("conditions", [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not live["spec"].get("taints")


def node(name: str) -> dict[str, Any]:
    room = {"cpu": "32", "memory": "256Gi", "pods": "500"}
    labels = {
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "type": "kwok",
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"allocatable": room, "capacity": room},
    }
