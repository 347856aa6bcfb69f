"""Everybody who speaks to Setpoint about alerts in the demo, at their own doors: Falco, Alertmanager, people on call.

All of it goes over HTTP to the gateway, with the secrets that the demo made for it.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import aiohttp
import orjson

from schemas.base import rfc3339
from services.local.ports import free
from services.runtime.clock import Clock
from services.runtime.errors import Permanent, Temporary

PEOPLE = ("ann", "bob")
TIMEOUT = aiohttp.ClientTimeout(total=15)
AT_ONCE = 16  # connections: the gateway gives one address no more than its setting says
NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class Door:
    """Where the gateway listens, and a secret for each who may speak to it. `folder` is what the gateway reads."""

    cluster: str
    port: int
    folder: Path
    secrets: dict[str, str]

    @property
    def listen(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.port}"


def make_door(cluster: str, folder: Path) -> Door:
    """New secrets below `folder`, and a free port."""
    names = [f"{source}.{cluster}" for source in ("alertmanager", "falcosidekick")]
    made = {name: secrets.token_urlsafe(24) for name in [*names, *(f"approvals.{user}" for user in PEOPLE)]}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, secret in made.items():
        (folder / name).write_text(secret, encoding="utf-8")
    (port,) = free(1)
    return Door(cluster, port, folder, made)


@dataclass(frozen=True)
class Alarm:
    """One alert of Alertmanager's, so that it can be told again, and as resolved."""

    labels: dict[str, str]
    began: datetime


class Callers:
    """Falco, Alertmanager and people. Raises Permanent where the gateway refuses, Temporary where it is away."""

    def __init__(self, door: Door, session: aiohttp.ClientSession, clock: Clock) -> None:
        self.door, self.session, self.clock = door, session, clock

    async def falco(self, rule: str, namespace: str, pod: str, **fields: str) -> None:
        """What falcosidekick sends for a system call in a pod."""
        now = rfc3339(self.clock.now())
        said = {
            "uuid": str(uuid4()), "rule": rule, "time": now, "source": "syscall", "priority": "Warning",
            "hostname": "node-1", "output": f"{rule} (pod={pod} {' '.join(fields.values())})", "tags": ["container"],
            "output_fields": {"k8s.ns.name": namespace, "k8s.pod.name": pod, "evt.type": "execve", **fields},
        }  # fmt: skip
        await self._post(f"/v1/ingest/falcosidekick/{self.door.cluster}", f"falcosidekick.{self.door.cluster}", said)

    async def alertmanager(self, alarm: Alarm, *, resolved: bool = False) -> None:
        """What Alertmanager sends of one alert."""
        one = {
            "status": "resolved" if resolved else "firing", "labels": alarm.labels, "annotations": {},
            "startsAt": rfc3339(alarm.began), "endsAt": rfc3339(self.clock.now()) if resolved else NEVER,
            "generatorURL": "", "fingerprint": uuid5(NAMESPACE_OID, str(sorted(alarm.labels.items()))).hex[:16],
        }  # fmt: skip
        group = {
            "version": "4", "groupKey": "{}", "truncatedAlerts": 0, "status": one["status"], "receiver": "setpoint",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": [one],
        }  # fmt: skip
        await self._post(f"/v1/ingest/alertmanager/{self.door.cluster}", f"alertmanager.{self.door.cluster}", group)

    async def answer(self, approval_id: str, answer: str, user: str) -> None:
        """A person's yes or no."""
        body = {"cluster": self.door.cluster, "answer": answer}
        await self._post(f"/v1/approvals/{approval_id}", f"approvals.{user}", body)

    async def _post(self, path: str, secret: str, body: dict[str, Any]) -> None:
        headers = {"authorization": f"Bearer {self.door.secrets[secret]}", "content-type": "application/json"}
        try:
            async with self.session.post(path, data=orjson.dumps(body), headers=headers) as response:
                words = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Temporary(f"the gateway does not answer: {error}") from error
        if response.status != 202:
            raise Permanent(f"the gateway answered {response.status} to POST {path}: {words[:300]}")


@asynccontextmanager
async def callers(door: Door, clock: Clock) -> AsyncIterator[Callers]:
    """For the length of a block."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(f"http://{door.listen}", timeout=TIMEOUT, connector=connector) as session:
        yield Callers(door, session, clock)
