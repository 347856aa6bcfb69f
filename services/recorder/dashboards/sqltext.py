"""SQL over several lines, as people read it in Grafana's editor: one clause a line, sub-queries indented."""

import re

CLAUSES = (
    "UNION ALL", "UNION DISTINCT", "SELECT", "FROM", "INNER JOIN", "LEFT JOIN", "WHERE", "AND", "GROUP BY", "HAVING",
    "WINDOW", "ORDER BY", "LIMIT",
)  # fmt: skip
PIECE = re.compile(rf"('(?:[^'\\]|\\.)*'|[()]|\b(?:{'|'.join(CLAUSES)})\b)")
INDENT = "  "


def spread(sql: str) -> str:
    """The same but for its white space; texts in quotes stay as they are, and so does what is inside of a function."""
    pieces, made, inside = PIECE.split(sql), "", list[bool]()
    for place, piece in enumerate(pieces):
        if piece == "(":
            inside.append(_next(pieces, place) == "SELECT")
        elif piece == ")":
            query = inside.pop()
            made = _line(made, inside) if query else made
        elif piece in CLAUSES and all(inside[-1:]):
            made = _line(made, inside)
        made += piece
    return made.strip()


def _next(pieces: list[str], place: int) -> str:
    return next((piece for piece in pieces[place + 1 :] if piece.strip()), "")


def _line(made: str, inside: list[bool]) -> str:
    return f"{made.rstrip()}\n{INDENT * sum(inside)}"
