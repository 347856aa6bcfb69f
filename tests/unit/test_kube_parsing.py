"""However deep an object is nested, it is read, and nothing else is lost by it."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.api import parsing
from services.kube.api.parsing import DEEPEST, parse, shallow

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


def nested(depth: int, inner: str = "1") -> bytes:
    return ('{"a":[' * (depth // 2) + inner + "]}" * (depth // 2)).encode()


def depth_of(value: Any) -> int:
    levels = 0
    while isinstance(value, dict | list) and value:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        levels += 1
    return levels


@pytest.mark.parametrize("depth", [1200, 4000, 50_000])
def test_what_no_parser_takes_is_read_as_far_as_it_can_be(depth: int) -> None:
    """Also what stands after it, and brackets inside texts are none."""
    text = b'{"before":"}]{[\\"","deep":' + nested(depth, '"]"') + b',"after":[1,{"b":"\\\\"}]}'
    found = parse(text)
    assert (found["before"], found["after"]) == ('}]{["', [1, {"b": "\\"}])
    assert 400 < depth_of(found["deep"]) < 600


@pytest.mark.parametrize("text", [b"", b"{", b"not json", nested(3000)[:-5]])
def test_what_is_no_json_is_an_error(text: bytes) -> None:
    """The same one as the parser's."""
    with pytest.raises(orjson.JSONDecodeError):
        parse(text)


@given(JSON, st.integers(1, 6))
def test_cutting_text_is_cutting_the_value(value: Any, levels: int) -> None:
    """Both ways end in empty maps and lists at the same level."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "DEEPEST_TEXT", levels)
        assert orjson.loads(parsing._cut_text(orjson.dumps(value))) == parsing._cut(value, levels)


@given(JSON)
def test_an_ordinary_object_is_left_as_it_is(value: Any) -> None:
    """The very same, not a copy."""
    assert shallow(value) is value


def test_a_deep_object_can_be_written_again() -> None:
    """By the writer that packs and sends it."""
    value = shallow(orjson.loads(nested(900)))
    assert depth_of(value) < DEEPEST
    assert orjson.dumps(value)
