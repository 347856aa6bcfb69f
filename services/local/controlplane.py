"""A throwaway Kubernetes control plane without machines or containers: etcd, kube-apiserver, kube-controller-manager,
kube-scheduler and kwok as child processes on 127.0.0.1.

Used by `setpoint demo` and the tests. Several can run at once: each has its own folder, ports, keys and tokens. The
API server can be stopped, killed and started again on the same port and data while the others run on.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp

from services.local import controlplane_commands as commands
from services.local.apiclient import api_session, create_node, serves, usable
from services.local.credentials import kubeconfig, new_token, service_account_key, token_file, write_private
from services.local.ports import free
from services.local.processes import Child, start_child, until_ready
from services.runtime.errors import Permanent

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 75.0
PORT_TRIES = 3
PORT_TAKEN = "address already in use"
ADMIN = "setpoint-admin"
CLIENTS = ("kube-controller-manager", "kube-scheduler", "kwok")


class LocalControlPlane:
    """One control plane. `folder` is a run's folder: data, keys, kubeconfig and `logs/` go below it."""

    def __init__(self, folder: Path, binaries: Mapping[str, Path], stages: Path) -> None:
        self._at = commands.Layout(folder)
        self._binaries = binaries
        self._stages = stages
        self._tokens = {user: new_token() for user in (ADMIN, *CLIENTS)}
        self._ports: tuple[int, ...] = ()
        self._children: dict[str, Child] = {}

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, with context `setpoint-local`; there once it was started."""
        return self._at.kubeconfig

    @property
    def ca_file(self) -> Path:
        return self._at.ca

    @property
    def admin_token(self) -> str:
        return self._tokens[ADMIN]

    @property
    def url(self) -> str:
        if not self._ports:
            raise Permanent("the local control plane was never started")
        return f"https://127.0.0.1:{self._ports[0]}"

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by part, for measuring."""
        return {name: child.pid for name, child in self._children.items()}

    async def start(self, nodes: int = 3) -> None:
        """Start everything and return when `nodes` nodes take pods. Permanent, with the log's last lines, if not."""
        for attempt in range(PORT_TRIES):
            try:
                return await self._start(nodes)
            except BaseException as error:
                await self.stop()
                if not isinstance(error, Permanent) or attempt == PORT_TRIES - 1 or not self._lost_a_port():
                    raise
                shutil.rmtree(self._at.etcd_data, ignore_errors=True)
                shutil.rmtree(self._at.folder / "logs", ignore_errors=True)

    async def stop(self) -> None:
        """End everything: clients first, etcd last."""
        for part in (*reversed(CLIENTS), "kube-apiserver", "etcd"):
            await self._end(part)

    async def stop_apiserver(self) -> None:
        """SIGTERM to the API server: it says good-bye to its clients."""
        await self._end("kube-apiserver", grace=STOP_TIMEOUT_S)

    async def kill_apiserver(self) -> None:
        """SIGKILL to the API server, as a crash would."""
        if child := self._children.pop("kube-apiserver", None):
            await child.kill()

    async def start_apiserver(self) -> None:
        """Start it again on its port and data, and return when it serves; does nothing while it runs."""
        if "kube-apiserver" in self._children:
            return self.check()
        self._launch("kube-apiserver", commands.apiserver(self._binaries, self._at, *self._ports[:2]))
        async with api_session(self.url, self._at.ca, self.admin_token) as session:
            await self._until("kube-apiserver", partial(serves, session))

    def check(self) -> None:
        """Raise Permanent when a part ended without being told to."""
        for child in self._children.values():
            child.check()

    async def _start(self, nodes: int) -> None:
        api, etcd_client, etcd_peer = self._ports = free(3)
        self._write_secrets()
        self._launch("etcd", commands.etcd(self._binaries, self._at, etcd_client, etcd_peer))
        self._launch("kube-apiserver", commands.apiserver(self._binaries, self._at, api, etcd_client))
        await self._until("kube-apiserver", self._certificate_exists)
        self._write_kubeconfigs()
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(api_session(self.url, self._at.ca, self.admin_token))
            await self._until("kube-apiserver", partial(serves, session))
            self._launch("kube-controller-manager", commands.controller_manager(self._binaries, self._at))
            self._launch("kwok", commands.kwok(self._binaries, self._at, self._stages))
            self._launch("kube-scheduler", commands.scheduler(self._binaries, self._at))
            await self._populate(session, nodes)

    async def _populate(self, session: aiohttp.ClientSession, nodes: int) -> None:
        await asyncio.gather(*(create_node(session, f"node-{number}") for number in range(1, nodes + 1)))
        await self._until("kwok", partial(usable, session, nodes))

    async def _until(self, part: str, probe: Callable[[], Awaitable[bool]]) -> None:
        async def probe_while_all_run() -> bool:
            self.check()
            return await probe()

        await until_ready(self._children[part], probe_while_all_run, START_TIMEOUT_S)

    async def _certificate_exists(self) -> bool:
        return await asyncio.to_thread(lambda: self._at.ca.exists() and self._at.ca.read_text().endswith("-----\n"))

    def _write_secrets(self) -> None:
        shutil.rmtree(self._at.pki, ignore_errors=True)
        self._at.pki.mkdir(parents=True, mode=0o700)
        write_private(self._at.signing_key, service_account_key())
        write_private(self._at.tokens, token_file(self._tokens))

    def _write_kubeconfigs(self) -> None:
        authority = self._at.ca.read_bytes()
        write_private(self._at.kubeconfig, kubeconfig(self.url, authority, self.admin_token))
        for part in CLIENTS:
            write_private(self._at.kubeconfig_of(part), kubeconfig(self.url, authority, self._tokens[part], part))

    def _launch(self, part: str, command: commands.Command) -> None:
        self._children[part] = start_child(part, command, self._at.log_of(part))

    async def _end(self, part: str, grace: float = 5.0) -> None:
        if child := self._children.pop(part, None):
            await child.stop(grace)

    def _lost_a_port(self) -> bool:
        logs = (self._at.log_of(part) for part in ("etcd", "kube-apiserver"))
        return any(PORT_TAKEN in log.read_text(errors="replace") for log in logs if log.exists())
