"""What the benchmarks run on: a broker and a control plane of their own, and Setpoint's services as processes.

Each benchmark has a fresh stage, so that none measures what another has left behind. Everything ends with the block.
"""

import asyncio
import ssl
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from benchmarks.objects import create_all, create_namespace, write_files
from benchmarks.usage import Usage
from services.kube.objects import Object
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.credentials import CONTEXT
from services.local.folders import cache_root, run_folder
from services.local.ports import free
from services.local.prepare import Parts
from services.local.processes import Child, start_child
from services.runtime.errors import Permanent
from services.runtime.kafka import ensure_topics
from services.runtime.settings import load_settings

ROOT = Path(__file__).parents[1]
CLUSTER = "bench"
SERVICES = ("watcher", "reconciler", "recorder")
MASK_KEY = "setpoint-bench-only"
READY_WITHIN_S = 180.0
QUIET = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)


@dataclass
class Service:
    """One running service and where its health is served."""

    name: str
    child: Child
    url: str


@dataclass
class Stage:
    """`files` is the folder with baselines and policies; `api` a kept connection pool to the API server."""

    folder: Path
    broker: LocalBroker
    plane: LocalControlPlane
    api: aiohttp.ClientSession
    http: aiohttp.ClientSession
    services: dict[str, Service] = field(default_factory=dict)
    kubeconfig: Path | None = None  # for services, the control plane's own if None
    environ: dict[str, str] = field(default_factory=dict)  # further settings of the services

    @property
    def files(self) -> Path:
        return self.folder / "files"

    async def populate(self, objects: Iterable[Object]) -> None:
        """Create live objects, and wait until the control plane has done with them."""
        await create_all(self.api, objects)
        await self.calm()

    def declare(self, objects: Iterable[Object]) -> None:
        """Write the declared state that services read at their start."""
        write_files(self.files, objects)

    async def start(self, *names: str, within: float = READY_WITHIN_S) -> None:
        """Start services as processes, and wait until all of them are ready; Permanent after `within` seconds."""
        for name in names:
            self.services[name] = self._launch(name)
        for name in names:
            await self._ready(self.services[name], within)

    async def kill(self, *names: str) -> None:
        """SIGKILL services, and start them anew at once; they are not waited for."""
        await asyncio.gather(*(self.services[name].child.kill() for name in names))
        for name in names:
            self.services[name] = self._launch(name)

    async def end(self, *names: str) -> None:
        """Stop services as an operator would."""
        await asyncio.gather(*(self.services.pop(name).child.stop(grace=20.0) for name in names))

    def usage(self) -> Usage:
        """CPU and memory of the services' processes."""
        return Usage({name: service.child.pid for name, service in self.services.items()})

    def parts_usage(self) -> Usage:
        """The same of the broker and the control plane."""
        return Usage({"broker": self.broker.pid or 0, **self.plane.pids})

    async def metrics(self, name: str) -> str:
        """A service's `/metrics`."""
        async with self.http.get(self.services[name].url + "/metrics") as answer:
            return await answer.text()

    async def calm(self, below: float = 0.25, within: float = 180.0) -> None:
        """Wait until the control plane and the broker together use less than `below` cores."""
        usage, deadline = self.parts_usage(), time.monotonic() + within
        while time.monotonic() < deadline:
            before, start = usage.cpu(), time.monotonic()
            await asyncio.sleep(1.0)
            if (usage.cpu() - before) / (time.monotonic() - start) < below:
                return

    def _launch(self, name: str) -> Service:
        (port,) = free(1)
        options: list[str | Path] = ["--kafka", self.broker.bootstrap, "--http-port", str(port)]
        options += ["--baselines", self.files / "baselines.yaml", "--policies", self.files / "policies.yaml"]
        options += [
            "--kubeconfig",
            self.kubeconfig or self.plane.kubeconfig,
            "--context",
            CONTEXT,
            "--cluster",
            CLUSTER,
        ]
        if name == "recorder":
            options += ["--clickhouse", f"chdb://{self.folder / 'clickhouse'}"]
        command = [sys.executable, "-m", "services.cli.main", "run", name, *options]
        log = self.folder / "logs" / f"{name}.log"
        child = start_child(name, command, log, cwd=ROOT, environ={"SETPOINT_MASK_KEY": MASK_KEY, **self.environ})
        return Service(name, child, f"http://127.0.0.1:{port}")

    async def _ready(self, service: Service, within: float) -> None:
        deadline, last = time.monotonic() + within, "no answer"
        while time.monotonic() < deadline:
            service.child.check()
            try:
                async with self.http.get(service.url + "/ready") as answer:
                    last = await answer.text()
                    if answer.status == 200:
                        return
            except aiohttp.ClientError as error:
                last = str(error)
            await asyncio.sleep(0.05)
        raise Permanent(f"{service.name} was not ready within {within:g} s: {last}")


@asynccontextmanager
async def open_stage(parts: Parts) -> AsyncIterator[Stage]:
    """Broker, topics, control plane and one namespace, for the length of a block."""
    with run_folder(cache_root()) as folder:
        broker = LocalBroker(folder.path, parts.kafka.jars, parts.kafka.java)
        plane = LocalControlPlane(folder.path, parts.control_plane.binaries, parts.control_plane.stages)
        try:
            await asyncio.gather(broker.start(), plane.start())
            await ensure_topics(load_settings(kafka=broker.bootstrap))
            async with client(plane) as api, aiohttp.ClientSession() as http:
                stage = Stage(folder.path, broker, plane, api, http)
                try:
                    await create_namespace(api)
                    yield stage
                finally:
                    await stage.end(*stage.services)
        finally:
            await asyncio.gather(broker.stop(), plane.stop())


def client(plane: LocalControlPlane) -> aiohttp.ClientSession:
    """Kept connections to the API server, as many as are wanted at once."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(plane.ca_file)), limit=0)
    headers = {"Authorization": f"Bearer {plane.admin_token}"}
    return aiohttp.ClientSession(plane.url, connector=connector, headers=headers, timeout=QUIET)
