"""A real Prometheus, from Debian's package: fetched once into the cache of parts, and run on loopback.

Needs no root: the package is downloaded and unpacked, not installed. Where a machine's own package lists are not there
or too old, lists of our own are fetched beside it. One on the PATH is taken as it is.
"""

import asyncio
import platform
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from services.local.cache import fingerprint, obtain
from services.local.folders import cache_root
from services.local.ports import free
from services.local.processes import Child, run_to_end, start_child, until_ready
from services.runtime.errors import Permanent

PACKAGE = "prometheus"
TOOLS = ("apt-get", "dpkg-deb")
VERSION = re.compile(r"version (\d+)\.(\d+)")
Version = tuple[int, int]
SENDS_2, STABLE_HISTOGRAMS = (2, 54), (3, 8)
"""The first versions that can send remote write 2.0, and that have a setting for native histograms."""


async def find_prometheus() -> Path | None:
    """Its binary; None on a machine that has neither it nor Debian's tools."""
    found = shutil.which(PACKAGE)
    if found:
        return Path(found)
    if not all(map(shutil.which, TOOLS)):
        return None
    entry = await obtain(cache_root(), PACKAGE, fingerprint([PACKAGE, platform.machine(), "1"]), _fetch)
    return entry / "usr" / "bin" / PACKAGE


async def version(binary: Path) -> Version:
    """Which one it is."""
    process = await asyncio.create_subprocess_exec(
        binary, "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()
    found = VERSION.search(told.decode())
    assert found, told
    return int(found[1]), int(found[2])


async def _fetch(folder: Path) -> None:
    """Its binary into `folder/usr/bin`; the rest of the package is left out."""
    work, log = folder / "work", cache_root() / "logs" / f"{PACKAGE}.log"
    for part in ("lists/partial", "archives/partial"):
        (work / part).mkdir(parents=True)
    try:
        await run_to_end("apt-get download", ["apt-get", "-q", "download", PACKAGE], log, cwd=work)
    except Permanent:
        own = ["-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work}", "-o", "APT::Sandbox::User="]
        await run_to_end("apt-get update", ["apt-get", "-q", *own, "update"], log, cwd=work)
        await run_to_end("apt-get download", ["apt-get", "-q", *own, "download", PACKAGE], log, cwd=work)
    (package,) = work.glob(f"{PACKAGE}_*.deb")
    await run_to_end("dpkg-deb", ["dpkg-deb", "-x", package, work / "root"], log)
    (folder / "usr" / "bin").mkdir(parents=True)
    (work / "root" / "usr" / "bin" / PACKAGE).rename(folder / "usr" / "bin" / PACKAGE)
    shutil.rmtree(work)


@dataclass
class Prometheus:
    """One that runs."""

    child: Child
    url: str
    session: aiohttp.ClientSession

    async def ask(self, query: str) -> list[dict[str, Any]]:
        """Its own answer to a query, as of now."""
        async with self.session.get(f"{self.url}/api/v1/query", params={"query": query}) as answer:
            found = orjson.loads(await answer.read())
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    async def ready(self) -> bool:
        """Whether it answers."""
        try:
            async with self.session.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


@asynccontextmanager
async def prometheus(
    binary: Path, folder: Path, targets: list[str], write: dict[str, Any]
) -> AsyncIterator[Prometheus]:
    """Scrape `targets` every second and write it by `write`, a `remote_write` entry, for the length of a block."""
    told = await version(binary)
    histograms = {"scrape_native_histograms": True} if told >= STABLE_HISTOGRAMS else {}
    features = ["exemplar-storage", "native-histograms", *(["metadata-wal-records"] if told >= SENDS_2 else [])]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", **histograms},
        "scrape_configs": [{"job_name": "test", "static_configs": [{"targets": targets}]}],
        "remote_write": [write],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (port,) = free(1)
    command: list[str | Path] = [
        binary, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", f"--enable-feature={','.join(features)}",
    ]  # fmt: skip
    child = start_child(PACKAGE, command, folder / "prometheus.log", cwd=folder)
    try:
        async with aiohttp.ClientSession() as session:
            running = Prometheus(child, f"http://127.0.0.1:{port}", session)
            await until_ready(child, running.ready, 30)
            yield running
    finally:
        await child.stop()
