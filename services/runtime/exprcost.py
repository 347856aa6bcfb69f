"""What an expression can cost at most, told from its text before it is ever evaluated: the bombs are refused here.

Nothing stops an evaluation that has begun, so each way to make a small text run long or grow large has a bound of its
own. With all of them, and what an event holds at most (64 labels, 64 values, 1 KiB each), an expression takes less than
a second on its worst event. Texts are told from code as CEL's grammar does it, since a bomb would hide there.
"""

import re
from collections.abc import Callable
from math import prod
from typing import NamedTuple

MOST_CHARACTERS = 2048
MOST_NESTING = 40
MOST_DEPTH = 2
MOST_COMPREHENSIONS, MOST_MAPS = 4, 1
MOST_COMMAS, MOST_SUMS = 100, 16
MOST_MATCHES, MOST_CLASSES, MOST_CLASSES_EACH = 8, 100, 8
"""Regular expressions are linear on what they look at, but each class such as `\\w` takes a millisecond to make."""
TOKEN = re.compile(
    r"""//[^\n]*|[rR]("{3}.*?"{3}|'{3}.*?'{3}|"[^"\n\r]*"|'[^'\n\r]*')"""
    r"""|"{3}(?:[^\\]|\\.)*?"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*\'""",
    re.DOTALL,
)
CALL = re.compile(r"\. ?(map|filter|all|exists|exists_one) ?\($")
COMPREHENSION = re.compile(r"\. ?(map|filter|all|exists|exists_one) ?\(")
MATCHES, LITERAL_MATCHES = re.compile(r"\bmatches\b"), re.compile(r'\. ?matches ?\( ?"" ?\)')
REPEATED = re.compile(r"\{(?:\d*,)?(\d+),?\}")
CLASS = re.compile(r"\\+[wWdDsSpPbB]|\.|\[")


class Parted(NamedTuple):
    """An expression as code, each text in it empty and each run of blanks one, and the texts by themselves."""

    code: str
    texts: tuple[str, ...]


def parted(source: str) -> Parted:
    """Comments are blanks."""
    texts: list[str] = []

    def put(found: re.Match[str]) -> str:
        if found[0].startswith("//"):
            return " "
        texts.append(found[0])
        return '""'

    return Parted(re.sub(r"\s+", " ", TOKEN.sub(put, source)), tuple(texts))


def too_costly(source: str) -> str | None:
    """The bound that an expression passes, in words."""
    if len(source) > MOST_CHARACTERS:
        return f"an expression has at most {MOST_CHARACTERS} characters, this one has {len(source)}"
    found = parted(source)
    return next((words for bound in BOUNDS if (words := bound(found))), None)


def _nested(found: Parted) -> str:
    deepest = depth = 0
    for letter in found.code:
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    return f"brackets are nested more than {MOST_NESTING} deep" if deepest > MOST_NESTING else ""


def _deep(found: Parted) -> str:
    over = depth_of(found.code) > MOST_DEPTH
    return f"comprehensions are nested more than {MOST_DEPTH} deep" if over else ""


def _many(found: Parted) -> str:
    """A chain of `map` doubles what it is given at each link."""
    names = COMPREHENSION.findall(found.code)
    if len(names) > MOST_COMPREHENSIONS:
        return f"there are more than {MOST_COMPREHENSIONS} comprehensions"
    return f"there is more than {MOST_MAPS} 'map'" if names.count("map") > MOST_MAPS else ""


def _large(found: Parted) -> str:
    """Lists that are written out, and sums that are taken again and again."""
    if not COMPREHENSION.search(found.code):
        return ""
    if found.code.count(",") > MOST_COMMAS:
        return f"there are more than {MOST_COMMAS} commas beside a comprehension"
    return f"there are more than {MOST_SUMS} sums beside a comprehension" if found.code.count("+") > MOST_SUMS else ""


def _patterns(found: Parted) -> str:
    """A pattern that came with the event would be its sender's."""
    uses = [match.start() for match in LITERAL_MATCHES.finditer(found.code)]
    if len(uses) != len(MATCHES.findall(found.code)):
        return "'matches' takes a pattern that is written out, as in event.name.matches('^Kube')"
    deepest = max((depth_of(found.code[:use], still_open=True) for use in uses), default=0)
    if len(uses) > MOST_MATCHES or deepest >= MOST_DEPTH:
        return f"'matches' stands at most {MOST_MATCHES} times, and in no nested comprehension"
    most = MOST_CLASSES_EACH if deepest else MOST_CLASSES
    classes = sum(_classes(text) for text in found.texts) if uses else 0
    return f"patterns have more than {most} classes, repetitions counted" if classes > most else ""


def _classes(pattern: str) -> int:
    """Repetitions are taken for nested, whichever way they stand; those of what is no class count as one."""
    repeated = prod(max(1, int(times[:9])) for times in REPEATED.findall(pattern))
    return (len(CLASS.findall(pattern)) or (repeated > MOST_CLASSES)) * repeated


def depth_of(code: str, *, still_open: bool = False) -> int:
    """How deep comprehensions are nested: every bracket that is open and began one counts. `still_open`: at the end."""
    brackets: list[bool] = []
    deepest = 0
    for place, letter in enumerate(code):
        if letter in "([{":
            brackets.append(CALL.search(code[max(0, place - 20) : place + 1]) is not None)
            deepest = max(deepest, sum(brackets))
        elif letter in ")]}" and brackets:
            brackets.pop()
    return sum(brackets) if still_open else deepest


BOUNDS: tuple[Callable[[Parted], str], ...] = (_nested, _deep, _many, _large, _patterns)
