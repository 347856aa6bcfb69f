"""An entry of the cache is whole or absent, built once, and named by what it is made from."""

import asyncio
import sys
from pathlib import Path

import pytest

from services.local.cache import MARKER, complete, fingerprint, obtain


class Builder:
    """Counts its builds; `fail` makes it fail half-way, `gate` makes it wait half-way."""

    def __init__(self, fail: bool = False, gate: asyncio.Event | None = None) -> None:
        self.builds = 0
        self.begun = asyncio.Event()
        self._fail = fail
        self._gate = gate

    async def __call__(self, folder: Path) -> None:
        self.builds += 1
        (folder / "half").write_text("half")
        self.begun.set()
        if self._gate:
            await self._gate.wait()
        if self._fail:
            raise RuntimeError("the compiler fell over")
        (folder / "sub").mkdir()
        (folder / "sub" / "whole").write_text("whole")


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


async def test_second_request_finds_the_entry(tmp_path: Path) -> None:
    """What was built once is not built again."""
    build = Builder()
    first = await obtain(tmp_path, "tool", "k", build)
    second = await obtain(tmp_path, "tool", "k", build)
    assert first == second == tmp_path / "tool-k"
    assert build.builds == 1


async def test_failed_build_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """A build that fails half-way leaves no entry and no half-built folder, and the next one starts anew."""
    with pytest.raises(RuntimeError):
        await obtain(tmp_path, "tool", "k", Builder(fail=True))
    assert names(tmp_path) == ["locks"]
    assert complete(await obtain(tmp_path, "tool", "k", Builder()))


async def test_cancelled_build_leaves_nothing_that_counts(tmp_path: Path) -> None:
    """Ctrl-C during a build is the same as a failure."""
    build = Builder(gate=asyncio.Event())
    task = asyncio.create_task(obtain(tmp_path, "tool", "k", build))
    await build.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert names(tmp_path) == ["locks"]


@pytest.mark.parametrize("name", ["tool", "other"], ids=["own name", "another name"])
async def test_killed_builders_folder_is_cleared(tmp_path: Path, name: str) -> None:
    """What a builder that was killed left behind neither counts nor stays."""
    (tmp_path / f".building-{name}-k-0a1b").mkdir()
    await obtain(tmp_path, "tool", "k", Builder())
    assert names(tmp_path) == ["locks", "tool-k"]


async def test_another_builders_folder_is_left_alone(tmp_path: Path) -> None:
    """Clearing up never takes the folder from under a build that is going on."""
    gate = asyncio.Event()
    slow = Builder(gate=gate)
    task = asyncio.create_task(obtain(tmp_path, "slow", "k", slow))
    await slow.begun.wait()
    await obtain(tmp_path, "tool", "k", Builder())
    gate.set()
    assert complete(await task)


@pytest.mark.parametrize("damage", ["no marker", "short file", "missing file"])
async def test_damaged_entry_is_built_again(tmp_path: Path, damage: str) -> None:
    """An entry counts only with its marker and with every file at the size it had."""
    entry = await obtain(tmp_path, "tool", "k", Builder())
    match damage:
        case "no marker":
            (entry / MARKER).unlink()
        case "short file":
            (entry / "sub" / "whole").write_text("wh")
        case _:
            (entry / "half").unlink()
    assert not complete(entry)
    build = Builder()
    assert complete(await obtain(tmp_path, "tool", "k", build))
    assert build.builds == 1


async def test_two_builders_make_one_build(tmp_path: Path) -> None:
    """The second waits, says so once, and takes what the first made."""
    gate = asyncio.Event()
    first, second, waits = Builder(gate=gate), Builder(), asyncio.Event()
    building = asyncio.create_task(obtain(tmp_path, "tool", "k", first))
    await first.begun.wait()
    waiting = asyncio.create_task(obtain(tmp_path, "tool", "k", second, waits.set))
    await waits.wait()
    gate.set()
    assert await building == await waiting
    assert (first.builds, second.builds) == (1, 0)


BUILD_FOREVER = """
import asyncio, sys
from pathlib import Path
from services.local.cache import obtain

async def build(folder):
    (folder / "half").write_text("half")
    print("building", flush=True)
    await asyncio.sleep(600)

asyncio.run(obtain(Path(sys.argv[1]), "tool", "k", build))
"""


async def test_lock_ends_with_a_killed_builder(tmp_path: Path) -> None:
    """A builder that is killed with SIGKILL neither blocks the next one nor leaves an entry."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BUILD_FOREVER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    assert not complete(tmp_path / "tool-k")
    process.kill()
    await process.wait()
    build = Builder()
    assert complete(await obtain(tmp_path, "tool", "k", build))
    assert build.builds == 1
    assert names(tmp_path) == ["locks", "tool-k"]


def test_fingerprint_follows_content(tmp_path: Path) -> None:
    """Another go.sum, another flag or another split of the same text is another key; the same is the same."""
    file = tmp_path / "go.sum"
    file.write_text("a")
    before = fingerprint(["flag", file])
    assert before == fingerprint(["flag", file])
    file.write_text("b")
    keys = {before, fingerprint(["flag", file]), fingerprint(["fla", "g", file]), fingerprint(["flag2", file])}
    assert len(keys) == 4
