"""Keep the last good value of something that is loaded from files, while somebody is editing them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from services.runtime.errors import SetpointError
from services.runtime.filetree import fingerprint

T = TypeVar("T")


class LastGood(Generic[T]):
    """The value of `load()`, loaded again by `refresh` when a file at or below `paths()` changed.

    The first load raises what `load` raises. Later ones keep the last good value and leave what is wrong in `problem`.
    `paths` may depend on the files themselves (folders that a baseline names), so it is asked anew before each load;
    it must not raise.
    """

    def __init__(self, paths: Callable[[], Iterable[Path]], load: Callable[[], T]) -> None:
        self._paths, self._load = paths, load
        self._watched = tuple(paths())
        self._seen = fingerprint(self._watched)
        self.value: T = load()
        self.problem: SetpointError | None = None

    def refresh(self) -> bool:
        """True when a new good value came. Costs a `stat` a file when nothing changed; not for two threads at once."""
        if fingerprint(self._watched) == self._seen:
            return False
        # Taken before the load: a file written during it differs from this at the next refresh.
        self._watched = tuple(self._paths())
        self._seen = fingerprint(self._watched)
        try:
            self.value = self._load()
        except SetpointError as error:
            self.problem = error
            return False
        self.problem = None
        return True
