"""CEL in policies: compile once, evaluate on an event. The one file that knows the library behind it.

The library holds the GIL while it evaluates, so what could run long is refused when a policy is read, see `exprcost`;
and only `event` and the severities are known names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cel

from services.runtime.exprcost import parted, too_costly

ROOT = "event"
CONSTANTS = {"info": 0, "warning": 1, "error": 2, "critical": 3}
"""For `event.severity >= warning`, which compares ranks."""
FUNCTIONS = frozenset(
    """size contains startsWith endsWith matches string int uint double bool bytes timestamp duration type has max min
    getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds
    getMilliseconds""".split()
)
AS_THEY_ARE = frozenset({str, bool, float, type(None)})
COMPREHENSION = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(\s*([A-Za-z_]\w*)\s*,")
USE = re.compile(rf"\b{ROOT}\b")
PART = re.compile(rf"\b{ROOT}\s*\.\s*([A-Za-z_]\w*)\b(?!\s*\()")
PATH = re.compile(rf"\s*{ROOT}\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*")


class ExpressionError(Exception):
    """An expression that cannot be used, or that failed on an event. The message never quotes the event's values."""


class Context:
    """One event, made ready for any number of expressions. Numbers beyond 64 bits become floating point.

    Handing the library a whole event costs many times what evaluating an expression does, so each set of parts that
    some expression reads is handed over by itself, once.
    """

    def __init__(self, event: Mapping[str, Any]) -> None:
        self.event = event
        self.made: dict[tuple[frozenset[str] | None, bool], cel.Context] = {}

    def holding(self, parts: frozenset[str] | None, ranks: bool) -> cel.Context:
        """The event's parts of these names, those of them that it has; the whole event for None. With `ranks` also the
        severities' names."""
        made = self.made.get((parts, ranks))
        if made is None:
            event = self.event if parts is None else {name: self.event[name] for name in parts if name in self.event}
            variables = {ROOT: _plain(event), **CONSTANTS} if ranks else {ROOT: _plain(event)}
            made = self.made[parts, ranks] = cel.Context(variables=variables)
        return made


@dataclass(frozen=True)
class Expression:
    """Made by `compile_expression`. `parts` are the names of the event's parts that it reads; None: perhaps all.
    `ranks`: it names a severity.

    `path` is set where it is nothing but `event.NAME…`, as most templates are: texts are then taken directly.
    """

    source: str
    program: cel.Program
    parts: frozenset[str] | None = None
    path: tuple[str, ...] = ()
    ranks: bool = True

    def evaluate(self, context: Context) -> Any:
        """Its value. Raises ExpressionError: a missing key, a wrong type, a division by zero."""
        if self.path and type(found := _found(context.event, self.path)) is str:
            return found
        try:
            return self.program.execute(context.holding(self.parts, self.ranks))
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
    if words := too_costly(source):
        raise ExpressionError(words)
    try:
        program = cel.compile(source)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ExpressionError(f"no expression: {' '.join(str(error).split())[:200]}") from None
    names = set(program.variables())
    unknown = names - {ROOT, *CONSTANTS, *COMPREHENSION.findall(parted(source).code)}
    if unknown:
        raise ExpressionError(f"unknown name {sorted(unknown)[0]!r}; known are {ROOT}, {', '.join(CONSTANTS)}")
    functions = {name for name in program.functions() if name.isidentifier() and not name.startswith("_")}
    if functions - FUNCTIONS:
        raise ExpressionError(f"unknown function {sorted(functions - FUNCTIONS)[0]!r}")
    found = PATH.fullmatch(source)
    path = tuple(found[1].split(".")) if found else ()
    return Expression(source, program, _parts(source), path, not names.isdisjoint(CONSTANTS))


def _parts(source: str) -> frozenset[str] | None:
    """Which parts of the event a source reads, where every use of it is `event.NAME` and nothing else."""
    code = parted(source).code
    parts = PART.findall(code)
    return frozenset(parts) if len(parts) == len(USE.findall(code)) else None


def _found(event: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What stands at a path, None where it ends before."""
    value: Any = event
    try:
        for name in path:
            value = value[name]
    except (KeyError, TypeError):  # no such key, or nothing that has keys
        return None
    return value


def _plain(value: Any) -> Any:
    """Only what the library can hold: maps with text keys, lists, scalars, times."""
    if type(value) in AS_THEY_ARE:
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else float(value)
    if type(value) is dict or isinstance(value, Mapping):  # the second question costs much
        return {str(name): _plain(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    if isinstance(value, str):
        return str(value)
    return value


def _kind(error: Exception) -> str:
    """What failed, by the error's type and the names in it; a value of the event is never repeated."""
    words = {KeyError: "a key is missing", TypeError: "the types do not fit", OverflowError: "a number is too large"}
    return next((text for kind, text in words.items() if isinstance(error, kind)), "it has no value")
