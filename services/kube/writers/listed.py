"""Which items of a list the steps of a FieldsV1 map stand for, all in one pass.

Looking each step up by itself would take the square of the list's length: a Service of 1000 ports, a custom resource
of 20 000 entries. Used by `services/kube/writers/ownership.py`, where the format is described.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from services.kube.bags import token
from services.kube.pointer import is_index

LONGEST = 300  # of a key that is remembered when parsed


def parsed_key(text: str) -> Any:
    """The JSON of a `k:` or `v:` step; None where it is none."""
    return _parsed(text) if len(text) <= LONGEST else _parse(text)


def steps_of(fields: Mapping[str, Any], items: list[Any]) -> dict[int, str]:
    """By index the first step that stands for the item."""
    order = {step: at for at, step in enumerate(fields)}
    found: dict[int, str] = {}
    for index, step in _pairs(fields, items):
        if index not in found or order[step] < order[found[index]]:
            found[index] = step
    return found


def indexes_of(fields: Mapping[str, Any], items: list[Any]) -> dict[str, int]:
    """By step the first item that it stands for; steps of items that are gone are left out."""
    found: dict[str, int] = {}
    for index, step in _pairs(fields, items):
        found.setdefault(step, index)
    return found


def _pairs(fields: Mapping[str, Any], items: list[Any]) -> Iterator[tuple[int, str]]:
    keyed: dict[tuple[str, ...], dict[Any, str]] = {}
    values: dict[Any, str] = {}
    places: dict[int, str] = {}
    for step in fields:
        kind, _, name = step.partition(":")
        wanted = parsed_key(name) if kind in ("k", "v") else None
        if kind == "k" and isinstance(wanted, dict):
            keyed.setdefault(tuple(wanted), {}).setdefault(tuple(map(token, wanted.values())), step)
        elif kind == "v":
            values.setdefault(token(wanted), step)
        elif kind == "i" and is_index(name):
            places.setdefault(int(name), step)
    for index, item in enumerate(items):
        steps = [_keyed(item, names, found) for names, found in keyed.items()]
        steps += [values.get(token(item)) if values else None, places.get(index)]
        yield from ((index, step) for step in steps if step is not None)


def _keyed(item: Any, names: tuple[str, ...], found: Mapping[Any, str]) -> str | None:
    if not isinstance(item, Mapping) or not all(name in item for name in names):
        return None
    return found.get(tuple(token(item[name]) for name in names))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_parsed = lru_cache(maxsize=8192)(_parse)
