"""A headless Chromium for tests of pages, driven by the DevTools protocol; from Debian's packages where it is missing.

Nothing it could reach but loopback resolves, and what a page asks for is written down: `Tab.requests`.
"""

import asyncio
import base64
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "fonts-dejavu-core")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-extensions",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
START_S = 120.0


@dataclass
class Tab:
    """One page. Make it with `Browser.tab`; `requests` are all addresses that it asked for."""

    socket: aiohttp.ClientWebSocketResponse
    answers: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    loaded: asyncio.Event = field(default_factory=asyncio.Event)
    count: int = 0

    async def call(self, method: str, **params: Any) -> Any:
        """One command of the protocol. Raises AssertionError with the browser's words where it fails."""
        self.count += 1
        waiting = self.answers[self.count] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": self.count, "method": method, "params": params})
        answer = await asyncio.wait_for(waiting, START_S)
        assert "error" not in answer, answer
        return answer["result"]

    async def open(self, address: str) -> None:
        """Go there and wait until it is loaded and its script ran."""
        self.loaded.clear()
        await self.call("Page.navigate", url=address)
        await asyncio.wait_for(self.loaded.wait(), START_S)

    async def evaluate(self, script: str) -> Any:
        """The value of an expression, as JSON gives it."""
        result = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def look(self, *, width: int, height: int, scheme: str) -> None:
        """Be a screen of this size, with its owner's wish for light or dark."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG, of all of the page or of what is seen."""
        made = await self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(made["data"]))

    async def hear(self) -> None:
        """Take what the browser says, until the tab is closed."""
        async for message in self.socket:
            said = message.json()
            if "id" in said:
                self.answers.pop(said["id"]).set_result(said)
            elif said["method"] == "Page.loadEventFired":
                self.loaded.set()
            elif said["method"] == "Network.requestWillBeSent":
                self.requests.append(said["params"]["request"]["url"])
            elif said["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(str(said["params"]))


@dataclass(frozen=True)
class Browser:
    """A running Chromium, by the address of its DevTools."""

    address: str

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """An empty page for the length of a block."""
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession(self.address))
            async with session.put("/json/new?about:blank") as response:
                place = (await response.json())["webSocketDebuggerUrl"]
            socket = await stack.enter_async_context(session.ws_connect(place, max_msg_size=0))
            tab = Tab(socket)
            hearing = asyncio.create_task(tab.hear())
            stack.callback(hearing.cancel)
            for domain in ("Page", "Runtime", "Network", "Log"):
                await tab.call(f"{domain}.enable")
            yield tab
            await tab.call("Page.close")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """The session's one browser; make tabs of your own."""
    program = await asyncio.to_thread(find_or_install)
    if program is None:
        pytest.skip("no Chromium here, and none could be installed: apt-get, root and Debian's packages are needed")
    folder = tmp_path_factory.mktemp("chromium")
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={folder}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield Browser(f"http://127.0.0.1:{await _port(folder / 'DevToolsActivePort')}")
    finally:
        process.terminate()
        await process.wait()


def find_or_install() -> str | None:
    """The program; installed from Debian's packages where that can be done, else None, which in CI is an error."""
    if (found := _find()) or not (shutil.which("apt-get") and os.geteuid() == 0):
        return found
    try:
        _apt("update")
        _apt("install", "-y", "--no-install-recommends", *PACKAGES)
    except subprocess.CalledProcessError:
        if os.environ.get("CI"):
            raise
    return _find()


def _apt(*arguments: str) -> None:
    """Waits where another process installs something."""
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=120", *arguments]
    subprocess.run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, capture_output=True, check=True)


def _find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


async def _port(file: Path) -> int:
    """The browser writes it once it listens."""
    async with asyncio.timeout(START_S):
        while not (file.exists() and file.read_text().strip()):  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])
