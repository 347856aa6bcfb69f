"""CEL in policies: compile once, evaluate on an event. The one file that knows the library behind it.

The library holds the GIL while it evaluates, so what could run long is refused when a policy is read: an expression is
at most 2 KiB of text, comprehensions are nested at most two deep, and only `event` and the severities are known names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cel

MOST_CHARACTERS = 2048
MOST_DEPTH = 2
MOST_NESTING = 40
ROOT = "event"
CONSTANTS = {"info": 0, "warning": 1, "error": 2, "critical": 3}
"""For `event.severity >= warning`, which compares ranks."""
FUNCTIONS = frozenset(
    """size contains startsWith endsWith matches string int uint double bool bytes timestamp duration type has max min
    getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds
    getMilliseconds""".split()
)
COMPREHENSION = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(\s*([A-Za-z_]\w*)\s*,")
TEXT = re.compile(r"""r?"(?:[^"\\\n]|\\.)*"|r?'(?:[^'\\\n]|\\.)*'""")
ANY_CALL = re.compile(r"\.\s*(map|filter|all|exists|exists_one)\s*\($")


class ExpressionError(Exception):
    """An expression that cannot be used, or that failed on an event. The message never quotes the event's values."""


class Context:
    """One event, made ready for any number of expressions. Numbers beyond 64 bits become floating point."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.inner = cel.Context(variables={ROOT: _plain(event), **CONSTANTS})


@dataclass(frozen=True)
class Expression:
    """Made by `compile_expression`."""

    source: str
    program: cel.Program

    def evaluate(self, context: Context) -> Any:
        """Its value. Raises ExpressionError: a missing key, a wrong type, a division by zero."""
        try:
            return self.program.execute(context.inner)
        except (ValueError, KeyError, TypeError, RuntimeError, ArithmeticError) as error:
            raise ExpressionError(f"'{self.source}' failed: {_kind(error)}") from None

    def truth(self, context: Context) -> bool:
        """The same, of a condition. Raises ExpressionError also where it is neither true nor false."""
        value = self.evaluate(context)
        if not isinstance(value, bool):
            raise ExpressionError(f"'{self.source}' is neither true nor false")
        return value


@lru_cache(maxsize=4096)
def compile_expression(source: str) -> Expression:
    """Raises ExpressionError with what is wrong."""
    if len(source) > MOST_CHARACTERS:
        raise ExpressionError(f"an expression has at most {MOST_CHARACTERS} characters, this one has {len(source)}")
    bare = TEXT.sub('""', source)
    if _nesting(bare) > MOST_NESTING:
        raise ExpressionError(f"brackets are nested more than {MOST_NESTING} deep")
    if _depth(bare) > MOST_DEPTH:
        raise ExpressionError(f"comprehensions are nested more than {MOST_DEPTH} deep")
    try:
        program = cel.compile(source)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ExpressionError(f"no expression: {' '.join(str(error).split())[:200]}") from None
    unknown = set(program.variables()) - {ROOT, *CONSTANTS, *COMPREHENSION.findall(bare)}
    if unknown:
        raise ExpressionError(f"unknown name {sorted(unknown)[0]!r}; known are {ROOT}, {', '.join(CONSTANTS)}")
    functions = {name for name in program.functions() if name.isidentifier() and not name.startswith("_")}
    if functions - FUNCTIONS:
        raise ExpressionError(f"unknown function {sorted(functions - FUNCTIONS)[0]!r}")
    return Expression(source, program)


def _nesting(text: str) -> int:
    deepest = depth = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _depth(text: str) -> int:
    """How deep comprehensions are nested: every bracket that is still open and began one counts."""
    open_brackets: list[bool] = []
    deepest = 0
    for place, letter in enumerate(text):
        if letter in "([{":
            open_brackets.append(ANY_CALL.search(text[max(0, place - 40) : place + 1]) is not None)
            deepest = max(deepest, sum(open_brackets))
        elif letter in ")]}" and open_brackets:
            open_brackets.pop()
    return deepest


def _plain(value: Any) -> Any:
    """Only what the library can hold: maps with text keys, lists, scalars, times."""
    if isinstance(value, Mapping):
        return {str(name): _plain(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def _kind(error: Exception) -> str:
    """What failed, by the error's type and the names in it; a value of the event is never repeated."""
    words = {KeyError: "a key is missing", TypeError: "the types do not fit", OverflowError: "a number is too large"}
    return next((text for kind, text in words.items() if isinstance(error, kind)), "it has no value")
