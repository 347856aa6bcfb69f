"""A Secret's values never leave the process, and equal values can still be recognised."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kube.masking import PREFIX, MaskedValue, mask, mask_diff, mask_diffs, mask_value, refuse_masked
from services.kube.objects import LAST_APPLIED
from services.kube.pointer import FieldDiff

KEY = b"0123456789abcdef"
VALUE = "aHVudGVyMg=="
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "annotations": {LAST_APPLIED: f'{{"data":{{"k":"{VALUE}"}}}}', "note": "n"}},
    "data": {"k": VALUE},
    "stringData": {"plain": VALUE},
}


def test_no_value_is_left_in_a_masked_secret() -> None:
    """Data, stringData and the copy that kubectl keeps are hashed; names and other annotations stay."""
    masked = mask(SECRET, KEY)
    assert VALUE not in json.dumps(masked)
    assert masked["metadata"]["annotations"]["note"] == "n"
    assert masked["data"]["k"].startswith(PREFIX)
    assert SECRET["data"] == {"k": VALUE}  # the original is what may be applied


def test_hashes_are_equal_for_equal_values_and_keys_only() -> None:
    """Changed back can be seen; without the key a hash says nothing."""
    assert mask_value("a", KEY) == mask_value("a", KEY)
    assert mask_value("a", KEY) != mask_value("b", KEY)
    assert mask_value("a", KEY) != mask_value("a", b"another key of ours")


def test_other_kinds_are_left_as_they_are() -> None:
    """A ConfigMap is no Secret, and neither is another group's kind of that name."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}}
    foreign = {**SECRET, "apiVersion": "example.org/v1"}
    assert mask(config, KEY) is config
    assert mask(foreign, KEY) is foreign


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("/data/k", VALUE, id="one-value"),
        pytest.param("/data", {"k": VALUE}, id="all-values"),
        pytest.param("/stringData/k", VALUE, id="write-only-form"),
        pytest.param("/metadata/annotations/" + LAST_APPLIED.replace("/", "~1"), VALUE, id="kubectl's-copy"),
        pytest.param("/metadata/annotations", {LAST_APPLIED: VALUE}, id="all-annotations"),
        pytest.param("/metadata", {"annotations": {LAST_APPLIED: VALUE}}, id="all-metadata"),
        pytest.param("", {"data": {"k": VALUE}, "metadata": {}}, id="the-whole-object"),
    ],
)
def test_a_diff_of_a_secret_shows_no_value(path: str, value: Any) -> None:
    """Whatever level of the object the difference stands at."""
    masked = mask_diff(FieldDiff(path, "changed", value, value), KEY)
    assert VALUE not in json.dumps(masked)
    assert masked.path == path


@given(st.recursive(st.text() | st.integers() | st.none(), lambda child: st.dictionaries(st.text(), child)))
def test_masking_keeps_the_shape(value: Any) -> None:
    """Any value can be masked: keys stay, None stays, everything else is a hash."""
    masked = mask_value(value, KEY)
    assert (masked is None) == (value is None)
    if isinstance(value, dict):
        assert masked.keys() == value.keys()


def test_diffs_of_other_kinds_are_plain() -> None:
    """What differs in a ConfigMap is shown."""
    diff = FieldDiff("/data/k", "changed", "a", "b")
    assert mask_diffs({"apiVersion": "v1", "kind": "ConfigMap"}, [diff], KEY) == [diff]


TOKEN = str(mask_value(VALUE, KEY))


@pytest.mark.parametrize(
    ("body", "places"),
    [
        pytest.param({"data": {"k": TOKEN}}, ["/data/k"], id="plain"),
        pytest.param({"data": {"a/b": base64.b64encode(TOKEN.encode()).decode()}}, ["/data/a~1b"], id="encoded"),
        pytest.param([{"op": "add", "path": "/data/k", "value": TOKEN}], ["/0/value"], id="json-patch"),
        pytest.param({"data": {"k": VALUE, "n": None, "h": "hmac:", "l": f"{TOKEN}0"}}, [], id="nothing-masked"),
    ],
)
def test_a_masked_value_is_refused_wherever_it_stands(body: Any, places: list[str]) -> None:
    """By the names of its places, never by its value; what only looks a little like it may be written."""
    if not places:
        refuse_masked(body)
        return
    with pytest.raises(MaskedValue) as refused:
        refuse_masked(body)
    assert [place for place in places if place in str(refused.value)] == places
    assert TOKEN not in str(refused.value)
