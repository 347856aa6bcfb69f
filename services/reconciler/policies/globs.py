"""What two lists of globs have in common, as far as it is certain. An empty list fits everything, as in a match."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

WILD = frozenset("*?[")
UNSURE = frozenset("?[")


def covers_all(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Whether whatever fits the narrow list surely fits the wide one."""
    if not wide:
        return True
    return bool(narrow) and all(any(covers(glob, other) for glob in wide) for other in narrow)


def covers(wide: str, narrow: str) -> bool:
    """Whether whatever fits `narrow` surely fits `wide`, whose stars may stand for stars, letters only for letters."""
    if wide == narrow or not WILD.intersection(narrow):
        return wide == narrow or fnmatchcase(narrow, wide)
    return not UNSURE.intersection(wide) and "[" not in narrow and fnmatchcase(narrow, wide)


def may_meet(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether some name may fit both lists; True where it cannot be told."""
    return not one or not other or any(_meet(first, second) for first in one for second in other)


def _meet(one: str, other: str) -> bool:
    if not WILD.intersection(one):
        return fnmatchcase(one, other)
    if not WILD.intersection(other):
        return fnmatchcase(other, one)
    first, second = _ends(one), _ends(other)
    heads = first[0].startswith(second[0]) or second[0].startswith(first[0])
    return heads and (first[1].endswith(second[1]) or second[1].endswith(first[1]))


def _ends(glob: str) -> tuple[str, str]:
    """The letters before the first wildcard and those after the last one."""
    places = [index for index, letter in enumerate(glob) if letter in "*?[]"]
    return glob[: places[0]], glob[places[-1] + 1 :]
