"""The threat model names a test for every line, and each of them is there; sources are all documented."""

import re
from pathlib import Path

import pytest

from services.gateway.sources import SOURCES

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
SOURCES_PAGE = (ROOT / "docs/sources-http.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(MODEL))))
def test_a_test_that_is_named_is_there(file: str, name: str) -> None:
    """A renamed test would leave a claim that nothing holds."""
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)


def test_every_threat_names_a_test() -> None:
    """A line without one is a hope."""
    rows = [line for line in MODEL.splitlines() if line.startswith("| ") and not line.startswith("| threat ")]
    assert len(rows) > 30
    assert [row for row in rows if not NAMED.search(row)] == []


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_says_how_it_is_set_up(source: str) -> None:
    """A section of its own, and a line in the table."""
    assert re.search(rf"^## {source}$", SOURCES_PAGE, re.MULTILINE)
    assert f"| [{source}](#{source}) |" in SOURCES_PAGE
