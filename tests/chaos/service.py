"""One service as a process of its own, to be killed: each of its lives has its own log."""

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from services.local.processes import Child, start_child

CONDITION_S = 0.05


class Service:
    """A Python module that is run again and again. `kills` counts its violent ends."""

    def __init__(self, label: str, command: Sequence[str], logs: Path, environ: Mapping[str, str]) -> None:
        self.label, self.command, self.logs, self.environ = label, command, logs, environ
        self.lives = self.kills = 0
        self.child: Child | None = None

    @property
    def log(self) -> Path:
        """Of the present or last life."""
        return self.logs / f"{self.label}.{self.lives}.log"

    def start(self) -> None:
        """Begin a new life."""
        self.lives += 1
        command = [sys.executable, "-m", *self.command]
        self.child = start_child(self.label, command, self.log, environ=self.environ)

    async def kill(self) -> None:
        """SIGKILL; nothing of it is left when this returns."""
        if self.child:
            self.kills += 1
            await self.child.kill()

    async def stop(self) -> None:
        """SIGTERM, and its orderly end. A life that has just begun is let begin: nobody listens to signals before."""
        if self.child:
            await self.until_begun()
            await self.child.stop(grace=90.0)
            assert self.child.exit_code == 0, self.child.failure(f"{self.label} did not end in order")
            self.child = None

    async def ready(self, session: aiohttp.ClientSession) -> bool:
        """Whether it says that it can do its work."""
        assert self.child is not None, f"{self.label} was never started"
        self.child.check()
        port = next((line["port"] for line in self.lines() if line.get("event") == "health is served"), None)
        if port is None:
            return False
        try:
            async with session.get(f"http://127.0.0.1:{port}/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def until_begun(self, within: float = 120.0) -> None:
        """Wait until it has said anything. Fails with the end of its log."""
        assert self.child is not None
        try:
            async with asyncio.timeout(within):
                while not any(True for _ in self.lines()):
                    self.child.check()
                    await asyncio.sleep(CONDITION_S)
        except TimeoutError:
            raise self.child.failure(f"{self.label} said nothing within {within:g} s") from None
        self.child.check()

    async def until_ready(self, within: float = 120.0) -> None:
        """Wait until it is. Fails with the end of its log."""
        assert self.child is not None
        async with aiohttp.ClientSession() as session:
            try:
                async with asyncio.timeout(within):
                    while not await self.ready(session):  # noqa: ASYNC110 - another process' state
                        await asyncio.sleep(CONDITION_S)
            except TimeoutError:
                raise self.child.failure(f"{self.label} was not ready within {within:g} s") from None

    def lines(self) -> Iterator[dict[str, Any]]:
        """What the present life has logged; a line that is no JSON object is told as text."""
        yield from read_log(self.log)


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a log; the torn last line of a killed process is left out."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            return
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        yield entry if isinstance(entry, dict) else {"level": "error", "event": line.rstrip()}
