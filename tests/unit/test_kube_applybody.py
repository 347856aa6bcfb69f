"""The bytes of an apply are read as YAML, and mean what they mean as JSON."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.api.applybody import apply_body

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda child: st.lists(child, max_size=4) | st.dictionaries(st.text(), child, max_size=4),
)


@given(VALUES)
def test_it_is_the_same_json(value: Any) -> None:
    """Escapes change how a text is written and not what it says."""
    assert orjson.loads(apply_body(value)) == value


@given(st.text(st.characters(min_codepoint=0x7F, exclude_categories=["Cs"])))
def test_no_character_is_left_that_yaml_takes_for_something_else(text: str) -> None:
    """Neither what its reader refuses nor what it takes for the end of a line; the rest is not escaped."""
    body = apply_body({text: text}).decode()
    assert not set(body) & {chr(code) for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)}
    assert "\\ud8" not in body


@pytest.mark.parametrize("key", ["k" * 1100, '":' + "k" * 1100, "\\" * 600, "ü" * 600])
def test_a_long_key_is_marked_as_one(key: str) -> None:
    """And nothing but a key, whatever stands in long texts."""
    written = orjson.dumps(key)
    body = apply_body({"short": key, key: {"": key, key: [key, ":"]}})
    assert body.count(b"? " + written + b":") == 2
    assert body.count(b"? ") == 2
    assert orjson.loads(body.replace(b"? " + written, written)) == {"short": key, key: {"": key, key: [key, ":"]}}
