"""Cut a text of JSON documents into single ones, each so that a YAML reader reads it as a JSON reader would.

Kubernetes takes several JSON documents one after the other in one file, as `kubectl get -o json` calls leave them; to
YAML they are an error. And JSON allows in strings what YAML does not: pairs of surrogate escapes, and raw control
characters beyond ASCII.
"""

import json
import re
from typing import NamedTuple

OPENERS = ("{", "[")
SPACE = re.compile(r"[ \t\r\n]*")
PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
LONE = re.compile(r"(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
UNREADABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # not allowed in YAML, or a line break to it


class Part(NamedTuple):
    """One document; `line` and `column`, from 0, are where it starts in the whole text."""

    text: str
    line: int
    column: int


def looks_like_json(text: str) -> bool:
    """True where the first character that counts opens a map or a list; it may be YAML in flow style all the same."""
    start = SPACE.match(text)
    return start is not None and text.startswith(OPENERS, start.end())


def split(text: str) -> list[Part]:
    """The documents of a text, in order. What is no JSON, and all that follows it, is one part for YAML to judge."""
    parts: list[Part] = []
    decoder = json.JSONDecoder()
    line = column = at = 0
    while True:
        start = _end_of_space(text, at)
        line, column = _moved(line, column, text, at, start)
        if start == len(text):
            return parts
        if not text.startswith(OPENERS, start):  # YAML goes on after the JSON
            return [*parts, Part(text[start:], line, column)]
        end = _end_of_value(decoder, text, start)
        if end is None:
            return [*parts, Part(joined(text[start:]), line, column)]
        parts.append(Part(readable(text[start:end]), line, column))
        line, column = _moved(line, column, text, start, end)
        at = end


def readable(text: str) -> str:
    """The same JSON without what YAML has no word for. A lone surrogate becomes U+FFFD, as for Go."""
    return UNREADABLE.sub(lambda found: f"\\u{ord(found[0]):04X}", LONE.sub(r"\1\\uFFFD", joined(text)))


def joined(text: str) -> str:
    """Pairs of surrogate escapes as the one escape that YAML has for them."""
    return PAIR.sub(_join_surrogates, text) if "\\u" in text else text


def _end_of_value(decoder: json.JSONDecoder, text: str, start: int) -> int | None:
    try:
        return decoder.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _end_of_space(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _moved(line: int, column: int, text: str, start: int, end: int) -> tuple[int, int]:
    breaks = text.count("\n", start, end)
    return (line + breaks, end - text.rfind("\n", start, end) - 1) if breaks else (line, column + end - start)


def _join_surrogates(found: re.Match[str]) -> str:
    """JSON writes characters beyond U+FFFF as two escapes; YAML has one."""
    high, low = int(found[2], 16), int(found[3], 16)
    return f"{found[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"
