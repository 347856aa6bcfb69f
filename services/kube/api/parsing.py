"""Read the API server's JSON, also where somebody nested an object so deeply that no parser takes it.

An object may be up to 1.5 MB of brackets. orjson reads 1024 levels and writes 254, and comparisons recurse: one such
object must not hide all others of its kind. What lies deeper than any manifest goes is cut off and read as empty, so
that managedFields still say whose it is.
"""

import re
from typing import Any

import orjson

DEEPEST = 190  # levels of one object: fewer than what comparisons follow and writers of JSON take
DEEPEST_TEXT = 512  # levels of an answer, which may hold a list of objects
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
OPENING = (b"{", b"[")
CLOSING = (b"}", b"]")


def parse(raw: bytes) -> Any:
    """The value. Raises orjson.JSONDecodeError (a ValueError) where it is no JSON."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "depth limit" not in str(error):
            raise
    return orjson.loads(_cut_text(raw))


def _cut_text(raw: bytes) -> bytes:
    """The same text with nothing below `DEEPEST_TEXT` levels. Only brackets and strings are looked at."""
    kept: list[bytes] = []
    depth, at = 0, 0
    for token in TOKEN.finditer(raw):
        text = token.group()
        if text in OPENING:
            depth += 1
            if depth == DEEPEST_TEXT + 1:
                kept.append(raw[at : token.end()])
        elif text in CLOSING:
            if depth == DEEPEST_TEXT + 1:
                at = token.start()
            depth -= 1
    return b"".join([*kept, raw[at:]])


def shallow(value: Any, levels: int = DEEPEST) -> Any:
    """`value` itself, or where it is nested deeper a copy that ends in empty maps and lists at `levels`."""
    return _cut(value, levels - 1) if _is_deeper(value, levels) else value


def _is_deeper(value: Any, levels: int) -> bool:
    if not levels:
        return True
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if (type(child) is dict or type(child) is list) and _is_deeper(child, levels - 1):
            return True
    return False


def _cut(value: Any, levels: int) -> Any:
    if not isinstance(value, dict | list):
        return value
    if isinstance(value, dict):
        return {name: _cut(child, levels - 1) for name, child in value.items()} if levels else {}
    return [_cut(child, levels - 1) for child in value] if levels else []
