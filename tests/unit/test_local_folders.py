"""A run's folder goes at a good end, stays after a failure, and a killed run's is cleared by the next."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.local.folders import KEPT_FOR_S, cache_root, clear_abandoned, run_folder

KILLED_RUN = """
import sys, time
from pathlib import Path
from services.local.folders import run_folder
with run_folder(Path(sys.argv[1])) as folder:
    print(folder.path, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("named", "root"),
    [
        pytest.param("/somewhere", Path("/somewhere/setpoint"), id="absolute"),
        pytest.param("relative", Path.home() / ".cache" / "setpoint", id="relative is ignored"),
        pytest.param("", Path.home() / ".cache" / "setpoint", id="not set"),
    ],
)
def test_cache_root(named: str, root: Path) -> None:
    """$XDG_CACHE_HOME if it is absolute, else ~/.cache."""
    assert cache_root({"XDG_CACHE_HOME": named}) == root


def test_good_end_removes_the_folder(tmp_path: Path) -> None:
    """Nothing is left of a run that went well, and only its owner could read it."""
    with run_folder(tmp_path) as folder:
        assert folder.logs.is_dir()
        assert folder.path.stat().st_mode & 0o077 == 0
    assert not folder.path.exists()


def test_interrupt_removes_the_folder(tmp_path: Path) -> None:
    """Ctrl-C is not a failure to look into."""
    with pytest.raises(asyncio.CancelledError), run_folder(tmp_path) as folder:
        raise asyncio.CancelledError
    assert not folder.path.exists()


def test_failure_keeps_the_folder_and_points_at_it(tmp_path: Path) -> None:
    """The error says where the logs are, and the folder says why it is there."""
    with pytest.raises(ValueError) as caught, run_folder(tmp_path) as folder:
        raise ValueError("broken")
    assert str(folder.logs) in caught.value.__notes__[0]
    assert "broken" in (folder.path / "kept").read_text()


def test_killed_runs_folder_is_cleared_by_the_next_run(tmp_path: Path) -> None:
    """While it runs it is left alone; once it was killed it goes."""
    command = [sys.executable, "-c", KILLED_RUN, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        path = Path(other.stdout.readline().strip())
        with run_folder(tmp_path):
            assert path.exists()
        other.kill()
    with run_folder(tmp_path):
        assert not path.exists()


@pytest.mark.parametrize(("age", "stays"), [(KEPT_FOR_S - 60, True), (KEPT_FOR_S + 60, False)], ids=["young", "old"])
def test_kept_folder_goes_after_its_time(tmp_path: Path, age: float, stays: bool) -> None:
    """A failed run's folder is kept for a week."""
    with run_folder(tmp_path) as folder:
        folder.keep("tests failed")
    clear_abandoned(tmp_path / "runs", time.time() + age)
    assert folder.path.exists() == stays
