"""What comes from outside stands in logs as one value of one line, in both forms, whatever it holds."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from services.runtime.logging import configure_logging, get_log

HOSTILE = 'x\n{"level": "error"}\r\n\x1b[31mred\x1b]0;title\x07\x00\u202eabc\u2028\x85end'


@pytest.fixture
def as_before() -> Iterator[None]:
    """Logging as the session has it, after a test that set it up anew."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        if isinstance(handler, logging.StreamHandler) and handler not in handlers:
            handler.stream.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_never_begins_a_line_of_its_own(form: str, tmp_path: Path, as_before: None) -> None:
    """Nor moves a cursor, colours a terminal or turns the reading round: also not through a library's lines."""
    file = tmp_path / "log"
    configure_logging("info", form, file)
    get_log("test").warning("refused", name=HOSTILE, error=ValueError(HOSTILE), labels={HOSTILE: [HOSTILE]})
    logging.getLogger("some.library").error("cannot do %s", HOSTILE)
    text = file.read_bytes().decode()
    lines = text.removesuffix("\n").split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines), text
    if form == "json":
        assert json.loads(lines[0])["name"] == HOSTILE
