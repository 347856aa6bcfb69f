"""RFC 6901 JSON pointers, and the ignore rules that are written as pointers.

A rule covers its path and everything below it; a segment `*` stands for any one key or index.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Segments = tuple[str, ...]


class FieldDiff(NamedTuple):
    """One field that differs. `kind` is "changed", "removed" (declared, absent in live) or "added" (only in live)."""

    path: str
    kind: str
    desired: Any
    live: Any


def escape(segment: str) -> str:
    """One key as it stands in a pointer: `~` → `~0`, `/` → `~1`."""
    return segment.replace("~", "~0").replace("/", "~1") if "~" in segment or "/" in segment else segment


def to_pointer(segments: Iterable[str | int]) -> str:
    """Keys and indexes → pointer; no segment at all is the whole document, ""."""
    return "".join("/" + escape(str(segment)) for segment in segments)


def parse_pointer(pointer: str) -> Segments:
    """Pointer → its unescaped segments. Raises ValueError where it does not start with a slash."""
    if not pointer:
        return ()
    if pointer[0] != "/":
        raise ValueError(f"a JSON pointer starts with a slash: {pointer!r}")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def resolve(document: Any, segments: Sequence[str], default: Any = None) -> Any:
    """The value at a path, or `default` where the path leads nowhere."""
    for segment in segments:
        if isinstance(document, Mapping) and segment in document:
            document = document[segment]
        elif isinstance(document, list) and segment.isascii() and segment.isdigit() and int(segment) < len(document):
            document = document[int(segment)]
        else:
            return default
    return document


def matches(pattern: Segments, segments: Segments) -> bool:
    """True when `pattern` covers the path: its segments are a prefix, `*` standing for any one."""
    return len(pattern) <= len(segments) and all(
        want in ("*", have) for want, have in zip(pattern, segments, strict=False)
    )


def parse_ignore(ignore: Iterable[str]) -> tuple[Segments, ...]:
    """Ignore rules as segments."""
    return tuple(parse_pointer(pattern) for pattern in ignore)


def without(value: Any, at: Segments, patterns: Iterable[Segments]) -> Any:
    """A copy of the value found at path `at`, less everything below it that a pattern covers."""
    deeper = [pattern for pattern in patterns if len(pattern) > len(at) and matches(pattern[: len(at)], at)]
    for pattern in deeper:
        value = _prune(value, pattern[len(at) :])
    return value


def _prune(value: Any, pattern: Segments) -> Any:
    head, rest = pattern[0], pattern[1:]
    if isinstance(value, dict):
        kept = {}
        for name, child in value.items():
            if head not in ("*", name):
                kept[name] = child
            elif rest:
                kept[name] = _prune(child, rest)
        return kept
    if isinstance(value, list):
        hits = [head in ("*", str(index)) for index in range(len(value))]
        pruned = ((_prune(child, rest) if hit and rest else child, hit) for child, hit in zip(value, hits, strict=True))
        return [child for child, hit in pruned if rest or not hit]
    return value


def apply_ignore(diffs: list[FieldDiff], ignore: Iterable[str]) -> list[FieldDiff]:
    """The diffs less what the rules cover, also where a rule covers a part of a diff's value."""
    patterns = parse_ignore(ignore)
    if not patterns or not diffs:
        return diffs
    kept = []
    for diff in diffs:
        at = parse_pointer(diff.path)
        if any(matches(pattern, at) for pattern in patterns):
            continue
        desired, live = without(diff.desired, at, patterns), without(diff.live, at, patterns)
        touched = desired != diff.desired or live != diff.live
        if touched and (desired == live or (desired in ({}, [], None) and live in ({}, [], None))):
            continue
        kept.append(FieldDiff(diff.path, diff.kind, desired, live) if touched else diff)
    return kept
