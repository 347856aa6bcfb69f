"""The last good value survives whatever people do to their files."""

import os
from pathlib import Path

import pytest

from services.runtime.errors import Permanent
from services.runtime.lastgood import LastGood


class Numbers:
    """Loads a whole number from `main`, plus those of the files it names; counts its loads."""

    def __init__(self, main: Path) -> None:
        self.main, self.loads = main, 0

    def paths(self) -> list[Path]:
        return [self.main, *(self.main.parent / name for name in self.main.read_text().split()[1:])]

    def load(self) -> int:
        self.loads += 1
        try:
            return sum(int(path.read_text().split()[0]) for path in self.paths())
        except (ValueError, OSError, IndexError) as error:
            raise Permanent("no number", "write one") from error


@pytest.fixture
def numbers(tmp_path: Path) -> Numbers:
    (tmp_path / "main").write_text("1")
    return Numbers(tmp_path / "main")


def test_the_first_load_raises(numbers: Numbers) -> None:
    """There is no last good value at the start: a service must not run on nothing."""
    numbers.main.write_text("x")
    with pytest.raises(Permanent):
        LastGood(numbers.paths, numbers.load)


def test_nothing_changed_loads_nothing(numbers: Numbers) -> None:
    """Refreshing is cheap enough for every few seconds."""
    held = LastGood(numbers.paths, numbers.load)
    assert [held.refresh() for _ in range(3)] == [False] * 3
    assert (held.value, numbers.loads) == (1, 1)


def test_a_new_value_comes_once(numbers: Numbers) -> None:
    """True is said for the refresh that brought it."""
    held = LastGood(numbers.paths, numbers.load)
    numbers.main.write_text("20")
    assert [held.refresh(), held.refresh()] == [True, False]
    assert held.value == 20


def test_a_broken_file_keeps_the_last_good_value(numbers: Numbers) -> None:
    """The problem is there until the file is right again; a broken file is not read over and over."""
    held = LastGood(numbers.paths, numbers.load)
    numbers.main.write_text("oops")
    assert [held.refresh(), held.refresh()] == [False, False]
    assert (held.value, str(held.problem), numbers.loads) == (1, "no number. write one", 2)
    numbers.main.write_text("7")
    assert held.refresh()
    assert (held.value, held.problem) == (7, None)


def test_files_that_a_file_names_are_watched_too(numbers: Numbers, tmp_path: Path) -> None:
    """Also where they were named by a change that did not load: repairing the named file is enough."""
    held = LastGood(numbers.paths, numbers.load)
    (tmp_path / "other").write_text("?")
    numbers.main.write_text("1 other")
    assert not held.refresh()
    (tmp_path / "other").write_text("5")
    assert held.refresh()
    assert held.value == 6


def test_a_file_that_changes_during_a_load_is_loaded_again(numbers: Numbers) -> None:
    """No edit is missed, however it falls."""
    held = LastGood(numbers.paths, lambda: _edit_after(numbers))
    assert held.value == 1
    assert held.refresh()
    assert held.value == 100


def test_same_size_and_time_but_another_file_is_a_change(numbers: Numbers, tmp_path: Path) -> None:
    """Tools that restore times, and links that are swapped, are seen by the inode."""
    held = LastGood(numbers.paths, numbers.load)
    times = numbers.main.stat()
    (tmp_path / "new").write_text("2")
    os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "new").replace(numbers.main)
    assert held.refresh()
    assert held.value == 2


def _edit_after(numbers: Numbers) -> int:
    value = numbers.load()
    numbers.main.write_text("100")
    return value
