"""Keep an event small enough for the broker and for whoever reads it, however large the object is.

A value that is too large or nested too deeply is replaced by its size and a hash, so that two of them can still be told
apart; fields beyond what an event holds are counted.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson

from schemas.events import FieldChange
from services.kube.api.parsing import shallow

VALUE_BYTES = 16 * 1024
EVENT_BYTES = 256 * 1024  # of all fields together; brokers take records of 1 MB by default
LEVELS = 100  # of a value; readers of JSON stop at some 200


def bounded(fields: Iterable[FieldChange]) -> tuple[tuple[FieldChange, ...], int]:
    """The fields as an event can carry them, and how many it cannot."""
    kept: list[FieldChange] = []
    left_out, room = 0, EVENT_BYTES
    for change in fields:
        desired, of_desired = _value(change.desired)
        live, of_live = _value(change.live)
        room -= of_desired + of_live + len(change.path) + 200
        if room < 0 and kept:
            left_out += 1
            continue
        same = desired is change.desired and live is change.live
        kept.append(change if same else change.model_copy(update={"desired": desired, "live": live}))
    return tuple(kept), left_out


def _value(value: Any) -> tuple[Any, int]:
    """A value that an event can carry, and its size."""
    if value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < 1024):
        return value, 4 * len(value) if isinstance(value, str) else 8
    text = orjson.dumps(shallow(value, LEVELS))
    deep = isinstance(value, dict | list) and shallow(value, LEVELS) is not value
    if len(text) <= VALUE_BYTES and not deep:
        return value, len(text)
    digest = hashlib.blake2b(text, digest_size=8).hexdigest()
    words = f"({'nested too deeply' if deep else f'{len(text)} bytes'}; hash {digest})"
    return words, len(words)
