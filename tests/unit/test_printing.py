"""What commands print of what a cluster says: nothing that a terminal would obey."""

from typing import Any

import pytest

from services.cli.printing import cell, print_rows


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("x\x1b]0;title\x07", "x\\u001b]0;title\\u0007", id="an escape sequence"),
        pytest.param(["a\u202eb", 1], "a\\u202eb, 1", id="reading turned round, in a list"),
        pytest.param("one\ntwo", "one\\ntwo", id="a line end"),
        pytest.param("größe", "größe", id="plain"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_a_cell_is_only_text(value: Any, shown: str) -> None:
    """A message or a label is whoever's, and may have been made for this terminal."""
    assert cell(value) == shown


def test_a_table_of_hostile_rows_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way to the terminal."""
    print_rows([{"message": "a\x1b[2Jb", "who": ["\u202e"]}], "table")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
