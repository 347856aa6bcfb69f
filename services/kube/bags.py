"""Which values of a list without order are not in another one, without comparing each with each.

Called by `comparison/diff.py`. Values that are written alike are found by look-up; only the rest is compared one by
one, by what Kubernetes takes for the same, and only where that is not too much work: a list of 100 000 values that all
are another's is told as such.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import orjson

MOST_WORK = 250_000  # comparisons, some µs each

Same = Callable[[Any, Any], bool]


def token(value: Any) -> Any:
    """A hashable stand-in: equal for values that are written alike. Numbers by value, `true` apart from 1."""
    if isinstance(value, bool):
        return bool, value
    if value is None or isinstance(value, str | int | float):
        return value
    try:
        return bytes, orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, ValueError):  # too deep, or no text: compared one by one
        return id(value)


def not_among(wanted: list[Any], found: list[Any], same: Same) -> list[int]:
    """The indexes in `wanted` of the values that `found` does not hold."""
    there = {token(value) for value in found}
    rest = [index for index, value in enumerate(wanted) if token(value) not in there]
    if len(rest) * len(found) > MOST_WORK:
        return rest
    return [index for index in rest if not any(same(wanted[index], value) for value in found)]


def same_bag(wanted: list[Any], found: list[Any], same: Same) -> bool:
    """Equality in any order."""
    if len(wanted) != len(found):
        return False
    places: dict[Any, int] = defaultdict(int)
    for value in found:
        places[token(value)] += 1
    rest = []
    for value in wanted:
        if places[token(value)]:
            places[token(value)] -= 1
        else:
            rest.append(value)
    others = []
    for value in reversed(found):
        if places[token(value)]:
            places[token(value)] -= 1
            others.append(value)
    return len(rest) ** 2 <= MOST_WORK and _pairs(rest, others, same)


def _pairs(wanted: list[Any], found: list[Any], same: Same) -> bool:
    rest = list(found)
    for value in wanted:
        at = next((index for index, other in enumerate(rest) if same(value, other)), None)
        if at is None:
            return False
        del rest[at]
    return not rest
