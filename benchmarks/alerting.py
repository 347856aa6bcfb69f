"""What the benchmarks on alerts share: pods to act on, alerts as falcosidekick sends them, and a way to send them fast.

The sender speaks HTTP by hand over kept connections: it runs on the same cores, and a client library would be measured
along with the gateway.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson

from benchmarks.objects import AT_ONCE, NAMESPACE, config_map, send
from benchmarks.stage import CLUSTER, Stage
from services.kube.objects import Object
from services.local.ports import free

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SECRET = "falcosidekick-of-the-benchmarks"
RULE = "Shell in a bench pod"
LABEL = "bench-alert"
PATH = f"/v1/ingest/falcosidekick/{CLUSTER}"
POLICY = f"""\
apiVersion: setpoint.dev/v1alpha1
kind: Policy
metadata: {{name: quarantine}}
spec:
  trigger: {{alert: {RULE}}}
  match: {{namespace: [{NAMESPACE}]}}
  do: [{{label: {{object: "${{event.pod}}", set: {{{LABEL}: "${{event.values.number}}"}}}}}}]
  mode: enforce
"""
UNBOUND = {"SETPOINT_STORM_MAX": "1000000", "SETPOINT_GATEWAY_RATE": "1000000", "SETPOINT_GATEWAY_CONNECTIONS": "256"}
"""The brakes on storms and senders are opened: what is behind them is measured."""


def pod(number: int) -> Object:
    """One that nobody schedules, so that nothing but the action writes to it."""
    container = {"name": "app", "image": "registry.example/team/app:1"}
    metadata = {"name": pod_name(number), "namespace": NAMESPACE}
    spec = {"schedulerName": "nobody", "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def pod_name(number: int) -> str:
    """Of the pod that the alert of this number is about."""
    return f"pod-{number:04}"


def alert(number: int, cluster: str = CLUSTER) -> bytes:
    """Falco's alert of this number, in falcosidekick's words; no other has its identity."""
    said = {
        "uuid": str(uuid4()), "output": "A shell was spawned in a container with an attached terminal", "priority":
        "Warning", "rule": RULE, "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"), "source": "syscall",
        "hostname": "node-1", "tags": ["container", "shell", "mitre_execution"],
        "output_fields": {
            "k8s.ns.name": NAMESPACE, "k8s.pod.name": pod_name(number), "container.id": f"{number:012x}",
            "container.name": "app", "proc.cmdline": "bash -i", "proc.pid": number, "user.name": "root",
            "evt.type": "execve", "number": str(number), "cluster": cluster,
        },
    }  # fmt: skip
    return orjson.dumps(said)


async def create_pods(api: aiohttp.ClientSession, numbers: Iterable[int]) -> None:
    """Those of the alerts of these numbers, many at once."""
    waiting = iter(numbers)

    async def worker() -> None:
        for number in waiting:
            await send(api, "POST", PODS, pod(number))

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def prepare(stage: Stage) -> int:
    """Write policy and secrets, open the brakes, and choose the gateway's port, which is returned."""
    stage.declare([config_map(0)])
    (stage.files / "policies.yaml").write_text(POLICY, encoding="utf-8")
    (port,) = free(1)
    stage.environ |= UNBOUND | gateway_environ(stage.folder, port)
    return port


def gateway_environ(folder: Path, port: int) -> dict[str, str]:
    """The settings of a gateway that knows the benchmarks' senders."""
    secrets = folder / "gateway-secrets"
    secrets.mkdir(exist_ok=True)
    for source in ("falcosidekick", "metrics"):
        (secrets / f"{source}.{CLUSTER}").write_text(SECRET, encoding="utf-8")
    return {"SETPOINT_GATEWAY_SECRETS": str(secrets), "SETPOINT_GATEWAY_LISTEN": f"127.0.0.1:{port}"}


class Line:
    """One kept connection to the gateway; made anew after every failure."""

    head = f"POST {PATH} HTTP/1.1\r\ncontent-type: application/json\r\n"

    def __init__(self, port: int) -> None:
        self.port = port
        self.ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> int:
        """The answer's status. Raises OSError where there is none."""
        try:
            if self.ends is None:
                self.ends = await asyncio.open_connection("127.0.0.1", self.port)
            return await self._ask(*self.ends, body)
        except (asyncio.IncompleteReadError, OSError) as error:
            self.close()
            raise ConnectionError(str(error)) from error

    async def until_taken(self, body: bytes, pause: float = 0.05) -> float:
        """Send until it is answered with 202; the Unix time of that answer."""
        while True:
            try:
                if await self.post(body) == 202:
                    return time.time()
            except ConnectionError:
                pass
            await asyncio.sleep(pause)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
        writer.write(
            f"{self.head}host: gateway\r\nauthorization: Bearer {SECRET}\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next((line for line in head.split("\r\n") if line.startswith("content-length:")), ":0")
        await reader.readexactly(int(length.partition(":")[2]))
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1])

    def close(self) -> None:
        """Give the connection up."""
        if self.ends is not None:
            self.ends[1].close()
            self.ends = None


@asynccontextmanager
async def lines(port: int, count: int) -> AsyncIterator[list[Line]]:
    """Connections for the length of a block."""
    opened = [Line(port) for _ in range(count)]
    try:
        yield opened
    finally:
        for line in opened:
            line.close()


def labelled(number: int) -> Callable[[Object], bool]:
    """Whether a pod's state shows the effect of the alert of this number."""
    return lambda obj: bool((obj["metadata"].get("labels") or {}).get(LABEL) == str(number))
