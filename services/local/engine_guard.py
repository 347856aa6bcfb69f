"""Which queries the embedded engine's read side runs: one SELECT, SHOW, DESCRIBE, EXISTS or EXPLAIN over its tables.

The engine's own parser judges, not a pattern over the user's text: the query is parsed and written anew by
`formatQuerySingleLine`, without comments and with every literal in its plain form; what is checked is what is run. The
connection is `readonly = 1` besides, which refuses writes and changed settings, but lets through what this refuses:
`INTO OUTFILE`, the `file` function, SYSTEM and KILL.
"""

import re
from dataclasses import dataclass

STATEMENTS = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "VALUES"}
SAFE_TABLE_FUNCTIONS = {
    "format", "generaterandom", "generateseries", "generate_series", "merge", "null", "numbers", "numbers_mt", "primes",
    "values", "view", "viewifpermitted", "zeros", "zeros_mt",
}  # fmt: skip
REFUSED_FUNCTIONS = {"file", "sleep", "sleepeachrow", "catboostevaluate"}
REFUSED_WORDS = (("INTO", "OUTFILE"), ("PARALLEL", "WITH"))
TOKEN = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'      # a literal
    |`(?:[^`\\]|\\.|``)*`         # a quoted name
    |"(?:[^"\\]|\\.|"")*"
    |[A-Za-z_][A-Za-z0-9_]*       # a word
    |\S""",
    re.VERBOSE | re.DOTALL,
)
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
CODE = re.compile(r"Code: (\d+)\.")
READONLY, SYNTAX_ERROR = 164, 62
STATUS = {400: {36, 41, 43, 46, 47, 62, 73, 386, 456, 457}, 403: {164}, 404: {60, 81}, 503: {202}}


@dataclass(frozen=True)
class Refusal(Exception):
    """A query that is not run, with ClickHouse's own error code."""

    code: int
    name: str
    message: str

    def __str__(self) -> str:
        return f"Code: {self.code}. DB::Exception: {self.message}. ({self.name})"


def check(canonical: str, table_functions: frozenset[str]) -> None:
    """Raise Refusal for a query, in the parser's own form, that is more than reading. `table_functions` are all that
    the engine has, in lower case."""
    tokens = TOKEN.findall(canonical)
    first = next((token for token in tokens if token != "("), "").upper()
    if first not in STATEMENTS:
        raise _refuse(f"{first or 'an empty query'} is not served here, only {', '.join(sorted(STATEMENTS))}")
    refused = (table_functions - SAFE_TABLE_FUNCTIONS) | REFUSED_FUNCTIONS
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if (token.upper(), following.upper()) in REFUSED_WORDS:
            raise _refuse(f"{token} {following} is not served here")
        if following == "(" and name_of(token) in refused:
            raise _refuse(f"the function {token} is not served here")


def name_of(token: str) -> str:
    """A word or quoted name in lower case, without its quotes."""
    return token[1:-1].lower() if token[:1] in '`"' else token.lower()


def escaped(text: str) -> str:
    """A text as a query parameter's value is written (TabSeparated's escapes)."""
    return text.translate(ESCAPES)


def code_of(message: str) -> int:
    """The first error code in a message of the engine, 0 when there is none."""
    match = CODE.search(message)
    return int(match[1]) if match else 0


def status_of(code: int) -> int:
    """The HTTP status that a server answers for an error code."""
    return next((status for status, codes in STATUS.items() if code in codes), 500)


def _refuse(message: str) -> Refusal:
    return Refusal(READONLY, "READONLY", f"{message}: this address reads the embedded engine")
