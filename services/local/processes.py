"""Child processes of the local parts: each in its own group, its output in a log file, and never outliving us.

They end when this process ends, also by SIGKILL (see leash.py). On Linux that is bound to the *thread* that starts
them: start children from a thread that lives as long as they should, in practice the event loop's.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from services.runtime.errors import Permanent

LEASH = Path(__file__).with_name("leash.py")
POLL_S = 0.02
LAST_LINES = 15


def default_leash() -> str:
    """`kernel` where Linux can do it, `watchdog` elsewhere."""
    return "kernel" if sys.platform == "linux" else "watchdog"


class Child:
    """A running or ended child process. Made by `start_child`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._process.poll()

    def check(self) -> None:
        """Raise Permanent, with the log's place and last lines, when it has ended."""
        if self.exit_code is not None:
            raise self.failure(f"{self.name} ended with {ending(self.exit_code)}")

    def failure(self, message: str) -> Permanent:
        """An error that says `message`, where the log is and what it says last."""
        return Permanent(f"{message}; its log, {self.log}, ends:\n{last_lines(self.log)}")

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        while (code := self.exit_code) is None:  # noqa: ASYNC110  # the kernel sets no asyncio.Event
            await asyncio.sleep(POLL_S)
        return code

    async def stop(self, grace: float = 10.0) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds. Does nothing if it has ended."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), grace)
        except TimeoutError:
            pass
        finally:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL to its whole group, and reap it."""
        self._signal(signal.SIGKILL)
        self._process.wait()  # milliseconds; not awaited, so that a cancelled caller still reaps it
        if self._process.stdin:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        if self.exit_code is None:
            os.killpg(self.pid, number)


def start_child(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    leash: str | None = None,
) -> Child:
    """Start `command` with its output appended to `log`. `environ` is added to this process's environment."""
    kind = leash or default_leash()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LEASH), kind, str(os.getpid()), *map(str, command)],
            stdin=subprocess.PIPE if kind == "watchdog" else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(environ or {})},
            start_new_session=True,
        )
    return Child(name, process, log)


async def run_to_end(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    timeout: float = 3600.0,
) -> None:
    """Run `command`; Permanent when it fails or takes longer than `timeout` seconds. Cancelling ends it."""
    child = start_child(name, command, log, cwd=cwd, environ=environ)
    try:
        code = await asyncio.wait_for(child.wait(), timeout)
    except TimeoutError as error:
        raise child.failure(f"{name} did not end within {timeout:g} s") from error
    finally:
        await child.stop(grace=2.0)
    if code != 0:
        raise child.failure(f"{name} ended with {ending(code)}")


async def until_ready(child: Child, probe: Callable[[], Awaitable[bool]], timeout: float) -> None:
    """Ask `probe` until it says yes; Permanent when the child ends before or `timeout` seconds pass."""
    deadline = time.monotonic() + timeout
    while not await probe():
        child.check()
        if time.monotonic() > deadline:
            raise child.failure(f"{child.name} was not ready after {timeout:g} s")
        await asyncio.sleep(POLL_S)


def ending(code: int) -> str:
    """`exit code 1` or `SIGKILL`."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def last_lines(path: Path, count: int = LAST_LINES, most: int = 64 * 1024) -> str:
    """The last `count` lines of a text file, reading at most `most` bytes of it; says so when there is nothing."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - most))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        return f"  (not readable: {error.strerror})"
    return "\n".join(f"  {line}" for line in lines[-count:]) or "  (empty)"
