"""Children end with us however we end, and a failure shows where its log is and what it says."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from services.local.processes import Child, last_lines, run_to_end, start_child, until_ready
from services.runtime.errors import Permanent

LEASHES = [
    pytest.param("kernel", marks=pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux'")),
    "watchdog",
]
PARENT = """
import sys, time
from pathlib import Path
from services.local.processes import start_child
print(start_child("child", ["sleep", "600"], Path(sys.argv[1]), leash=sys.argv[2]).pid, flush=True)
time.sleep(600)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """The kernel tells nobody when somebody else's process ends, so ask."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """No such process, or only its entry is left for a parent that never asks."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_running(pid: int, name: str) -> bool:
    try:
        return psutil.Process(pid).name() == name
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("leash", LEASHES)
def test_child_ends_with_a_killed_parent(tmp_path: Path, leash: str) -> None:
    """SIGKILL leaves the parent no time to clean up, and still the child ends."""
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log"), leash]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until(lambda: is_running(child, "sleep"))
        parent.kill()
    wait_until(lambda: gone(child))


@pytest.mark.parametrize("leash", LEASHES)
async def test_watchers_end_with_the_child(tmp_path: Path, leash: str) -> None:
    """Nothing of a child's group is left once it was stopped."""
    child = start_child("child", ["sleep", "600"], tmp_path / "log", leash=leash)
    wait_until(lambda: is_running(child.pid, "sleep"))
    group = psutil.Process(child.pid).children(recursive=True)
    await child.stop()
    wait_until(lambda: all(gone(process.pid) for process in group))


async def test_stop_kills_what_ignores_it(tmp_path: Path) -> None:
    """SIGTERM first, SIGKILL after the grace."""
    child = start_child("deaf", [sys.executable, "-c", STUBBORN], tmp_path / "log")
    wait_until(lambda: "deaf" in last_lines(child.log))
    await child.stop(grace=0.05)
    assert child.exit_code == -9


async def test_stop_and_kill_of_an_ended_child_do_nothing(tmp_path: Path) -> None:
    """Cleaning up twice is no error."""
    child = start_child("short", ["true"], tmp_path / "log")
    assert await child.wait() == 0
    await child.stop()
    await child.kill()
    assert child.exit_code == 0


async def test_failed_command_shows_its_log(tmp_path: Path) -> None:
    """The error names the exit code, the log and the log's last line."""
    log = tmp_path / "logs" / "build.log"
    with pytest.raises(Permanent, match=r"(?s)build ended with exit code 7.*build\.log.*no space left"):
        await run_to_end("build", ["sh", "-c", "echo no space left; exit 7"], log)


async def test_missing_command_says_so(tmp_path: Path) -> None:
    """A command that is not there is named, not reported as a Python traceback."""
    with pytest.raises(Permanent, match="cannot start /no/such/tool"):
        await run_to_end("tool", ["/no/such/tool"], tmp_path / "log")


async def test_slow_command_is_ended(tmp_path: Path) -> None:
    """A time-out ends the command and says how long it was given."""
    with pytest.raises(Permanent, match=r"did not end within 0\.05 s"):
        await run_to_end("sleeper", ["sleep", "600"], tmp_path / "log", timeout=0.05)


async def test_never_ready_and_ended_early_are_told_apart(tmp_path: Path) -> None:
    """Waiting for a part ends at once when it ends, and at the time-out when it never says yes."""

    async def no() -> bool:
        return False

    async def waited(child: Child) -> str:
        with pytest.raises(Permanent) as caught:
            await until_ready(child, no, timeout=0.3)
        await child.kill()
        return str(caught.value)

    ended = start_child("etcd", ["sh", "-c", "exit 1"], tmp_path / "ended.log")
    await ended.wait()
    assert "etcd ended with exit code 1" in await waited(ended)
    assert "was not ready after 0.3 s" in await waited(start_child("etcd", ["sleep", "600"], tmp_path / "slow.log"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("", "  (empty)", id="empty"),
        pytest.param("a\nb\nc\n", "  b\n  c", id="last two"),
        pytest.param("x" * 100 + "\nend\n", "  xxxxx\n  end", id="only the end of a long file is read"),
    ],
)
def test_last_lines(tmp_path: Path, text: str, shown: str) -> None:
    """The end of a log, indented, whatever its length."""
    (tmp_path / "log").write_text(text)
    assert last_lines(tmp_path / "log", count=2, most=10) == shown


def test_last_lines_of_no_file(tmp_path: Path) -> None:
    """A log that is not there does not hide the error that points at it."""
    assert "not readable" in last_lines(tmp_path / "none")
