"""JSON pointers and the ignore rules written as pointers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.pointer import FieldDiff, apply_ignore, matches, parse_pointer, resolve, to_pointer, without


@given(st.lists(st.text(), max_size=4))
def test_pointers_read_back(segments: list[str]) -> None:
    """Any key survives the way into a pointer and back."""
    assert parse_pointer(to_pointer(segments)) == tuple(segments)


def test_a_pointer_starts_with_a_slash() -> None:
    """A forgotten slash is an error and not another field."""
    with pytest.raises(ValueError, match="slash"):
        parse_pointer("spec/replicas")


@pytest.mark.parametrize(
    ("path", "value"),
    [("/a/0/b", 1), ("/a/1", None), ("/a/x", None), ("/a/-1", None), ("/n", None), ("", {"a": [{"b": 1}]})],
)
def test_resolve_leads_to_the_value_or_nowhere(path: str, value: Any) -> None:
    """Indexes beyond the end and keys of lists lead nowhere."""
    assert resolve({"a": [{"b": 1}]}, parse_pointer(path)) == value


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("/a", "/a/b", True),
        ("/a/*/c", "/a/1/c/d", True),
        ("/a/*/c", "/a/1", False),
        ("/a", "/ab", False),
        ("/*", "/x", True),
    ],
)
def test_a_pattern_covers_what_lies_below_it(pattern: str, path: str, covered: bool) -> None:
    """Whole segments are compared, never parts of them."""
    assert matches(parse_pointer(pattern), parse_pointer(path)) is covered


def test_a_rule_inside_a_diffs_value_takes_only_its_part_out() -> None:
    """A whole item that differs only where it is ignored is no difference; else the rest of it is."""
    same = FieldDiff("/spec/items", "changed", [{"a": 1, "b": 1}], [{"a": 1, "b": 2}])
    other = FieldDiff("/spec/items", "changed", [{"a": 1, "b": 1}], [{"a": 9, "b": 2}])
    assert apply_ignore([same], ["/spec/items/*/b"]) == []
    assert apply_ignore([other], ["/spec/items/*/b"]) == [FieldDiff("/spec/items", "changed", [{"a": 1}], [{"a": 9}])]


def test_without_prunes_a_copy() -> None:
    """What is left to others is not sent, and the manifest stays as it was."""
    manifest = {"spec": {"replicas": 3, "items": [{"x": 1, "y": 2}]}}
    pruned = without(manifest, (), [("spec", "replicas"), ("spec", "items", "*", "x")])
    assert pruned == {"spec": {"items": [{"y": 2}]}}
    assert manifest["spec"]["replicas"] == 3
