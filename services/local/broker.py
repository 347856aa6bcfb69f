"""A throwaway Apache Kafka broker as a child process: one KRaft node on 127.0.0.1, real in everything but size.

Used by `setpoint up`, `setpoint demo` and the tests. It keeps its port and data over `stop`, `kill` and `start`, so
that clients see what they see when a real broker comes back.
"""

import asyncio
import base64
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.local.broker_files import JAVA_OPTIONS, QUIET_LOG, server_properties
from services.local.ports import free
from services.local.processes import Child, run_to_end, start_child, until_ready
from services.runtime.errors import Permanent

START_TIMEOUT_S = 60.0
PORT_TRIES = 3
PORT_TAKEN = ("Address already in use", "BindException")


class LocalBroker:
    """One broker. `folder` is a run's folder: data goes to `folder/kafka`, the log to `folder/logs/kafka.log`."""

    def __init__(self, folder: Path, jars: Path, java: Path) -> None:
        self.log = folder / "logs" / "kafka.log"
        self._home = folder / "kafka"
        self._data = self._home / "data"
        self._java: list[str | Path] = [java, *JAVA_OPTIONS, f"-Dlog4j2.configurationFile={self._home / 'log4j2.xml'}"]
        self._java += ["-cp", f"{jars}/*"]
        self._ports: tuple[int, ...] = ()
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """`127.0.0.1:PORT`; the port is known once it was started."""
        if not self._ports:
            raise Permanent("the local broker was never started")
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    async def start(self) -> None:
        """Start it, anew or on the data and port that it had, and return when it answers clients.

        Does nothing while it runs. Permanent, with the log's last lines, when it does not come up.
        """
        if self._child and self._child.exit_code is None:
            return
        if self._ports:
            return await self._launch()
        for attempt in range(PORT_TRIES):
            self._ports = free(2)
            try:
                return await self._launch()
            except Permanent:
                if attempt == PORT_TRIES - 1 or not self._lost_a_port():
                    raise
                shutil.rmtree(self._home)  # its quorum has the lost port written down
                self.log.unlink()

    async def stop(self) -> None:
        """End it cleanly; data and port stay its own."""
        if self._child:
            await self._child.stop(grace=20.0)

    async def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._child:
            await self._child.kill()

    async def restart(self) -> None:
        """Stop, and start on the same data and port."""
        await self.stop()
        await self.start()

    def check(self) -> None:
        """Raise Permanent when it ended without being told to."""
        if self._child:
            self._child.check()

    async def _launch(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        properties = self._home / "server.properties"
        properties.write_text(server_properties(self._data, *self._ports), encoding="utf-8")
        (self._home / "log4j2.xml").write_text(QUIET_LOG, encoding="utf-8")
        if not (self._data / "meta.properties").exists():
            await self._format(properties)
        self._child = start_child("the local broker", [*self._java, "kafka.Kafka", properties], self.log)
        try:
            await until_ready(self._child, self._answers, START_TIMEOUT_S)
        except BaseException:
            await self._child.kill()
            raise

    async def _format(self, properties: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
        tool: list[str | Path] = [
            "kafka.tools.StorageTool",
            "format",
            "--standalone",
            "-t",
            cluster_id,
            "-c",
            properties,
        ]
        log = self.log.with_name("kafka-format.log")
        await run_to_end("formatting the local broker's storage", [*self._java, *tool], log, timeout=START_TIMEOUT_S)

    async def _answers(self) -> bool:
        """Whether the broker names itself as a usable one, which it does later than its port opens."""
        if not await _accepts(self._ports[0]):
            return False
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=2000)
        try:
            await admin.start()
            return bool((await admin.describe_cluster())["brokers"])
        except (KafkaError, OSError):
            return False
        finally:
            await admin.close()

    def _lost_a_port(self) -> bool:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return any(sign in text for sign in PORT_TAKEN)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
