"""RFC 6901 JSON pointers, and the ignore rules that are written as pointers.

A rule covers its path and everything below it; a segment `*` stands for any one key or index.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Segments = tuple[str, ...]
Rules = tuple[dict[Any, Any], ...]  # trees by segment, see `rules_of`
END = 0  # no segment, which are all texts


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


def is_index(segment: str) -> bool:
    """True for digits that can be an index of a list; a key may be anything that looks like one."""
    return len(segment) < 10 and segment.isascii() and segment.isdigit()


def resolve(document: Any, segments: Sequence[str], default: Any = None) -> Any:
    """The value at a path, or `default` where the path leads nowhere."""
    for segment in segments:
        if isinstance(document, Mapping) and segment in document:
            document = document[segment]
        elif isinstance(document, list) and is_index(segment) and int(segment) < len(document):
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


def rules_of(patterns: Iterable[Segments]) -> Rules:
    """Patterns as one tree, so that many are looked up at once. `END` marks where one is complete."""
    root: dict[Any, Any] = {}
    for pattern in patterns:
        here = root
        for segment in pattern:
            here = here.setdefault(segment, {})
        here[END] = {}
    return (root,) if root else ()


def below(rules: Rules, segment: str) -> Rules:
    """What is left of the rules one segment further down."""
    return tuple(rule[name] for rule in rules for name in {segment, "*"} if name in rule)


def covers(rules: Rules) -> bool:
    """True where a rule is complete here, so that it covers this place and all below it."""
    return any(END in rule for rule in rules)


def without(value: Any, at: Segments, patterns: Iterable[Segments]) -> Any:
    """A copy of the value found at path `at`, less everything below it that a pattern covers."""
    rules = rules_of(pattern for pattern in patterns if len(pattern) > len(at))
    for segment in at:
        rules = below(rules, segment)
    return _prune(value, rules) if rules else value


def _prune(value: Any, rules: Rules) -> Any:
    if isinstance(value, dict):
        parts = ((name, child, below(rules, name)) for name, child in value.items())
        return {name: _prune(child, inside) if inside else child for name, child, inside in parts if not covers(inside)}
    if isinstance(value, list):
        items = ((child, below(rules, str(index))) for index, child in enumerate(value))
        return [_prune(child, inside) if inside else child for child, inside in items if not covers(inside)]
    return value


def apply_ignore(diffs: list[FieldDiff], ignore: Iterable[str]) -> list[FieldDiff]:
    """The diffs less what the rules cover, also where a rule covers a part of a diff's value."""
    rules = rules_of(parse_ignore(ignore))
    if not rules or not diffs:
        return diffs
    kept = []
    for diff in diffs:
        inside = rules
        if covers(inside) or any(covers(inside := below(inside, segment)) for segment in parse_pointer(diff.path)):
            continue
        if not inside:
            kept.append(diff)
            continue
        desired, live = _prune(diff.desired, inside), _prune(diff.live, inside)
        touched = desired != diff.desired or live != diff.live
        if touched and (desired == live or (desired in ({}, [], None) and live in ({}, [], None))):
            continue
        kept.append(FieldDiff(diff.path, diff.kind, desired, live) if touched else diff)
    return kept
